"""What differs between two runs: parameters, values of result tables, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e3d import files
from e3d.compendium.difference.runs import Run
from e3d.compendium.difference.tables import Change, FileDifference, Tolerance, compare_files
from e3d.errors import E3DError

#: Results that are compared value by value; of other files it is said whether they are equal.
TABLES = (".csv", ".json")
EXACT = Tolerance()


@dataclass(frozen=True)
class Difference:
    """Two runs: what differs, and what went into them.

    tables: all that both have; other: files of other kinds whose bytes differ; not_compared: what
    a commit does not hold; origin: code, data and packages that differ, which explain a difference
    and are none.
    """

    before: str
    after: str
    parameters: list[Change]
    unknown_parameters: list[str]  #: runs that have no record of theirs
    tables: list[FileDifference]
    only_before: list[str]
    only_after: list[str]
    not_compared: list[str]
    other: list[str]
    origin: list[Change]

    @property
    def differs(self) -> bool:
        found = (self.parameters, self.only_before, self.only_after, self.other)
        return any(map(bool, found)) or any(table.differs for table in self.tables)


def compare(before: Run, after: Run, tolerance: Tolerance = EXACT) -> Difference:
    """The difference of two runs, files in alphabetical order.

    Raises E3DError for a table that cannot be read, and when no file is in both.
    """
    both = sorted(before.files.keys() & after.files.keys())
    if not both:
        raise E3DError(
            f"{before.title} and {after.title} have no result file in common; two runs of one "
            "notebook are compared"
        )
    tables = [name for name in both if name.endswith(TABLES)]
    known = before.parameters is not None and after.parameters is not None
    return Difference(
        before=before.title,
        after=after.title,
        parameters=list(_entries(before.parameters or {}, after.parameters or {})) if known else [],
        unknown_parameters=[run.title for run in (before, after) if run.parameters is None],
        tables=[
            compare_files(name, before.files[name], after.files[name], tolerance) for name in tables
        ],
        only_before=_only(before, after),
        only_after=_only(after, before),
        not_compared=sorted({*before.absent, *after.absent}),
        other=[
            name
            for name in both
            if name not in tables
            and files.sha256(before.files[name]) != files.sha256(after.files[name])
        ],
        origin=list(_entries(before.origin, after.origin))
        if before.origin and after.origin
        else [],
    )


def _only(one: Run, other: Run) -> list[str]:
    """Files of one run that the other should have too."""
    return sorted(
        name
        for name in one.files.keys() - other.files.keys()
        if not any(Path(name).is_relative_to(absent) for absent in other.absent)
    )


def _entries(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield Change("", name, before.get(name), after.get(name))
