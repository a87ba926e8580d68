"""Run records: what went into a run, so that its numbers can be traced and made again."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from e3d import files, parallel
from e3d.errors import E3DError, said
from e3d.paths import LOCK, ROOT

#: Packages whose versions change numbers.
PACKAGES = (
    "e3d", "torch", "nequip", "nequip-allegro", "e3nn", "lightning", "numpy", "scipy", "pandas",
    "scikit-learn", "rdkit", "ase", "tblite", "pyscf", "pyscf-dispersion",
)  # fmt: skip
#: Entries of every record, and their types.
RECORD: dict[str, type | tuple[type, ...]] = {
    "name": str, "notebook": str, "parameters": dict, "inputs": dict, "code": str,
    "requirements_lock_sha256": str, "versions": dict, "python": str, "machine": str,
    "wall_time_s": (int, float),
}  # fmt: skip
_AGAIN = "remove it; `dvc repro` makes that of a stage again"


def record(
    name: str,
    notebook: Path,
    parameters: Mapping[str, Any],
    inputs: Iterable[Path],
    *,
    wall_time_s: float,
) -> dict[str, Any]:
    """The record of one run; `inputs` are the files and folders that it read."""
    return {
        "name": name,
        "notebook": _relative(notebook),
        "parameters": dict(parameters),
        "inputs": {_relative(path): files.digest(path) for path in sorted(set(inputs))},
        "code": code_revision(),
        "requirements_lock_sha256": files.sha256(LOCK),
        "versions": {package: version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "machine": machine(),
        "wall_time_s": round(wall_time_s, 1),
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record as JSON, atomically."""
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def read(path: Path) -> dict[str, Any]:
    """A run record. Raises E3DError when the file is damaged or no record."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise E3DError(f"{_relative(path)} is damaged: {said(error)}; {_AGAIN}") from None
    for key, kind in RECORD.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise E3DError(f"{_relative(path)} is no record of a run, for want of {key}; {_AGAIN}")
    return content


def code_revision() -> str:
    """Commit of the checkout, with `+changes` when tracked files differ from it."""
    try:
        revision = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "lib", "notebooks")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"
    return revision + ("+changes" if changed else "")


def machine() -> str:
    """Processor, cores in use, system and GPU, in words."""
    cores = f"{parallel.available_cores()} cores"
    words = f"{_processor()}, {cores}, {platform.system()} {platform.machine()}"
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [line.split(":", 1)[1].strip() for gpu in gpus
              for line in gpu.read_text().splitlines() if line.startswith("Model:")]  # fmt: skip
    return ", ".join([words, *models])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _relative(path: Path) -> str:
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
