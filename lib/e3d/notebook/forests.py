"""Estimates with their intervals, one row each: what a table of bracketed numbers says, to see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from e3d.notebook.pointing import named_points
from e3d.statistics import rounding

#: Colour, marker and whether it is filled.
Style = tuple[str, str, bool]
#: Height of all groups of one row, of the distance between rows.
_SPREAD = 0.64


def forest(
    ax: Axes,
    rows: pd.DataFrame,
    *,
    styles: Mapping[str, Style],
    by: str = "group",
    reference: float | int | None = 0.0,
    decimals: int = 2,
    unit: str = "",
) -> Axes:
    """Estimates as points with bars, in one line for each `label`, first at the top.

    rows: `label`, `value`, `low`, `high` (NaN where there is no interval) and the group, a column
    named `by`, which decides on colour, marker and, where lines have several, place within the
    line; a column `name`, where there is one, is what a point says when pointed at, before its
    numbers. styles: of the groups, in their order; a group without rows is left out. reference:
    where a line is drawn.

    Raises KeyError for a group without a style.
    """
    ends = ["value", "low", "high"]
    rows = rows.assign(**{end: pd.to_numeric(rows[end]).astype(float) for end in ends})
    labels = list(dict.fromkeys(rows["label"]))
    line_of = {label: k for k, label in enumerate(labels)}
    drawn = [group for group in styles if group in set(rows[by])]
    if unknown := set(rows[by]) - set(styles):
        raise KeyError(f"no style for {', '.join(map(str, sorted(unknown)))}")
    alone = not rows["label"].duplicated().any()
    for k, group in enumerate(drawn):
        own = rows[rows[by] == group]
        shift = 0.0 if alone else _SPREAD * ((k + 0.5) / len(drawn) - 0.5)
        at = own["label"].map(line_of).to_numpy(float) + shift
        colour, marker, filled = styles[group]
        ax.hlines(at, own["low"], own["high"], color=colour, lw=1.2)
        names = [_said(row, by, decimals, unit) for row in own.to_dict("records")]
        named_points(ax, own["value"], at, names, marker=marker, color=colour, size=5,
                     filled=filled, label=str(group))  # fmt: skip
    if reference is not None:
        ax.axvline(reference, color="0.4", lw=0.8, zorder=0)
    ax.set_yticks(np.arange(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.grid(visible=False, axis="y")
    return ax


def _said(row: Mapping[str, object], by: str, decimals: int, unit: str) -> str:
    name = row.get("name") or f"{row['label']}, {row[by]}"
    found = {key: float(row[key]) for key in ("value", "low", "high")}  # type: ignore[arg-type]
    return f"{name}: {rounding.spelled(pd.Series(found), decimals)} {unit}".strip()
