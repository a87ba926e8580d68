"""Run `nequip-train` and have it write a checkpoint folder of its result.

This process stays small: torch, Lightning and nequip are imported by nequip-train alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from e3d import files
from e3d.data.dataset import Dataset
from e3d.data.guarded import require_opens
from e3d.errors import E3DError
from e3d.memory import ENVIRONMENT
from e3d.training.nequip import configuration, with_types_of_checkpoint
from e3d.training.settings import Hardware, Settings, is_large, resolved
from e3d.training.zero import given_zero

#: The line of a log that says what went wrong.
_ERROR = re.compile(r"(\w+\.)*\w*(Error|Exception|Interrupt|Exit)\b")


def train(
    settings: Settings,
    out: str | Path,
    *,
    hardware: Hardware | None = None,
    work: str | Path = "runs/training",
    progress: bool = False,
) -> None:
    """Train with `nequip-train` and write the checkpoint folder `out`.

    The state of the run is kept after every epoch in a folder of its own under `work`, named after
    the settings, so that a call after a kill goes on, on whatever hardware, and ends in the model
    of an uninterrupted run. It is removed at the end. Large data sets are indexed first, with a
    progress bar if `progress`.

    Raises E3DError when nequip-train fails, and then its log stays; and when another process runs
    the same training.
    """
    out, settings, hardware = Path(out).resolve(), resolved(settings), hardware or Hardware()
    for path in settings.paths:
        require_opens(path)
    told = asdict(settings)
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    folder = (Path(work) / f"{out.name}-{digest[:8]}").resolve()
    with files.locked(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _prepare_index(settings, progress=progress)
        content = configuration(settings, folder, hardware)
        with files.replacing(folder / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False))
        with files.replacing(folder / "run.json") as temporary:
            temporary.write_text(json.dumps({
                "out": str(out),
                "dataset": _about(settings),
                "training": told,
                "started": time.time(),
                "resumed": (folder / "state.ckpt").exists(),
            }))  # fmt: skip
        _run_nequip(folder, settings.batch_size, hardware)
        for line in (folder / "left_out.txt").read_text().splitlines():
            print(f"left out: {line}")
        shutil.rmtree(folder)


def _prepare_index(settings: Settings, *, progress: bool = False) -> None:
    """Index large data sets once, before the processes of a training read them."""
    if not any(Path(path).exists() and is_large(Path(path)) for path in settings.paths):
        return
    from e3d.training.index import Selection  # imports pandas
    from e3d.training.indexing import index

    settings = with_types_of_checkpoint(settings)
    wanted = tuple(e for e in settings.elements or settings.types if e in settings.types)
    selection = Selection(
        wanted, settings.charges, settings.subsets, settings.without_subsets,
        settings.gradient_limit, settings.radicals,
    )  # fmt: skip
    paths = [str(Path(path).resolve()) for path in settings.paths]
    index(paths, selection, given_zero(settings), progress=progress)


def _about(settings: Settings) -> dict[str, Any]:
    """What a checkpoint tells of its data; nequip-train adds their hashes."""
    with Dataset(settings.dataset) as dataset:
        level = dataset.attributes.get("level_of_theory", settings.level_of_theory or "unknown")
    return {
        "path": settings.dataset,
        "sha256": "",
        "level_of_theory": level,
        "more": list(settings.more_datasets),
    }


def command(folder: Path, hardware: Hardware) -> list[str]:
    """Words of the command that trains with the configuration in `folder`, or goes on with it."""
    words = [*shlex.split(hardware.launcher), sys.executable, "-m", "nequip.scripts.train",
             "-cp", str(folder), "-cn", "config", f"hydra.run.dir={folder}"]  # fmt: skip
    state = folder / "state.ckpt"
    return [*words, f"++ckpt_path={state}"] if state.exists() else words


def _run_nequip(folder: Path, batch_size: int, hardware: Hardware) -> None:
    (folder / "finished").unlink(missing_ok=True)
    with open(folder / "train.log", "a") as log:
        # not into a notebook's output, which would have thousands of lines of progress
        try:
            done = subprocess.run(command(folder, hardware), stdout=log, stderr=subprocess.STDOUT,
                                  env=ENVIRONMENT | os.environ)  # fmt: skip
        except OSError as error:
            raise E3DError(
                f"cannot start {hardware.launcher or sys.executable!r} ({error.strerror}); is the "
                "launcher installed?"
            ) from error
    if done.returncode != 0:
        raise E3DError(
            f"nequip-train ended with code {done.returncode}: {_cause(folder / 'train.log')}; the "
            f"log is {folder / 'train.log'}, and calling again resumes"
        )
    if not (folder / "state.ckpt").exists():
        raise E3DError(
            f"nequip-train made no step: the training fold has fewer than one batch of "
            f"{batch_size} conformations; lower batch_size"
        )
    if not (folder / "finished").exists():
        raise E3DError(
            f"nequip-train stopped before its last step; the log is {folder / 'train.log'}, and "
            "calling again resumes"
        )


def _cause(log: Path) -> str:
    """The last line of a log that names an error, or else the last."""
    lines = log.read_text(errors="replace").replace("\r", "\n").strip().splitlines()
    errors = [line for line in lines[-200:] if _ERROR.match(line)]
    return (errors or lines or ["no output"])[-1].removeprefix("e3d.errors.E3DError: ")
