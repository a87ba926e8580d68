"""What runs inside nequip-train: keeping weights, the learning curve, and the checkpoint folder."""

from __future__ import annotations

import csv
import json
import os
import time
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from e3d import files
from e3d.data.left_out import LeftOut
from e3d.models.checkpoint import save_checkpoint

#: Column of history.csv → what nequip calls it.
COLUMNS = {
    "train_energy_mse": "train_loss_epoch/per_atom_energy_mse",
    "train_forces_mse": "train_loss_epoch/forces_mse",
    "conformations_energy_mae": "val0_epoch/per_atom_energy_mae",
    "conformations_forces_mae": "val0_epoch/forces_mae",
    "molecules_energy_mae": "val1_epoch/per_atom_energy_mae",
    "molecules_forces_mae": "val1_epoch/forces_mae",
}


class StopWithParent(Callback):  # type: ignore[misc]
    """Ends a training whose caller was killed, so that a later call has its files to itself."""

    def __init__(self) -> None:
        self.parent = os.getppid()

    def on_train_batch_start(self, *_: Any) -> None:
        if os.getppid() != self.parent:
            raise SystemExit("the process that started this training is gone")


class Results(Callback):  # type: ignore[misc]
    """Keeps the averaged weights after each of `steps`, the learning curve and, at the end, all.

    `folder` is that of the run: `weights-STEP.safetensors` are kept there, and its `run.json`, see
    `train`, says where the checkpoint folder goes and what it tells of the run. The learning curve
    is part of the state of the training, so that a kill does not tear holes into it.
    """

    def __init__(self, folder: str, steps: list[int]):
        self.folder, self.steps = Path(folder), set(steps)
        self.rows: list[dict[str, Any]] = []
        self.validated = -1
        self.left_out, self.elements = LeftOut(), list[str]()

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        trained_on = trainer.datamodule.train_dataset[0]
        self.left_out, self.elements = trained_on.left_out, trained_on.elements
        if trainer.is_global_zero:
            with files.replacing(self.folder / "left_out.txt") as new:
                new.write_text("".join(f"{line}\n" for line in self.left_out.lines()))

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if trainer.global_step not in self.steps or not trainer.is_global_zero:
            return
        module.ema.swap_parameters(module.model)
        weights = module.model["sole_model"].state_dict()
        with files.replacing(self.folder / f"weights-{trainer.global_step}.safetensors") as new:
            save_file({key: value.contiguous() for key, value in weights.items()}, new)
        module.ema.swap_parameters(module.model)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self.validated = trainer.current_epoch

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the epoch that ends; nequip-train writes its state once, at the end of each.

        After a restart, Lightning ends the epoch before it once more, without its steps.
        """
        if not self.rows or self.rows[-1]["epoch"] < trainer.current_epoch:
            self.rows = [*self.rows, self._row(trainer)]
        checkpoint["e3d_history"] = self.rows

    def _row(self, trainer: Any) -> dict[str, Any]:
        found = trainer.callback_metrics
        row: dict[str, Any] = {"step": trainer.global_step - 1, "epoch": trainer.current_epoch}
        for name, key in COLUMNS.items():
            known = name.startswith("train") or self.validated == trainer.current_epoch
            row[name] = float(found[key]) if known and key in found else None
        return row

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        self.rows = checkpoint.get("e3d_history", [])

    def on_fit_end(self, trainer: Any, module: Any) -> None:
        about = self.folder / "run.json"  # missing when nequip-train was started by hand
        finished = trainer.global_step >= trainer.max_steps and about.exists()
        if not trainer.is_global_zero or not finished:
            return
        run = json.loads(about.read_text())
        resolved = dict(module.hparams["info_dict"]["training_module"]["model"])
        resolved = dict(resolved.get("architecture", resolved))
        for key in ("_target_", "compile_mode", "checkpoint"):
            resolved.pop(key, None)
        dataset = run["dataset"]
        dataset["sha256"] = files.sha256(dataset["path"])
        dataset["more"] = {path: files.sha256(path) for path in dataset["more"]}
        dataset["elements"] = self.elements
        if self.left_out:
            dataset["left_out"] = self.left_out.as_dict()
        used = os.times()
        cost = {  # of the first process, and of the last part when the run was resumed
            "cpu_seconds": round(sum(used[:4])),
            "wall_seconds": round(time.time() - run["started"]),
            "resumed": run["resumed"],
        }
        module.ema.swap_parameters(module.model)
        save_checkpoint(
            run["out"], module.model["sole_model"], resolved, dataset=dataset,
            training=run["training"], cost=cost, history=history(self.rows),
            snapshots=sorted(self.folder.glob("weights-*.safetensors")),
        )  # fmt: skip
        module.ema.swap_parameters(module.model)
        (self.folder / "finished").touch()


def history(rows: list[dict[str, Any]]) -> str:
    """Text of history.csv: the learning curve of a run, one row per epoch.

    Columns: step, epoch, train_energy_mse (eV²/atom²), train_forces_mse (eV²/Å²), and the
    validation MAEs of energy (eV/atom) and forces (eV/Å) on held-out conformations and on held-out
    molecules, missing for an epoch that `steps` cut short.
    """
    text = StringIO()
    writer = csv.DictWriter(text, ["step", "epoch", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
