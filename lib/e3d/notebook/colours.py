"""One colour per bond class in the whole book: hue says the elements, lightness the order."""

from __future__ import annotations

import re

from matplotlib.colors import to_hex, to_rgb

_CLASS = re.compile(r"([A-Z][a-z]?)([-~:=#])([A-Z][a-z]?)")
#: Colours of pairs of elements, apart also for readers who confuse red and green.
_OF_PAIR = {
    "C-C": "#d55e00", "C-H": "#0173b2", "C-N": "#029e73", "C-O": "#b5476d", "H-N": "#56b4e9",
    "H-O": "#7a5fb5", "N-N": "#5b8c00", "N-O": "#8a5a2b", "O-O": "#5a1846", "H-H": "#444444",
    "C-F": "#c79a00", "C-Cl": "#9a8f1d", "C-S": "#e0a030", "H-S": "#3f7f93", "O-S": "#93405e",
    "C-Si": "#17806d", "H-Si": "#d98cb3", "N-Si": "#a6761d", "O-Si": "#3b3b8f", "Si-Si": "#2f2f2f",
}  # fmt: skip
_OTHER = "#7f7f7f"
#: How much white (positive) or black (negative) the order of a bond adds.
_LIGHTER = {"-": 0.25, "~": 0.25, ":": 0.0, "=": -0.15, "#": -0.45}


def of_class(name: str) -> str | None:
    """Hexadecimal colour of a bond class such as "C=O"; None for what is no bond class."""
    parts = _CLASS.fullmatch(name)
    if parts is None:
        return None
    first, order, second = parts.groups()
    base = to_rgb(_OF_PAIR.get(f"{first}-{second}", _OTHER))
    share = _LIGHTER[order]
    end = 1.0 if share > 0 else 0.0
    red, green, blue = ((1 - abs(share)) * channel + abs(share) * end for channel in base)
    return to_hex((red, green, blue))


def of(name: str, place: int) -> str:
    """Colour of a group: that of its bond class, or else the one at a place of the palette."""
    return of_class(str(name)) or f"C{place % 10}"
