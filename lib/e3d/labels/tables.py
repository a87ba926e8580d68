"""Labels of bonds: one table per molecule, computed in a pool of processes, one CSV file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from e3d.data.molecule import Molecule
from e3d.parallel import map_resumable
from e3d.statistics import rounding


def label_table(
    table_of: Callable[[Molecule], pd.DataFrame],
    molecules: Sequence[Molecule],
    out: str | Path,
    *,
    digits: int = 6,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write the tables of all molecules, below each other, to one CSV file.

    table_of: picklable; raises E3DError for a molecule that has no table; digits: significant ones
    of every float. An interrupted call resumes. Returns the molecules left out, with the reason of
    each. Raises E3DError as `map_resumable` does.
    """
    left_out = map_resumable(
        partial(_write, table_of), molecules, Path(out), partial(_join, digits), key=_name,
        unit="molecule", n_workers=n_workers, progress=progress,
    )  # fmt: skip
    return {entry.name: reason for entry, reason in left_out}


def _name(entry: Molecule) -> str:
    return entry.name


def _write(table_of: Callable[[Molecule], pd.DataFrame], entry: Molecule, path: Path) -> None:
    table_of(entry).to_csv(path, index=False)


def _join(digits: int, paths: list[Path], new: Path) -> None:
    table = pd.concat([pd.read_csv(path, keep_default_na=False) for path in paths])
    rounding.rounded(table, digits).to_csv(new, index=False)
