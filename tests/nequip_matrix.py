"""Small models of many kinds, trained for three steps by `nequip-train` itself.

    python tests/nequip_matrix.py FOLDER [VARIANT …]

writes FOLDER/VARIANT/model.ckpt. One process trains all of them: its imports take longest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import write

ORGANIC = ["H", "C", "N", "O"]
MANY = ["Si", "O", "P", "H", "F", "C", "S", "Cl", "N", "Br", "B", "I"]
EDGES = {"H": 2.5, "C": {"H": 3.0, "C": 4.0, "N": 3.5, "O": 3.9}}
OF_TYPE = {"H": 6.0, "C": 8.0, "N": 9.0, "O": 5.0}
SHIFTS = {"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2042.0}


def _zbl(names: list[str]) -> dict[str, Any]:
    return {"_target_": "nequip.nn.pair_potential.ZBL", "units": "metal", "chemical_species": names}


#: Allegro models, by what differs from the plain one.
VARIANTS: dict[str, dict[str, Any]] = {
    "scalars": {"l_max": 0, "num_layers": 1},
    "single": {"model_dtype": "float32", "l_max": 1, "parity": False},
    "averages": {"l_max": 2, "num_layers": 3, "avg_num_neighbors": OF_TYPE,
                 "per_type_energy_scales": {"H": 1.3, "C": 4.0, "N": 3.0, "O": 2.0}},
    "octupoles": {"model_dtype": "float32", "l_max": 3},
    "zbl": {"pair_potential": _zbl(ORGANIC)},
    "zbl-single": {"model_dtype": "float32", "pair_potential": _zbl(ORGANIC)},
    "edge-cutoffs": {"per_edge_type_cutoff": EDGES, "parity": False},
    "many": {"type_names": MANY, "per_type_energy_shifts": None, "num_layers": 1,
             "per_edge_type_cutoff": {"H": 3.0}, "pair_potential": _zbl(MANY)},
    "plain-sum": {"per_type_energy_scales": None, "per_type_energy_shifts": None,
                  "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodySplineScalarEmbed",
                                            "num_splines": 8, "spline_span": 6}},
    "trained-zero": {"per_type_energy_scales_trainable": True,
                     "per_type_energy_shifts_trainable": True},
}  # fmt: skip
#: Models that E3D has to refuse.
REFUSED: dict[str, dict[str, Any]] = {
    "types": {"type_names": ["H_w", "C_a", "N_a", "O_w"], "per_type_energy_shifts": None},
    "message-passing": {
        "_target_": "nequip.model.NequIPGNNModel", "seed": 1, "model_dtype": "float32",
        "type_names": ORGANIC, "r_max": 4.0, "num_layers": 2, "l_max": 1, "parity": False,
        "num_features": 4, "radial_mlp_depth": 1, "radial_mlp_width": 8,
        "avg_num_neighbors": 7.0,
    },
}  # fmt: skip


def model_of(variant: str) -> dict[str, Any]:
    """Section `model` of the configuration."""
    if "_target_" in (changes := (VARIANTS | REFUSED)[variant]):
        return changes
    return {
        "_target_": "allegro.model.AllegroModel", "seed": 3, "model_dtype": "float64",
        "type_names": ORGANIC, "r_max": 4.0, "l_max": 1, "parity": True, "num_layers": 2,
        "num_scalar_features": 8, "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 7.0, "per_type_energy_scales": 2.0, "per_type_energy_shifts": SHIFTS,
    } | changes  # fmt: skip


def configuration(variant: str, frames: Path, folder: Path) -> dict[str, Any]:
    """What `nequip-train` is given."""
    model = model_of(variant)
    names = model["type_names"]
    symbols = dict(zip(ORGANIC, names, strict=True)) if variant == "types" else None
    loader = {"_target_": "torch.utils.data.DataLoader", "batch_size": 4}
    return {
        "run": ["train"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule", "seed": 1,
            "split_dataset": {"file_path": str(frames), "train": 12, "val": 4},
            "transforms": [
                {"_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                 "model_type_names": names, "chemical_species_to_atom_type_map": symbols},
                {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": 4.0},
            ],
            "train_dataloader": loader, "val_dataloader": loader,
            "stats_manager": {"_target_": "nequip.data.CommonDataStatisticsManager",
                              "type_names": names, "dataloader_kwargs": {"batch_size": 4}},
        },
        "trainer": {
            "_target_": "lightning.Trainer", "accelerator": "cpu", "max_steps": 3,
            "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "callbacks": [{"_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                           "dirpath": str(folder), "filename": "model"}],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "loss": {"_target_": "nequip.train.EnergyForceLoss",
                     "coeffs": {"total_energy": 1.0, "forces": 1.0}},
            "val_metrics": {"_target_": "nequip.train.EnergyForceMetrics",
                            "coeffs": {"total_energy_mae": 1.0}},
            "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
            "model": model,
        },
    }  # fmt: skip


def _write_frames(path: Path) -> None:
    """Sixteen small structures with energies and forces of some potential or other."""
    rng = np.random.default_rng(0)
    frames = []
    for name in ["CH3CH2OH", "CH3CN", "C2H2", "H2O"] * 4:
        atoms = molecule(name)
        atoms.rattle(0.03, rng=rng)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    write(path, frames, format="extxyz")


def main(target: str, *variants: str) -> None:
    from nequip.scripts.train import main as train
    from omegaconf import OmegaConf

    folder = Path(target).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _write_frames(folder / "frames.xyz")
    for name in variants or (*VARIANTS, *REFUSED):
        own = folder / name
        own.mkdir()
        text = yaml.safe_dump(configuration(name, folder / "frames.xyz", own))
        (own / "config.yaml").write_text(text)
        OmegaConf.clear_resolver("training_data_stats")  # each run registers it anew
        sys.argv = ["nequip-train", "-cp", str(own), "-cn", "config", f"hydra.run.dir={own}"]
        train()


if __name__ == "__main__":
    main(*sys.argv[1:])
