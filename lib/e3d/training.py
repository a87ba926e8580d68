"""Train one model with `nequip-train`: its data, its configuration, the checkpoint after it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import yaml
from ase import Atoms
from lightning.pytorch.callbacks import Callback
from nequip.data import AtomicDataDict, from_dict
from nequip.data.dataset import AtomicDataset
from nequip.data.transforms import NeighborListTransform

from e3d import files
from e3d.dataset import TYPE_NAMES, Dataset, Molecule
from e3d.errors import E3DError
from e3d.model import read_metadata, save_checkpoint
from e3d.split import conformation_folds, fold

Part = Literal["train", "validation", "test"]
#: What is held out: conformations of molecules that were trained on, or whole molecules.
HeldOut = Literal["conformations", "molecules"]


@dataclass(frozen=True)
class Settings:
    """Everything that determines a training run; lengths in Å, energies in eV."""

    dataset: str
    n_conformations: int = 0
    seed: int = 0
    cutoff_A: float = 5.0
    l_max: int = 2
    n_layers: int = 2
    n_scalar_features: int = 32
    n_tensor_features: int = 8
    steps: int = 10_000
    batch_size: int = 16
    learning_rate: float = 2e-3
    optimizer: Literal["adam", "muon"] = "adam"
    energy_weight: float = 1.0
    force_weight: float = 1.0
    initial_checkpoint: str = ""
    labels: Literal["true", "shuffled"] = "true"
    compile: bool = True


def select(molecules: Iterable[Molecule], part: Part, held_out: HeldOut) -> Iterator[Molecule]:
    """The conformations of one part of the global split.

    `held_out` says what `validation` and `test` mean: conformations of molecules that were trained
    on, or molecules of which nothing was trained on. The training part is the same for both.
    """
    for molecule in molecules:
        trained_on = fold(molecule.canonical_smiles) == "train"
        if part == "train" or held_out == "conformations":
            if trained_on:
                mask = np.array(conformation_folds(molecule)) == part
                if mask.any():
                    yield molecule.select(mask)
        elif fold(molecule.canonical_smiles) == part:
            yield molecule


class SpiceFold(AtomicDataset):
    """One part of a SPICE-schema data set in memory, neighbour lists computed once.

    n_conformations: draw so many conformations at random (0: all). labels: `shuffled` permutes the
    binding energies per atom among conformations and the forces among atoms of the same element,
    so that scale and distribution stay and the relation to the geometry is lost.
    """

    def __init__(
        self,
        path: str,
        part: Part,
        cutoff_A: float,
        held_out: HeldOut = "conformations",
        n_conformations: int = 0,
        seed: int = 0,
        labels: str = "true",
    ):
        super().__init__()
        self._frames = _frames(path, part, cutoff_A, held_out, n_conformations, seed, labels)

    def __len__(self) -> int:
        return len(self._frames)

    def _get_data_list(self, indices: Any) -> list[AtomicDataDict.Type]:
        if isinstance(indices, slice):
            return self._frames[indices]
        return [self._frames[int(k)] for k in indices]


@lru_cache(maxsize=1)
def _molecules(path: str) -> tuple[list[Molecule], dict[str, float]]:
    """Usable molecules of a file and its zero: read once for all parts."""
    with Dataset(path) as dataset:
        return list(dataset.usable()), dataset.atomic_energies("aligned")


@lru_cache  # nequip instantiates every data set twice: for its statistics, and to train
def _frames(
    path: str, part: Part, cutoff_A: float, held_out: HeldOut, n_conformations: int, seed: int,
    labels: str,
) -> list[AtomicDataDict.Type]:  # fmt: skip
    molecules, zero = _molecules(path)
    structures = [
        atoms for molecule in select(molecules, part, held_out) for atoms in _structures(molecule)
    ]
    if labels == "shuffled":
        _shuffle(structures, zero, seed)
    if n_conformations > len(structures):
        raise E3DError(
            f"{path} has {len(structures)} conformations in the fold {part!r}, "
            f"{n_conformations} were asked for"
        )
    order = np.random.default_rng(seed).permutation(len(structures))
    chosen = sorted(order[: n_conformations or len(structures)])
    neighbours = NeighborListTransform(r_max=cutoff_A)
    return [neighbours(_to_frame(structures[k])) for k in chosen]


def _structures(molecule: Molecule) -> Iterator[Atoms]:
    """Conformations as ASE atoms, the labels in `info` (eV) and `arrays` (eV/Å)."""
    for positions, energy, forces in zip(
        molecule.positions, molecule.energies, molecule.forces, strict=True
    ):
        atoms = Atoms(numbers=molecule.atomic_numbers, positions=positions)
        atoms.info["energy"] = float(energy)
        atoms.arrays["forces"] = forces
        yield atoms


def _shuffle(structures: list[Atoms], zero: dict[str, float], seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    zeros = np.array([sum(zero[s] for s in atoms.symbols) for atoms in structures])
    sizes = np.array([len(atoms) for atoms in structures])
    binding = (np.array([atoms.info["energy"] for atoms in structures]) - zeros) / sizes
    for atoms, value, offset in zip(structures, rng.permutation(binding), zeros, strict=True):
        atoms.info["energy"] = float(value * len(atoms) + offset)
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    forces = np.concatenate([atoms.arrays["forces"] for atoms in structures])
    for number in np.unique(numbers):
        forces[numbers == number] = rng.permutation(forces[numbers == number])
    starts = np.cumsum(sizes)[:-1]
    for atoms, shuffled in zip(structures, np.split(forces, starts), strict=True):
        atoms.arrays["forces"] = shuffled


def _to_frame(atoms: Atoms) -> AtomicDataDict.Type:
    types = [TYPE_NAMES.index(symbol) for symbol in atoms.symbols]
    return from_dict(
        {
            AtomicDataDict.POSITIONS_KEY: torch.as_tensor(atoms.positions),
            AtomicDataDict.ATOM_TYPE_KEY: torch.as_tensor(types),
            AtomicDataDict.TOTAL_ENERGY_KEY: torch.tensor(
                [[atoms.info["energy"]]], dtype=torch.float64
            ),
            AtomicDataDict.FORCE_KEY: torch.as_tensor(atoms.arrays["forces"]),
        }
    )


def atomic_energies(path: str) -> dict[str, float]:
    """Zero of the decomposition in eV for every type of the models.

    From the data set; for elements that it does not hold, isolated atoms at its level of theory.
    """
    from e3d.label import LEVELS, isolated_atoms

    with Dataset(path) as dataset:
        energies = dataset.atomic_energies("aligned")
        level = dataset.attributes.get("level_of_theory", "")
    missing = [symbol for symbol in TYPE_NAMES if symbol not in energies]
    methods = {name: method for method, name in LEVELS.items()}
    if missing and level not in methods:
        raise E3DError(
            f"{path} has no atomic energy of {missing[0]} and its level of theory, {level!r}, is "
            f"none of {', '.join(methods)}; add it to the root attribute 'atomic_energies'"
        )
    energies |= isolated_atoms(methods[level], missing) if missing else {}
    return {symbol: round(energies[symbol], 9) for symbol in TYPE_NAMES}


def architecture(settings: Settings) -> dict[str, Any]:
    """Arguments of `allegro.model.AllegroModel`; statistics of the training data left to nequip."""
    shifts = atomic_energies(settings.dataset)
    if settings.initial_checkpoint:
        trained = read_metadata(Path(settings.initial_checkpoint))["architecture"]
        return {**trained, "seed": settings.seed, "per_type_energy_shifts": shifts}
    return {
        "seed": settings.seed,
        "model_dtype": "float32",
        "type_names": list(TYPE_NAMES),
        "r_max": settings.cutoff_A,
        "l_max": settings.l_max,
        "parity": True,
        "num_layers": settings.n_layers,
        "num_scalar_features": settings.n_scalar_features,
        "num_tensor_features": settings.n_tensor_features,
        "allegro_mlp_hidden_layers_width": 2 * settings.n_scalar_features,
        "scalar_embed_mlp_hidden_layers_width": 2 * settings.n_scalar_features,
        "readout_mlp_hidden_layers_width": settings.n_scalar_features,
        "radial_chemical_embed": {
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": 8,
            "bessel_trainable": False,
            "polynomial_cutoff_p": 6,
        },
        "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
        "per_type_energy_scales": "${training_data_stats:forces_rms}",
        "per_type_energy_shifts": shifts,
    }


def configuration(settings: Settings, folder: Path) -> dict[str, Any]:
    """The nequip configuration of a run that keeps its state in `folder`."""
    common = {
        "_target_": "e3d.training.SpiceFold",
        "path": str(Path(settings.dataset).resolve()),
        "cutoff_A": settings.cutoff_A,
    }
    model: dict[str, Any] = {"_target_": "allegro.model.AllegroModel", **architecture(settings)}
    if settings.initial_checkpoint:
        common["cutoff_A"] = model["r_max"]
        model = {
            "_target_": "e3d.model.from_checkpoint",
            "checkpoint": str(Path(settings.initial_checkpoint).resolve()),
            "architecture": architecture(settings),
        }
    model["compile_mode"] = "compile" if settings.compile else "eager"
    return {
        "run": ["train"],
        "data": _data(settings, common),
        "trainer": _trainer(settings, folder),
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": 0.999,
            "loss": {
                "_target_": "nequip.train.EnergyForceLoss",
                "per_atom_energy": True,
                "coeffs": {"total_energy": settings.energy_weight, "forces": settings.force_weight},
            },
            "val_metrics": {
                "_target_": "nequip.train.EnergyForceMetrics",
                "coeffs": {"per_atom_energy_mae": 1.0, "forces_mae": 1.0},
            },
            "optimizer": _optimizer(settings),
            "lr_scheduler": {
                "scheduler": {
                    "_target_": "torch.optim.lr_scheduler.OneCycleLR",
                    "max_lr": settings.learning_rate,
                    "total_steps": settings.steps,
                    "pct_start": 0.05,
                    "cycle_momentum": False,
                },
                "interval": "step",
            },
            "model": model,
        },
    }


def _optimizer(settings: Settings) -> dict[str, Any]:
    if settings.optimizer == "adam":
        return {"_target_": "torch.optim.Adam", "lr": settings.learning_rate}
    group = {"lr": settings.learning_rate, "weight_decay": 0.0}
    groups = {"_target_": "allegro.model.MuonParamGroups", "muon": group, "adam": group}
    return {"_target_": "nequip.train.MuonWithAuxAdam", "param_groups": groups}


def _data(settings: Settings, common: dict[str, Any]) -> dict[str, Any]:
    return {
        "_target_": "nequip.data.datamodule.NequIPDataModule",
        "seed": settings.seed,
        "train_dataset": {
            **common,
            "part": "train",
            "n_conformations": settings.n_conformations,
            "seed": settings.seed,
            "labels": settings.labels,
        },
        "val_dataset": [
            {**common, "part": "validation", "held_out": held_out}
            for held_out in ("conformations", "molecules")
        ],
        "train_dataloader": {
            "_target_": "torch.utils.data.DataLoader",
            "batch_size": settings.batch_size,
            "shuffle": True,
            "drop_last": True,
        },
        "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 64},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "type_names": list(TYPE_NAMES),
            # else the training loader's drop_last leaves small sets without statistics
            "dataloader_kwargs": {"batch_size": 256, "drop_last": False},
        },
    }


def _trainer(settings: Settings, folder: Path) -> dict[str, Any]:
    return {
        "_target_": "lightning.Trainer",
        "accelerator": "auto",
        "devices": 1,
        "max_steps": settings.steps,
        "max_epochs": -1,
        "log_every_n_steps": 50,
        "gradient_clip_val": 10.0,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "logger": {
            "_target_": "lightning.pytorch.loggers.CSVLogger",
            "save_dir": str(folder),
            "name": "log",
        },
        "callbacks": [
            {
                "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                "dirpath": str(folder),
                "filename": "state",
                "enable_version_counter": False,
                "save_last": False,
                "every_n_epochs": 1,
                "save_on_train_epoch_end": True,
            },
            {"_target_": "e3d.training.StopWithParent"},
            {"_target_": "lightning.pytorch.callbacks.TQDMProgressBar", "refresh_rate": 50},
        ],
    }


class StopWithParent(Callback):  # type: ignore[misc]
    """Ends a training whose caller was killed, so that the next call finds nobody at its files."""

    def __init__(self) -> None:
        self.parent = os.getppid()

    def on_train_batch_start(self, *_: Any) -> None:
        if os.getppid() != self.parent:
            raise SystemExit("the process that started this training is gone")


def train(settings: Settings, out: str | Path, *, work: str | Path = "runs/training") -> None:
    """Train with `nequip-train` and write the checkpoint folder `out`.

    The state of the run is kept after every epoch in a folder of its own under `work`, named after
    the settings: calling again after a kill goes on from there. It is removed at the end.

    Raises E3DError when nequip-train fails; its log stays.
    """
    out = Path(out)
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()
    folder = (Path(work) / f"{out.name}-{digest[:8]}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(configuration(settings, folder), sort_keys=False))
    _run_nequip(folder, settings.batch_size)
    module, resolved = _result(folder / "state.ckpt")
    with Dataset(settings.dataset) as dataset:
        level = dataset.attributes.get("level_of_theory", "unknown")
    save_checkpoint(
        out, module, resolved,
        dataset={"path": settings.dataset, "sha256": files.sha256(settings.dataset),
                 "level_of_theory": level},
        training=asdict(settings), history=history(folder).to_csv(index=False),
    )  # fmt: skip
    shutil.rmtree(folder)


def _run_nequip(folder: Path, batch_size: int) -> None:
    command = [sys.executable, "-m", "nequip.scripts.train", "-cp", str(folder), "-cn", "config",
               f"hydra.run.dir={folder}"]  # fmt: skip
    if (folder / "state.ckpt").exists():
        command.append(f"++ckpt_path={folder / 'state.ckpt'}")
    with open(folder / "train.log", "a") as log:
        # its own log: a progress bar in a notebook's output would be thousands of lines
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    if code != 0:
        lines = (folder / "train.log").read_text().replace("\r", "\n").strip().splitlines()
        raise E3DError(
            f"nequip-train ended with code {code}: {lines[-1] if lines else 'no output'}; the log "
            f"is {folder / 'train.log'}, and calling again resumes"
        )
    if not (folder / "state.ckpt").exists():
        raise E3DError(
            f"nequip-train made no step: the training fold has fewer than one batch of "
            f"{batch_size} conformations; lower batch_size"
        )


def _result(checkpoint: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The averaged-weight model of a run of ours, and its architecture with resolved numbers."""
    from nequip.model.saved_models.load_utils import load_saved_model
    from nequip.utils.global_state import set_global_state

    set_global_state()
    # weights_only=False is safe here: the pickle was written by the subprocess just ended
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    resolved = dict(stored["hyper_parameters"]["info_dict"]["training_module"]["model"])
    resolved = dict(resolved.get("architecture", resolved))
    for key in ("_target_", "compile_mode", "checkpoint"):
        resolved.pop(key, None)
    return load_saved_model(str(checkpoint)), resolved


def history(folder: Path) -> pd.DataFrame:
    """Learning curve of a run, one row per epoch, over all its resumed parts.

    Columns: step, epoch, train_energy_mse (eV²/atom²), train_forces_mse (eV²/Å²), and the
    validation MAEs of energy (eV/atom) and forces (eV/Å) on held-out conformations and on held-out
    molecules, missing for a last epoch that `steps` cut short.
    """
    columns = {
        "train_loss_epoch/per_atom_energy_mse": "train_energy_mse",
        "train_loss_epoch/forces_mse": "train_forces_mse",
        "val0_epoch/per_atom_energy_mae": "conformations_energy_mae",
        "val0_epoch/forces_mae": "conformations_forces_mae",
        "val1_epoch/per_atom_energy_mae": "molecules_energy_mae",
        "val1_epoch/forces_mae": "molecules_forces_mae",
    }
    logs = sorted(
        folder.glob("log/version_*/metrics.csv"), key=lambda file: int(file.parent.name[8:])
    )
    table = pd.concat([pd.read_csv(log) for log in logs], ignore_index=True)
    table = table.groupby("epoch").last().reset_index()
    return table[["step", "epoch", *columns]].rename(columns=columns)
