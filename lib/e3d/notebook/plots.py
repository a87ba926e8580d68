"""Figures: one theme, functions that take and return Axes, and `show`, which files and displays.

Everything is drawn on white; in dark mode the book inverts lightness, not hues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

from e3d import files
from e3d.errors import E3DError
from e3d.notebook import pointing
from e3d.notebook.colours import of as colour_of
from e3d.notebook.pointing import named_points as named_points

MM_PER_INCH = 25.4
PX_PER_POINT = 96 / 72
#: Points of a learning curve that say their place; the line between them has them all.
_NAMED = 20
#: Colour, marker and legend text of each null, everywhere the same.
NULLS: dict[str, tuple[str, str, str]] = {
    "untrained": ("#949494", "x", "untrained weights"),
    "shuffled": ("#ca9161", "+", "shuffled labels"),
    "additive": ("#029e73", "s", "additive (one energy per class)"),
    "pair": ("#de8f05", "^", "pair potential"),
}
#: Colours of the two definitions of a bond energy.
BARE, DRESSED = "#0173b2", "#cc78bc"


def theme() -> None:
    """Apply the theme of the book to all figures drawn afterwards in this process."""
    sns.set_theme(
        context="paper",
        style="ticks",
        palette="colorblind",
        font_scale=1.2,  # of the smallest text, 9 px on a telephone
        rc={
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "grid.alpha": 0.4,
            "grid.linewidth": 0.5,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "savefig.facecolor": "white",
            "svg.fonttype": "path",
            "svg.hashsalt": "e3d",  # element ids that are the same in every run
        },
    )


def figure(
    width_mm: float | int = 130,
    height_mm: float | int = 85,
    *,
    rows: int = 1,
    columns: int = 1,
    **options: Any,
) -> tuple[Figure, Any]:
    """`plt.subplots` in millimetres: the figure and its Axes, an array when there are several.

    The default width stays readable on a telephone. `options` go to `plt.subplots`.
    """
    size = (width_mm / MM_PER_INCH, height_mm / MM_PER_INCH)
    return plt.subplots(rows, columns, figsize=size, **options)


def show(
    fig: Figure,
    name: str,
    alt: str,
    *,
    data: pd.DataFrame | None = None,
    output_dir: str | Path = "results",
) -> None:
    """Display a figure as SVG with alternative text, and file the numbers that it was drawn from.

    `data` goes to `<output_dir>/figures/<name>.csv`. The figure is closed. The alternative text is
    in the metadata of the output, with the name; the book makes a numbered caption of them.

    Raises E3DError without alternative text, or when the table cannot be written.
    """
    from IPython.display import display

    if not alt.strip():
        raise E3DError(f"figure {name!r} has no alternative text; say what it shows")
    if data is not None:
        with files.replacing(Path(output_dir) / "figures" / f"{name}.csv") as temporary:
            data.to_csv(temporary, index=False, float_format="%.6g")
    display(
        {"image/svg+xml": svg(fig), "text/plain": alt},
        raw=True,
        metadata={"image/svg+xml": {"alt": alt, "figure": name, "data": data is not None}},
    )
    plt.close(fig)


def svg(fig: Figure) -> str:
    """SVG text of a figure, the same for the same figure: no date, fixed identifiers.

    Points drawn by `named_points` carry their names as titles, which browsers show; the attribute
    `data-text-px` of the root is the size of the smallest text in CSS pixels.
    """
    from io import StringIO

    buffer = StringIO()
    pointing.with_limits(fig)
    with plt.rc_context({"svg.hashsalt": "e3d"}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    texts = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    smallest = min((float(text.get_fontsize()) for text in texts), default=10.0) * PX_PER_POINT
    drawn = buffer.getvalue().replace("<svg ", f'<svg data-text-px="{smallest:.1f}" ', 1)
    return pointing.titled(drawn)


def parity(
    ax: Axes,
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    names: Iterable[str] | None = None,
    hover: Iterable[str] | None = None,
    xlabel: str = "reference (kcal/mol)",
    ylabel: str = "emergent (kcal/mol)",
    **style: Any,
) -> Axes:
    """Predicted against reference values with the diagonal; may be called again on the same Axes.

    reference, predicted (n,) in the unit of the labels; low, high (n,): ends of the error bars;
    names (n,): written beside the points; hover (n,): what points say when pointed at. `style` goes
    to `Axes.errorbar`.
    """
    x, y = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    bars = None
    if low is not None and high is not None:
        bars = np.clip(np.stack([y - np.asarray(low), np.asarray(high) - y]), 0, None)
    defaults: dict[str, Any] = {"fmt": "o", "ms": 4, "lw": 0.8, "capsize": 2, "alpha": 0.85}
    drawn = defaults | style
    if hover is not None:
        _named(ax, x, y, hover, drawn)
        drawn = {k: v for k, v in drawn.items() if k not in ("label", "ms", "mfc", "mew")}
        drawn["fmt"] = "none"
    if hover is None or bars is not None:
        ax.errorbar(x, y, yerr=bars, **drawn)
    if not any(line.get_gid() == "diagonal" for line in ax.lines):
        ax.axline((0, 0), slope=1, color="0.3", lw=0.8, ls="--", gid="diagonal", zorder=0)
    for text, a, b in zip(names if names is not None else (), x, y, strict=False):
        ax.annotate(text, (a, b), xytext=(3, 3), textcoords="offset points", fontsize=6)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def _named(
    ax: Axes, x: np.ndarray, y: np.ndarray, names: Iterable[str], drawn: dict[str, Any]
) -> None:
    """Points that say their name, in the style of `Axes.errorbar`."""
    named_points(
        ax, x, y, names, size=drawn["ms"], marker=drawn["fmt"], color=drawn.get("color", "C0"),
        filled=drawn.get("mfc") != "none", alpha=drawn["alpha"], label=drawn.get("label"),
        zorder=drawn.get("zorder", 3),
    )  # fmt: skip


def energy_map(ax: Axes, table: pd.DataFrame, *, title: str = "") -> Axes:
    """One E3D map: counts over length and pair energy.

    table: rows of `PairStatistics.map` of one element pair, columns length_A, energy_eV (bin
    centres) and count; ε is negative when bound.
    """
    grid = table.pivot_table(index="energy_eV", columns="length_A", values="count", aggfunc="sum")
    grid = _regular(_regular(grid, 0), 1)
    mesh = ax.pcolormesh(
        grid.columns, grid.index, grid.to_numpy(), norm=LogNorm(vmin=1), cmap="cividis",
        shading="nearest", rasterized=True,
    )  # fmt: skip
    ax.figure.colorbar(mesh, ax=ax, label="pairs")
    ax.axhline(0, color="0.4", lw=0.6)
    ax.margins(0.05)  # the outermost cells are whole, away from the axes
    ax.use_sticky_edges = False
    ax.autoscale_view()
    ax.set(xlabel="distance (Å)", ylabel="ε (eV)", title=title)
    ax.grid(visible=False)
    return pointing.counted_cells(ax, grid, name=title, units=("Å", "eV"), what="pairs")


def _regular(grid: pd.DataFrame, axis: int) -> pd.DataFrame:
    """Fill in the bins that the table leaves out because they are empty."""
    centres = grid.axes[axis].to_numpy(dtype=float)
    if len(centres) < 2:
        return grid
    step = np.diff(centres).min()
    steps = np.round((centres - centres[0]) / step).astype(int)
    indexed = grid.set_axis(steps, axis=axis).reindex(range(steps[-1] + 1), axis=axis)
    return indexed.set_axis(centres[0] + step * np.arange(steps[-1] + 1), axis=axis)


def shares(ax: Axes, table: pd.DataFrame, *, labels: Mapping[str, str]) -> Axes:
    """Topological shares, one group of points per distance, one colour per ensemble.

    table: of `maps.topological_shares`; labels: what to write for each value of `apart`, in
    order. Bars are the 95 % interval over molecules.
    """
    ensembles = list(dict.fromkeys(table["ensemble"]))
    for k, ensemble in enumerate(ensembles):
        rows = table[table["ensemble"] == ensemble].set_index("apart").loc[list(labels)]
        x = np.arange(len(rows)) + 0.7 * (k - (len(ensembles) - 1) / 2) / len(ensembles)
        y = 100 * rows["share"].to_numpy()
        bars = np.clip([y - 100 * rows["low"], 100 * rows["high"] - y], 0, None)
        colour, marker, label = NULLS.get(ensemble, (f"C{k}", "o", ensemble))
        ax.errorbar(x, y, yerr=bars, fmt=marker, ms=4, lw=0.8, capsize=2, color=colour,
                    label=label)  # fmt: skip
    ax.axhline(0, color="0.4", lw=0.6)
    ax.set_xticks(range(len(labels)), list(labels.values()))
    ax.set(xlabel="bonds apart", ylabel="share of the binding energy (%)")
    ax.legend(fontsize="small")
    return ax


def learning_curve(
    ax: Axes,
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    by: str | None = None,
    xlabel: str,
    ylabel: str,
) -> Axes:
    """Error against epochs or training examples, both axes logarithmic, one line per `by`.

    Several rows of one x (seeds) become a line at their mean with their range shaded.
    """
    groups = [None] if by is None else list(dict.fromkeys(table[by]))
    palette = sns.color_palette(n_colors=len(groups))
    sns.lineplot(
        table, x=x, y=y, hue=by, style=by, markers=by is not None and table[x].nunique() < 20,
        dashes=False, errorbar=("pi", 100), ax=ax, hue_order=None if by is None else groups,
        palette=None if by is None else palette,
    )  # fmt: skip
    for group, colour in zip(groups, palette, strict=True):
        means = (table if by is None else table[table[by] == group]).groupby(x)[y].mean().dropna()
        shown = means.iloc[np.unique(np.linspace(0, len(means) - 1, _NAMED).astype(int))]
        kind = "" if group is None else f"{group}, "
        names = [f"{kind}{xlabel} {at:,.0f}: {value:.3g}, {ylabel}" for at, value in shown.items()]
        named_points(ax, shown.index, shown, names, size=2.5, color=to_hex(colour))
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    if by is not None:
        ax.legend(*ax.get_legend_handles_labels(), title=None)
    return ax


def ladder(
    ax: Axes,
    classes: Iterable[str],
    emergent: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    dressed: ArrayLike | None = None,
    nulls: Mapping[str, ArrayLike] | None = None,
    reference: ArrayLike | None = None,
    xlabel: str = "bond dissociation energy (kcal/mol)",
) -> Axes:
    """Bond classes one above the other with their BDEs, the nulls and the reference, kcal/mol.

    classes (n,) from bottom to top; every sequence (n,), positive when bound, missing values NaN;
    nulls by name, as in `NULLS`.
    """
    names = list(classes)
    rows = np.arange(len(names))
    values = np.asarray(emergent, dtype=float)
    bars = None
    if low is not None and high is not None:
        bars = np.clip(np.stack([values - np.asarray(low), np.asarray(high) - values]), 0, None)
    for null_name, null in (nulls or {}).items():
        colour, marker, label = NULLS.get(null_name, ("0.5", ".", null_name))
        ax.plot(null, rows, ls="none", marker=marker, color=colour, ms=4, label=label, alpha=0.8)
    if reference is not None:
        ax.plot(reference, rows, ls="none", marker="|", ms=11, mew=2, color="k", label="reference")
    if dressed is not None:
        ax.plot(dressed, rows, ls="none", marker="D", ms=4, mfc="none", color=DRESSED,
                label="dressed")  # fmt: skip
    ax.errorbar(values, rows, xerr=bars, fmt="o", ms=5, lw=1, color=BARE, label="emergent (bare)")
    ax.set(xlabel=xlabel, ylim=(-0.6, len(names) - 0.4))
    ax.set_yticks(rows, names)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize="small")
    return ax


def entropy_sweep(
    ax: Axes,
    table: pd.DataFrame,
    *,
    x: str = "bin_width_eV",
    y: str = "bits",
    by: str = "estimator",
    chosen: float | int | None = None,
    ylabel: str = "entropy H(ε) (bits)",
) -> Axes:
    """Entropy against bin width (logarithmic), one line per `by`; `chosen` marks a width in eV.

    Columns `low` and `high`, where the table has them, are shaded.
    """
    for k, (name, rows) in enumerate(table.groupby(by, sort=False)):
        rows = rows.sort_values(x)
        ax.plot(rows[x], rows[y], marker="o", ms=3, color=f"C{k}", label=str(name))
        if {"low", "high"} <= set(rows.columns):
            ax.fill_between(rows[x], rows["low"], rows["high"], color=f"C{k}", alpha=0.15, lw=0)
    if chosen is not None:
        ax.axvline(chosen, color="0.4", lw=0.8, ls=":")
    ax.set(xscale="log", xlabel="bin width (eV)", ylabel=ylabel)
    ax.legend(title=None)
    return ax


def histogram(
    ax: Axes,
    values: Mapping[str, ArrayLike],
    *,
    bins: np.ndarray | int = 60,
    xlabel: str = "ε (eV)",
    ylabel: str = "bonds",
    density: bool = False,
) -> Axes:
    """Outlined histograms of several groups over common bins; values by name of the group."""
    arrays = {name: np.asarray(group, dtype=float) for name, group in values.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins).tolist()
    for k, (name, group) in enumerate(arrays.items()):
        colour = colour_of(name, k)
        ax.hist(group, edges, histtype="stepfilled", alpha=0.25, color=colour, density=density)
        ax.hist(group, edges, histtype="step", lw=1.2, color=colour, density=density, label=name)
    ax.set(xlabel=xlabel, ylabel="density" if density else ylabel)
    if len(arrays) > 1:
        ax.legend(fontsize="small", ncols=2 if len(arrays) > 6 else 1)
    return ax
