"""Result tables of two runs, value by value: CSV, and JSON as a table of its values.

Rows of a table are found again by what they are called, not by where they stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from e3d import files
from e3d.errors import E3DError, said


@dataclass(frozen=True)
class Tolerance:
    """Numbers are equal where |after − before| ≤ absolute + relative · |before|.

    Raises E3DError for a limit that is negative or no finite number.
    """

    relative: float = 0.0
    absolute: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("--rtol", self.relative), ("--atol", self.absolute)):
            if not 0 <= value < np.inf:
                raise E3DError(f"{name} {value:g}: expected a number from 0 on, such as 0.001")

    def equal(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Where two arrays agree; two missing numbers (NaN) do."""
        with np.errstate(invalid="ignore"):
            near = np.abs(after - before) <= self.absolute + self.relative * np.abs(before)
        return near | (before == after) | (np.isnan(before) & np.isnan(after))


@dataclass(frozen=True)
class Change:
    """One value that differs. row, column: where it stands; None: not there."""

    row: str
    column: str
    before: Any
    after: Any

    @property
    def relative(self) -> float | None:
        """(after − before) / |before|; None where it is not defined."""
        pair = (self.before, self.after)
        if any(isinstance(x, bool) or not isinstance(x, int | float) for x in pair):
            return None
        before, after = map(float, pair)
        return (after - before) / abs(before) if before and np.isfinite(after - before) else None


@dataclass(frozen=True)
class FileDifference:
    """A file that both runs have. rows_*, columns_*: those that only one of them has."""

    name: str
    n_values: int  #: compared: in rows and columns that both have
    changes: list[Change] = field(default_factory=list)
    rows_before: list[str] = field(default_factory=list)
    rows_after: list[str] = field(default_factory=list)
    columns_before: list[str] = field(default_factory=list)
    columns_after: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        parts = (self.changes, self.rows_before, self.rows_after)
        return any(map(bool, (*parts, self.columns_before, self.columns_after)))


def compare_files(name: str, before: Path, after: Path, tolerance: Tolerance) -> FileDifference:
    """The difference of two files, CSV or JSON. Raises E3DError for one that cannot be read."""
    if files.sha256(before) == files.sha256(after):
        return FileDifference(name, _size(before))
    read = _read_csv if name.endswith(".csv") else _read_json
    return compare_tables(name, read(before), read(after), tolerance)


def _size(path: Path) -> int:
    table = _read_csv(path) if path.suffix == ".csv" else _read_json(path)
    return int(table.size if path.suffix == ".csv" else table.notna().sum().sum())


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OSError) as error:
        raise E3DError(f"{path} is no table (CSV): {said(error)}") from None


def _read_json(path: Path) -> pd.DataFrame:
    """The values of nested mappings and lists; one row, by their path, for each group of them."""
    try:
        leaves = list(_leaves(json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, OSError, RecursionError) as error:
        raise E3DError(f"{path} is no JSON: {said(error)}") from None
    rows: dict[str, dict[str, Any]] = {}
    for path_, value in leaves:
        rows.setdefault(" / ".join(path_[:-1]), {})[path_[-1] if path_ else "value"] = value
    return pd.DataFrame(
        {column: [row.get(column) for row in rows.values()] for column in
         dict.fromkeys(name for row in rows.values() for name in row)},
        index=pd.Index(list(rows), dtype=object), dtype=object,
    )  # fmt: skip


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    match content:
        case dict() if content:
            for name, value in content.items():
                yield from _leaves(value, (*path, str(name)))
        case list() if content:
            for k, value in enumerate(content):
                yield from _leaves(value, (*path, str(k)))
        case _:
            yield path, content


def compare_tables(
    name: str, before: pd.DataFrame, after: pd.DataFrame, tolerance: Tolerance
) -> FileDifference:
    """The values in which two tables differ, rows and columns that only one of them has.

    Tables with a named index are compared row by row of it (as metrics are); otherwise the rows
    are named by the columns that tell them apart, text before numbers.
    """
    common = [column for column in before.columns if column in after.columns]
    old, new = _aligned(before, after, common)
    rows = old.index.intersection(new.index, sort=False)
    changes: list[tuple[int, int, Change]] = []
    n_values = 0
    for place, column in enumerate(common):
        x, y = old.loc[rows, column], new.loc[rows, column]
        n_values += int((x.notna() | y.notna()).sum())
        for k in np.flatnonzero(~_equal(x, y, tolerance)):
            found = Change(rows[k], str(column), _plain(x.iloc[k]), _plain(y.iloc[k]))
            changes.append((int(k), place, found))
    return FileDifference(
        name,
        n_values,
        changes=[change for _, _, change in sorted(changes, key=lambda entry: entry[:2])],
        rows_before=list(old.index.difference(new.index, sort=False)),
        rows_after=list(new.index.difference(old.index, sort=False)),
        columns_before=[str(c) for c in before.columns if c not in common],
        columns_after=[str(c) for c in after.columns if c not in common],
    )


def _equal(x: pd.Series, y: pd.Series, tolerance: Tolerance) -> np.ndarray:
    if _numeric(x) and _numeric(y):
        return tolerance.equal(x.to_numpy(float), y.to_numpy(float))
    pairs = zip(x, y, strict=True)
    return np.array([_same(a, b, tolerance) for a, b in pairs], bool)


def _same(a: Any, b: Any, tolerance: Tolerance) -> bool:
    """Whether two values of any kind agree; text that holds a number is text."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
    if numbers:
        return bool(tolerance.equal(np.array([float(a)]), np.array([float(b)]))[0])
    return bool((pd.isna(a) and pd.isna(b)) or (type(a) is type(b) and a == b))


def _aligned(
    before: pd.DataFrame, after: pd.DataFrame, common: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, their rows named so that equal names mean the same row."""
    if before.index.dtype == object:
        return before, after
    text = [c for c in common if not (_numeric(before[c]) and _numeric(after[c]))]
    keys = _telling(before, after, text)
    if keys is None:
        in_order = len(before) == len(after) and all(
            before[c].astype(str).equals(after[c].astype(str)) for c in text
        )
        whole = [c for c in common if c not in text and _whole(before[c]) and _whole(after[c])]
        rest = [c for c in common if c not in text and c not in whole]
        keys = text if in_order else _telling(before, after, [*text, *whole, *rest]) or text
    return _named(before, keys), _named(after, keys)


def _telling(
    before: pd.DataFrame, after: pd.DataFrame, candidates: Sequence[str]
) -> list[str] | None:
    """The first columns that tell all rows of either table apart; None where all do not."""
    for n in range(1, len(candidates) + 1):
        keys = list(candidates[:n])
        if not (before.duplicated(keys).any() or after.duplicated(keys).any()):
            return keys
    return None


def _named(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """A table whose index names its rows; those of one name are numbered in their order."""
    parts = [[_word(value) for value in table[key]] for key in keys]
    names = pd.Series(list(map(" · ".join, zip(*parts, strict=True))) if keys else "", table.index)
    if names.duplicated().any() or not keys:
        number = names.groupby(names).cumcount() + 1
        names = (names + " row " + number.astype(str)).str.strip()
    return table.set_axis(pd.Index(names, dtype=object))


def _word(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _whole(values: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(values)


def _plain(value: Any) -> Any:
    """A value of Python; None where there is none."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or (isinstance(value, float) and np.isnan(value)) else value
