"""Run `nequip-train` and write a checkpoint folder of its result."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from e3d import files
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.models.checkpoint import save_checkpoint
from e3d.training.nequip import configuration
from e3d.training.settings import Settings


class StopWithParent(Callback):  # type: ignore[misc]
    """Ends a training whose caller was killed, so that a later call has its files to itself."""

    def __init__(self) -> None:
        self.parent = os.getppid()

    def on_train_batch_start(self, *_: Any) -> None:
        if os.getppid() != self.parent:
            raise SystemExit("the process that started this training is gone")


class Snapshots(Callback):  # type: ignore[misc]
    """Writes the averaged weights after each of `steps` to `folder`/weights-STEP.safetensors."""

    def __init__(self, folder: str, steps: list[int]):
        self.folder, self.steps = Path(folder), set(steps)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if trainer.global_step not in self.steps:
            return
        module.ema.swap_parameters(module.model)
        weights = module.model["sole_model"].state_dict()
        with files.replacing(self.folder / f"weights-{trainer.global_step}.safetensors") as new:
            save_file({key: value.contiguous() for key, value in weights.items()}, new)
        module.ema.swap_parameters(module.model)


def train(settings: Settings, out: str | Path, *, work: str | Path = "runs/training") -> None:
    """Train with `nequip-train` and write the checkpoint folder `out`.

    The state of the run is kept after every epoch in a folder of its own under `work`, named after
    the settings, so that a call after a kill resumes. It is removed at the end.

    Raises E3DError when nequip-train fails, and then its log stays; and when another process runs
    the same training.
    """
    out = Path(out)
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()
    folder = (Path(work) / f"{out.name}-{digest[:8]}").resolve()
    with files.locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(folder / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(configuration(settings, folder), sort_keys=False))
        resumed = (folder / "state.ckpt").exists()
        before = os.times()
        _run_nequip(folder, settings.batch_size)
        after = os.times()
        cost = {
            # of the last part, when the run was resumed
            "cpu_seconds": round(after.children_user + after.children_system
                                 - before.children_user - before.children_system),
            "wall_seconds": round(after.elapsed - before.elapsed),
            "resumed": resumed,
        }  # fmt: skip
        _save(settings, out, folder, cost)
        shutil.rmtree(folder)


def _save(settings: Settings, out: Path, folder: Path, cost: dict[str, Any]) -> None:
    """Write the checkpoint of a finished run, whose state is in `folder`."""
    module, resolved = _result(folder / "state.ckpt")
    with Dataset(settings.dataset) as dataset:
        level = dataset.attributes.get("level_of_theory", "unknown")
    save_checkpoint(
        out, module, resolved,
        dataset={
            "path": settings.dataset,
            "sha256": files.sha256(settings.dataset),
            "level_of_theory": level,
            "more": {path: files.sha256(path) for path in settings.more_datasets},
        },
        training=asdict(settings),
        cost=cost,
        history=history(folder).to_csv(index=False),
        snapshots=sorted(folder.glob("weights-*.safetensors")),
    )  # fmt: skip


def _run_nequip(folder: Path, batch_size: int) -> None:
    command = [sys.executable, "-m", "nequip.scripts.train", "-cp", str(folder), "-cn", "config",
               f"hydra.run.dir={folder}"]  # fmt: skip
    if (folder / "state.ckpt").exists():
        command.append(f"++ckpt_path={folder / 'state.ckpt'}")
    with open(folder / "train.log", "a") as log:
        # not into a notebook's output, which would have thousands of lines of progress
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
    """The model of a run with averaged weights, and its architecture with resolved numbers."""
    from nequip.model.saved_models.load_utils import load_saved_model
    from nequip.utils.global_state import set_global_state

    set_global_state()
    # weights_only=False is safe: the pickle was written by the process that has just ended
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
    molecules, missing for an epoch that `steps` cut short.
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
    return table.reindex(columns=["step", "epoch", *columns]).rename(columns=columns)
