"""Figures to point at: points that say their name, and maps that say what a cell counts.

Matplotlib writes an identifier of one's choice (`gid`) into an SVG; names and counts travel there,
and `titled` turns them into titles of elements, which any browser shows, and into data for the
script of the book, which shows them on a touch and by the keyboard as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from numpy.typing import ArrayLike

from e3d.errors import E3DError

_POINTS, _CELLS = "points:", "cells:"
#: A group of points, closed at the indentation at which it was opened.
_GROUP = re.compile(
    rf"""^( *)<g id=(["']){_POINTS}((?:(?!\2).)*)\2>\n(.*?)^\1</g>$""", re.MULTILINE | re.DOTALL
)
_MAP = re.compile(rf"""<g id=(["']){_CELLS}""")
_DEFINITIONS = re.compile(r"<defs>.*?</defs>", re.DOTALL)
_ELEMENT = re.compile(r"<(?:use|path)\b[^>]*/>")


def named_points(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    names: Iterable[str],
    *,
    size: float | int = 4.0,
    marker: str = "o",
    color: str = "C0",
    filled: bool = True,
    alpha: float | int = 1.0,
    label: str | None = None,
    zorder: float | int = 3.0,
) -> Axes:
    """Points that say their name when a reader of the book points at them.

    x, y (n,) in the units of the axes, names (n,): one line of text each; points that are not
    finite are left out. size: diameter in points; a `label` appears once in the legend. Raises
    ValueError where there are more or fewer names than points.
    """
    at = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    texts = [" ".join(str(name).split()) for name in names]
    if len(texts) != at.shape[1]:
        raise ValueError(f"{len(texts)} names for {at.shape[1]} points; give one name for each")
    shown = np.isfinite(at).all(axis=0)
    can_be_filled = MarkerStyle(marker).is_filled()
    hollow = can_be_filled and not filled
    points = ax.scatter(
        at[0, shown], at[1, shown], s=size**2, c=None if hollow else color, marker=marker,
        linewidths=0 if can_be_filled and filled else 1.1, alpha=alpha, label=label, zorder=zorder,
    )  # fmt: skip
    if hollow:
        points.set(facecolor="none", edgecolor=color)
    if shown.any():  # an empty group of an SVG has nothing to name
        points.set_gid(_POINTS + "\n".join(np.array(texts, dtype=object)[shown]))
    return ax


def counted_cells(
    ax: Axes, grid: pd.DataFrame, *, name: str, units: tuple[str, str], what: str
) -> Axes:
    """Let the cells of a map say their place and their count when a reader points at them.

    grid: counts, its columns and index the centres of regular bins along x and y, in `units`;
    missing where there are none. `what` is counted.
    """
    x, y = (np.asarray(axis, dtype=float) for axis in (grid.columns, grid.index))
    values = grid.fillna(0).to_numpy().astype(int)
    rows, columns = values.nonzero()
    counts = np.stack([columns, rows, values[rows, columns]], axis=1)
    steps = [float(np.diff(axis).min()) if len(axis) > 1 else 1.0 for axis in (x, y)]
    told = {"name": name, "what": what, "units": list(units),
            "first": [float(x[0]), float(y[0])], "step": [round(step, 9) for step in steps],
            "counts": counts.ravel().tolist()}  # fmt: skip
    ax.set_gid(_CELLS + json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return ax


def with_limits(fig: Figure) -> None:
    """Tell the maps of a figure, which is about to be written, the limits of their axes."""
    for ax in fig.axes:
        if (ax.get_gid() or "").startswith(_CELLS):
            told = json.loads(ax.get_gid().removeprefix(_CELLS))  # type: ignore[union-attr]
            told["limits"] = [list(map(float, ax.get_xlim())), list(map(float, ax.get_ylim()))]
            ax.set_gid(_CELLS + json.dumps(told, ensure_ascii=False, separators=(",", ":")))


def titled(svg: str) -> str:
    """SVG text, as matplotlib writes it, in which named points have titles and maps their data.

    Raises E3DError where a group has not as many points as names: then a logarithmic axis has left
    points out.
    """
    return _GROUP.sub(_with_titles, _MAP.sub(r'<g class="cells" data-cells=\1', svg))


def _with_titles(group: re.Match[str]) -> str:
    indent, names, body = group[1], group[3].split("\n") if group[3] else [], group[4]
    definitions = "".join(_DEFINITIONS.findall(body))
    elements = _ELEMENT.findall(_DEFINITIONS.sub("", body))
    if len(elements) != len(names):
        raise E3DError(
            f"{len(names)} names for {len(elements)} drawn points, the first {names[:1]}; a "
            "logarithmic axis leaves out what is not positive: leave it out before it is drawn"
        )
    clip = re.search(r'clip-path="[^"]*"', _DEFINITIONS.sub("", body))
    points = "\n".join(f'{indent} <g class="point"><title>{name}</title>{element}</g>'
                       for name, element in zip(names, elements, strict=True))  # fmt: skip
    return (f"{indent}<g{f' {clip[0]}' if clip else ''}>\n{indent} {definitions}\n{points}\n"
            f"{indent}</g>")  # fmt: skip
