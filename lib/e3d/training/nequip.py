"""The configuration of `nequip-train` for the settings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e3d.chemistry.levels import LEVELS, isolated_atoms
from e3d.data.dataset import TYPE_NAMES, Dataset
from e3d.errors import E3DError
from e3d.models.checkpoint import read_metadata
from e3d.training.settings import Settings


def atomic_energies(paths: Sequence[str]) -> dict[str, float]:
    """Zero of the decomposition in eV for every type of the models.

    From the data sets; for elements that these do not contain, isolated atoms at the same level of
    theory. Raises E3DError when that level is unknown.
    """
    energies: dict[str, float] = {}
    for path in paths:
        with Dataset(path) as dataset:
            energies = dataset.atomic_energies("aligned") | energies
            level = dataset.attributes.get("level_of_theory", "")
    missing = [symbol for symbol in TYPE_NAMES if symbol not in energies]
    methods = {name: method for method, name in LEVELS.items()}
    if missing and level not in methods:
        raise E3DError(
            f"{paths[-1]} has no atomic energy of {missing[0]} and its level of theory, {level!r}, "
            f"is none of {', '.join(methods)}; add it to the root attribute 'atomic_energies'"
        )
    energies |= isolated_atoms(methods[level], missing) if missing else {}
    return {symbol: round(energies[symbol], 9) for symbol in TYPE_NAMES}


def architecture(settings: Settings) -> dict[str, Any]:
    """Arguments of `allegro.model.AllegroModel`; nequip fills in statistics of the training data.

    Those of a fine-tuned model are read from its initial checkpoint, except for seed and shifts.
    """
    paths = (settings.dataset, *settings.more_datasets)
    if settings.initial_checkpoint:
        trained = read_metadata(Path(settings.initial_checkpoint))["architecture"]
        zero = atomic_energies(paths)
        return {**trained, "seed": settings.seed, "per_type_energy_shifts": zero}
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
        "per_type_energy_shifts": atomic_energies(paths),
        "per_type_energy_shifts_trainable": settings.trainable_shifts,
    }


def configuration(settings: Settings, folder: Path) -> dict[str, Any]:
    """The nequip configuration of a run that keeps its state in `folder`."""
    common = {
        "_target_": "e3d.training.data.SpiceSplit",
        "paths": [str(Path(p).resolve()) for p in (settings.dataset, *settings.more_datasets)],
        "elements": list(settings.elements),
        "cutoff_A": settings.cutoff_A,
    }
    model: dict[str, Any] = {"_target_": "allegro.model.AllegroModel", **architecture(settings)}
    if settings.initial_checkpoint:
        common["cutoff_A"] = model["r_max"]
        model = {
            "_target_": "e3d.models.allegro.from_checkpoint",
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
            "per_molecule": settings.per_molecule,
            "seed": settings.seed,
            "labels": settings.labels,
        },
        "val_dataset": [
            {
                **common,
                "part": "validation",
                "held_out": held_out,
                "n_conformations": settings.n_validation,
            }
            for held_out in ("conformations", "molecules")
        ],
        "train_dataloader": {
            "_target_": "e3d.training.data.loader",
            "steps_per_epoch": settings.steps_per_epoch,
            "batch_size": settings.batch_size,
            "shuffle": True,
            "drop_last": True,
        },
        "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 64},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "type_names": list(TYPE_NAMES),
            # one pass over all data, whatever the training loader drops or repeats
            "dataloader_kwargs": {"batch_size": 256, "drop_last": False, "steps_per_epoch": 0},
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
            {"_target_": "e3d.training.train.StopWithParent"},
            {
                "_target_": "e3d.training.train.Snapshots",
                "folder": str(folder),
                "steps": list(settings.snapshots),
            },
            {"_target_": "lightning.pytorch.callbacks.TQDMProgressBar", "refresh_rate": 50},
        ],
    }
