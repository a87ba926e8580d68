"""Where the value of a bond lies: a strip with its class, references and fragment BDE, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from e3d.decomposition.text import FRAGMENT

#: The shapes of a bond's own value, a reference and a fragment BDE, around the middle of x.
_OWN, _KNOWN, _FRAGMENT = (
    '<circle class="own" cx="{x}" cy="10" r="4"/>',
    '<path class="known" d="M{x} 4 l5 6 l-5 6 l-5 -6 z"/>',
    '<path class="fragment" d="M{x} 2 v16"/>',
)


def span(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Smallest and largest value that the strip of any row shows, with a margin."""
    shown = [row["bde_kcal_per_mol"] for row in rows]
    for row in rows:
        shown += [
            (row.get("class_kcal_per_mol") or {}).get(end, shown[0]) for end in ("low", "high")
        ]
        shown += [entry["value_kcal_per_mol"] for entry in row.get("references", [])]
        shown += [] if row.get(FRAGMENT) is None else [row[FRAGMENT]]
    low, high = min(shown), max(shown)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def strip(row: dict[str, Any], low: float, high: float) -> str:
    """Where a value lies among those of its class, and what is known of it."""

    def at(value: float) -> float:
        return round(200 * (value - low) / (high - low), 1)

    own, spread = row["bde_kcal_per_mol"], row["std_kcal_per_mol"] or 0.0
    parts, label = [], f"{own:.1f}"
    if found := row.get("class_kcal_per_mol"):
        first, last = at(found["quarter"]), at(found["three_quarters"])
        parts += [
            _line("range", at(found["low"]), at(found["high"])),
            f'<rect class="half" x="{first}" width="{max(last - first, 1):.1f}" y="5" '
            'height="10"/>',
            _line("median", at(found["median"]), at(found["median"]), 5, 15),
        ]
        label += (
            f"; {found['n_molecules']} molecules with this class: {found['low']:.0f} to "
            f"{found['high']:.0f}, median {found['median']:.0f}"
        )
    if (broken := row.get(FRAGMENT)) is not None:
        parts.append(_FRAGMENT.format(x=at(broken)))
        label += f"; fragment {broken:.1f}"
    for entry in row.get("references", []):
        parts.append(_KNOWN.format(x=at(entry["value_kcal_per_mol"])))
        label += f"; reference {entry['value_kcal_per_mol']:.1f}"
    parts.append(_line("std", at(own - spread), at(own + spread)))
    parts.append(_OWN.format(x=at(own)))
    return (
        f'<svg class="strip" viewBox="0 0 200 20" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title>{"".join(parts)}</svg>'
    )


def key(rows: Sequence[dict[str, Any]]) -> str:
    """What the shapes of the strips stand for, as far as they occur."""
    shapes = [
        (_line("range", 0, 30) + '<rect class="half" x="8" width="14" y="5" height="10"/>',
         "bond class: all molecules, middle half, median"),
        (_OWN.format(x=15), "this bond, bare"),
    ]  # fmt: skip
    if any(row.get(FRAGMENT) is not None for row in rows):
        shapes.append((_FRAGMENT.format(x=15), "its fragment BDE"))
    if any(row.get("references") for row in rows):
        shapes.append((_KNOWN.format(x=15), "reference"))
    return "".join(
        f'<span class="key"><svg class="strip" viewBox="0 0 30 20">{shape}</svg> {text}</span>'
        for shape, text in shapes
    )


def _line(kind: str, x1: float | int, x2: float | int, y1: int = 10, y2: int = 10) -> str:
    return f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'
