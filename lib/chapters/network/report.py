"""Tables and sentences about what probes explain, task by task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from e3d.statistics import rounding
from e3d.statistics.intervals import Estimate


def by_task(found: Mapping[Any, Estimate], titles: Mapping[str, str]) -> pd.DataFrame:
    """Estimates as texts, one column for each task, rows in the order in which keys appear.

    found: keys are tuples that begin with the name of a task; titles of the columns by task. A task
    without an estimate in a row has a dash.
    """
    rows = list(dict.fromkeys(key[1:] for key in found))
    table = pd.DataFrame(
        [[rounding.spelled(found.get((task, *row)), 2) for task in titles] for row in rows],
        columns=list(titles.values()),
    )
    single = len(rows[0]) == 1
    table.index = pd.Index([row[0] for row in rows]) if single else pd.MultiIndex.from_tuples(rows)
    return table


def compared(found: Mapping[str, Estimate], what: str) -> str:
    """Which differences are above zero, below, or neither, by name, in words.

    "more than random weights (order, BDE); not measurably more than random weights (length)"
    """
    outcome = rounding.by_outcome(
        found, more=f"more than {what}", less=f"less than {what}",
        same=f"not measurably more than {what}",
    )  # fmt: skip
    return "; ".join(f"{words} ({', '.join(names)})" for words, names in outcome.items() if names)


def first_above_zero(found: Mapping[Hashable, Estimate]) -> Hashable | None:
    """The first key whose whole interval is above zero, None if there is none."""
    return next((key for key, one in found.items() if (one["low"] or 0) > 0), None)
