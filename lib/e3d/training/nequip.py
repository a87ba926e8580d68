"""The configuration of `nequip-train` for the settings of a run."""

from __future__ import annotations

from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from typing import Any

from e3d.errors import E3DError
from e3d.training.settings import Hardware, Settings
from e3d.training.zero import given_zero, zero_of

#: Conformations at a time when statistics are taken, and when errors are measured.
_STATISTICS_BATCH, _VALIDATION_BATCH = 256, 64


def architecture(settings: Settings) -> dict[str, Any]:
    """Arguments of `allegro.model.AllegroModel`; nequip fills in statistics of the training data.

    Those of a fine-tuned model are read from its initial checkpoint, except for seed and shifts.
    """
    if settings.initial_checkpoint:
        shifts = {"per_type_energy_shifts": zero_of(settings)}
        return {**_trained(settings), "seed": settings.seed, **shifts}
    return {
        "seed": settings.seed,
        "model_dtype": "float32",
        "type_names": list(settings.types),
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
        "per_type_energy_shifts": zero_of(settings),
        "per_type_energy_shifts_trainable": settings.trainable_shifts,
    }


def _trained(settings: Settings) -> dict[str, Any]:
    """Architecture of the initial checkpoint."""
    from e3d.models.checkpoint import read_metadata  # imports torch

    return dict(read_metadata(Path(settings.initial_checkpoint))["architecture"])


def with_types_of_checkpoint(settings: Settings) -> Settings:
    """The settings of a fine-tuning with the elements of the model that it begins with.

    Raises E3DError when others are asked for.
    """
    if not settings.initial_checkpoint:
        return settings
    known = tuple(_trained(settings)["type_names"])
    if settings.type_names and settings.type_names != known:
        raise E3DError(
            f"{settings.initial_checkpoint} is a model of {' '.join(known)}, type_names asks for "
            f"{' '.join(settings.type_names)}; leave type_names empty to fine-tune"
        )
    return settings if known == settings.types else replace(settings, type_names=known)


def configuration(
    settings: Settings, folder: Path, hardware: Hardware | None = None
) -> dict[str, Any]:
    """The nequip configuration of a run that keeps its state in `folder`."""
    hardware = hardware or Hardware()
    settings = with_types_of_checkpoint(settings)
    common = {
        "_target_": "e3d.training.data.SpiceSplit",
        "paths": [str(Path(path).resolve()) for path in settings.paths],
        "elements": list(settings.elements),
        "cutoff_A": settings.cutoff_A,
        **_selection(settings),
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
        "data": _data(settings, common, hardware),
        "trainer": _trainer(settings, folder, hardware),
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


def _selection(settings: Settings) -> dict[str, Any]:
    """What the data sets are to hold beyond the usual: neutral molecules of the usual elements."""
    usual, chosen = asdict(Settings("")), asdict(settings)
    names = ("type_names", "charges", "subsets", "without_subsets", "gradient_limit", "radicals")
    told = {name: chosen[name] for name in names if chosen[name] != usual[name]}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in told.items()}
    atoms = given_zero(settings)
    return plain if atoms is None else {**plain, "atomic_energies": atoms}


def _data(settings: Settings, common: dict[str, Any], hardware: Hardware) -> dict[str, Any]:
    n = hardware.num_workers
    workers = {"num_workers": n, "persistent_workers": True} if n else {}
    shared = hardware.n_processes > 1
    validation = {"_target_": "e3d.training.loading.loader", "steps_per_epoch": 0} if shared else {
        "_target_": "torch.utils.data.DataLoader"}  # fmt: skip
    # on every process, so that the batch of each is the usual one
    size = _VALIDATION_BATCH * (hardware.n_processes if shared else 1)
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
            "_target_": "e3d.training.loading.loader",
            "steps_per_epoch": settings.steps_per_epoch,
            "batch_size": settings.batch_size,
            "shuffle": True,
            "drop_last": True,
            **workers,
        },
        "val_dataloader": {**validation, "batch_size": size, **workers},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "type_names": list(settings.types),
            # one pass over all data, or a draw, whatever the training loader drops or repeats
            "dataloader_kwargs": {
                "batch_size": _STATISTICS_BATCH,
                "drop_last": False,
                "steps_per_epoch": ceil(settings.n_statistics / _STATISTICS_BATCH),
            },
        },
    }


def _trainer(settings: Settings, folder: Path, hardware: Hardware) -> dict[str, Any]:
    together: dict[str, Any] = {}
    if hardware.n_processes > 1:
        together = {
            "num_nodes": hardware.num_nodes,
            "strategy": {"_target_": hardware.strategy},
            "use_distributed_sampler": False,  # `loader` shares out the batches
        }
    return {
        "_target_": "lightning.Trainer",
        "accelerator": "auto",
        "devices": hardware.devices,
        **together,
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
            {"_target_": "e3d.training.callbacks.StopWithParent"},
            {
                "_target_": "e3d.training.callbacks.Results",
                "folder": str(folder),
                "steps": list(settings.snapshots),
            },
            {"_target_": "lightning.pytorch.callbacks.TQDMProgressBar", "refresh_rate": 50},
        ],
    }
