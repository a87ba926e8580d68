"""An interactive trajectory as one self-contained piece of HTML.

The molecule is drawn on a canvas: drag it to turn it, move the slider through time. Bonds are
coloured by their edge energy; a chart below shows measures of one bond over time. The page, with
its script, is the file `viewer.html` beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps

from e3d.errors import E3DError

#: Colours of the scale of edge energies, from zero to the strongest bond.
N_COLOURS = 9


def trajectory_html(
    symbols: list[str],
    times: Float[np.ndarray, " _"],
    positions: Float[np.ndarray, "n_frames n_atoms 3"],
    pairs: Int[np.ndarray, "n_pairs 2"],
    energies: Float[np.ndarray, "n_frames n_pairs"],
    curves: Mapping[str, Float[np.ndarray, " n_frames"]],
    *,
    title: str,
    alt: str,
    name: str = "trajectory",
    drawn_below_eV: float = -1.0,
    always_drawn: int = 0,
) -> str:
    """HTML of a trajectory: times in fs, positions in Å, ε of pairs in eV, negative when bound.

    A pair is drawn in frames where ε is below `drawn_below_eV`; the first `always_drawn` pairs, the
    bonds of the start, are dashed in the others. curves: measures between 0 and about 1, by their
    labels. alt: alternative text of the figure. name: HTML id, unique on the page.

    Raises E3DError when the arguments differ in their number of frames.
    """
    lengths = {len(times), len(positions), len(energies), *(len(v) for v in curves.values())}
    if len(lengths) != 1:
        raise E3DError(
            f"expected the same number of frames in all arguments, got {sorted(lengths)}"
        )
    centred = positions - positions.mean(axis=(0, 1))
    shades = colormaps["viridis"](np.linspace(0.08, 0.95, N_COLOURS))[:, :3]
    data: dict[str, Any] = {
        "symbols": symbols,
        "times": np.round(times, 1).tolist(),
        "positions": np.round(centred, 2).tolist(),
        "pairs": pairs.tolist(),
        "energies": np.round(energies, 2).tolist(),
        "curves": {label: np.round(values, 3).tolist() for label, values in curves.items()},
        "colours": (255 * shades).round().astype(int).tolist(),
        "strongest": float(np.floor(energies.min())),
        "below": drawn_below_eV,
        "always": always_drawn,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    filled = {
        "__NAME__": name,
        "__TITLE__": escape(title),
        "__ALT__": escape(alt),
        "__DATA__": text,
    }
    html = resources.files(__package__).joinpath("viewer.html").read_text(encoding="utf-8").rstrip()
    for key, value in filled.items():
        html = html.replace(key, value)
    return html
