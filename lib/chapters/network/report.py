"""Tables and sentences about what probes explain, task by task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from e3d.statistics import rounding
from e3d.statistics.intervals import Estimate


def long_table(found: Mapping[Any, Estimate], titles: Mapping[str, str]) -> pd.DataFrame:
    """Estimates as a table with one row each: task, key, place, label, value, low, high, n.

    found: keys are tuples of the name of a task, what is asked, and, if there is one, a place of
    the network; titles: of the tasks, by name. `label` is what is asked, with its place.
    """
    rows = []
    for (task, key, *place), one in found.items():
        label = ", ".join([*place, key])
        rows.append(
            {"task": titles[task], "key": key, "place": "".join(place), "label": label, **one}
        )
    return pd.DataFrame(rows)


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
