"""Figures of an assessment as SVG: parity, histogram of ε, E3D maps. Colours come from the page.

Every figure has a `<title>` that says what it shows; its text scales with the page's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

#: Size of a panel and its margins, in units of the view box.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 320, 260, 46, 40, 22, 10
_STEPS = (1, 2, 2.5, 5, 10)


def parity(
    rows: pd.DataFrame, reference: str, column: str, other: str | None, *, title: str
) -> str:
    """Values against references in kcal/mol, those of a null model as squares, with the diagonal.

    rows: columns reference, column, other and `label`, the text of each point.
    """
    shown = rows.dropna(subset=[reference, column])
    values = shown[[c for c in (reference, column, other) if c]].to_numpy(float)
    low, high = min(float(np.nanmin(values)), 0.0), float(np.nanmax(values))
    span = (low, high + 0.04 * (high - low))
    panel = _Panel(span, span)
    marks = [panel.line((span[0], span[0]), (span[1], span[1]), "diagonal")]
    for row in shown.to_dict("records"):
        if other and np.isfinite(row[other]):
            x, y = panel.at(row[reference], row[other])
            marks.append(
                f'<rect class="null" x="{x - 2:.1f}" y="{y - 2:.1f}" width="4" height="4"/>'
            )
    for row in shown.to_dict("records"):
        x, y = panel.at(row[reference], row[column])
        text = f"{row['label']}: {row[column]:.1f}, reference {row[reference]:.1f} kcal/mol"
        marks.append(f'<circle class="own" cx="{x:.1f}" cy="{y:.1f}" r="3.4">'
                     f"<title>{escape(text)}</title></circle>")  # fmt: skip
    return panel.svg(marks, title, "reference (kcal/mol)", "bond energy (kcal/mol)")


def histogram(sources: Sequence[tuple[str, np.ndarray]], edges: np.ndarray, *, title: str) -> str:
    """Weight by energy in eV; sources: class of the line in the page, and weights per bin."""
    top = 1.05 * max(float(weights.max()) for _, weights in sources)
    panel = _Panel((float(edges[0]), float(edges[-1])), (0.0, top))
    marks = []
    for name, weights in sources:
        steps = [panel.at(edges[0], 0.0)]
        for k, weight in enumerate(weights):
            steps += [panel.at(edges[k], weight), panel.at(edges[k + 1], weight)]
        steps.append(panel.at(edges[-1], 0.0))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
        marks.append(f'<polyline class="{escape(name)}" points="{points}"/>')
    return panel.svg(marks, title, "ε (eV)", "molecules")


def energy_map(
    table: pd.DataFrame, span: tuple[tuple[float, float], tuple[float, float]], *, title: str
) -> str:
    """E3D map of one element pair: columns length_A, energy_eV (centres of bins) and count.

    span: ranges of lengths in Å and energies in eV.
    """
    panel = _Panel(*span)
    inside = table[table["length_A"].between(*span[0]) & table["energy_eV"].between(*span[1])]
    top = np.log1p(float(table["count"].max()))
    (x0, y0), (x1, y1) = panel.at(0.0, 0.1), panel.at(0.05, 0.0)  # the size of a bin
    marks = []
    for length, energy, count in inside[["length_A", "energy_eV", "count"]].to_numpy(float):
        x, y = panel.at(length, energy)
        marks.append(
            f'<rect class="bin" x="{x - (x1 - x0) / 2:.1f}" y="{y - (y1 - y0) / 2:.1f}" '
            f'width="{x1 - x0:.1f}" height="{max(y1 - y0, 1):.1f}" '
            f'opacity="{0.2 + 0.8 * np.log1p(count) / top:.2f}"/>'
        )
    return panel.svg(marks, title, "distance (Å)", "ε (eV)")


class _Panel:
    """Axes of a panel, from ranges of x and y."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point in the view box."""
        right = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (LEFT + right * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP))  # fmt: skip

    def line(self, start: tuple[float, float], end: tuple[float, float], name: str) -> str:
        (x, y), (u, v) = self.at(*start), self.at(*end)
        return f'<line class="{name}" x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}"/>'

    def svg(self, marks: Sequence[str], title: str, xlabel: str, ylabel: str) -> str:
        """The panel with its axes and labels."""
        axes = []
        for tick in _ticks(*self.x):
            x, y = self.at(tick, self.y[0])
            axes += [
                f'<line class="axis" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}"/>',
                f'<text x="{x:.1f}" y="{y + 15}" text-anchor="middle">{tick:g}</text>',
            ]
        for tick in _ticks(*self.y):
            x, y = self.at(self.x[0], tick)
            axes += [
                f'<line class="axis" x1="{x - 4}" y1="{y:.1f}" x2="{x}" y2="{y:.1f}"/>',
                f'<text x="{x - 7}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>',
            ]
        frame = (
            f'<path class="axis" d="M{LEFT} {TOP} V{HEIGHT - BOTTOM} H{WIDTH - RIGHT}"/>'
            f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{xlabel}</text>'
            f'<text transform="translate(11 {(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)" '
            f'text-anchor="middle">{ylabel}</text>'
            f'<text x="{LEFT}" y="13" class="head">{escape(title)}</text>'
        )
        return (
            f'<svg class="panel" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(title)}">{"".join(axes)}{frame}{"".join(marks)}</svg>'
        )


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers within a range."""
    size = 10.0 ** np.floor(np.log10((high - low) / 5))
    step = next(s * size for s in _STEPS if (high - low) / (s * size) <= 7)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{k * step:.6g}") for k in range(first, last + 1)]
