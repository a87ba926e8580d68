"""Results of single models, kept in files, so that an interrupted assessment resumes.

A piece is a table. Its file is named after everything that it depends on: the model's file, the
molecules, and the code that computes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from e3d import files
from e3d.paths import RUNS

#: Where pieces are kept unless a folder is given.
FOLDER = RUNS / "assess"
#: Modules, in this library, whose code decides what is in a piece.
_CODE = (
    "assess/networks", "assess/standard", "chemistry/bonding", "chemistry/topology",
    "decomposition/edges", "decomposition/forward", "decomposition/maps",
    "decomposition/pair_labels", "decomposition/pair_statistics", "decomposition/tables",
    "models/allegro", "models/batches", "models/compiled", "training/evaluation",
)  # fmt: skip
_PACKAGES = ("torch", "nequip", "nequip-allegro")


class Cache:
    """Tables in a folder, by what they were computed from."""

    def __init__(self, folder: str | Path = FOLDER) -> None:
        self.folder = Path(folder)

    def path(self, *parts: object) -> Path:
        """Where the piece lies that depends on these parts, and on the code."""
        text = "\n".join([code_digest(), *map(str, parts)])
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.csv"

    def read(self, path: Path) -> pd.DataFrame:
        """A piece, number for number as it was written."""
        return pd.read_csv(path)

    def get(self, compute: Callable[[], pd.DataFrame], *parts: object) -> pd.DataFrame:
        """The piece that depends on the parts, computed and written if it is not there."""
        path = self.path(*parts)
        if not path.exists():
            self.write(path, compute())
        return self.read(path)

    def write(self, path: Path, table: pd.DataFrame) -> None:
        """Write a piece, complete or not at all."""
        with files.replacing(path) as temporary:
            table.to_csv(temporary, index=False)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of the modules and versions of packages that pieces depend on."""
    root = Path(__file__).resolve().parents[1]
    listing = [f"{name} {files.sha256(root / f'{name}.py')}" for name in _CODE]
    listing += [f"{package} {version(package)}" for package in _PACKAGES]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()
