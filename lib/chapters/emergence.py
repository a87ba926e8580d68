"""How a quantity sets in during training: all at once, or along with the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from e3d.errors import E3DError
from e3d.notebook import plots
from e3d.statistics import intervals, ranks
from e3d.statistics.grouping import Numbers
from e3d.statistics.intervals import Estimate
from e3d.statistics.rounding import compared_with

#: Scales on which a change is followed.
SCALES = ("linear", "logarithmic")


def progress(values: Numbers) -> Float[np.ndarray, " n"]:
    """Share of the whole change, from the first value (0) to the last (1), made at each value.

    Raises E3DError when the first and the last value are equal: nothing has changed.
    """
    values = np.asarray(values, dtype=float)
    if values[0] == values[-1]:
        raise E3DError(f"the quantity is {values[0]:g} at both ends, so there is no progress")
    return (values - values[0]) / (values[-1] - values[0])


def onset(steps: Numbers, values: Numbers, share: float = 0.5) -> float:
    """Gradient step from which on at least `share` of the change is made, in log(1 + step).

    steps: (n,) rising; values: (n,), the first of them before training. Interpolated after the last
    value below the share, so that a detour on the way counts as not having arrived.
    """
    made = progress(values)
    x = np.log10(1 + np.asarray(steps, dtype=float))
    k = int(np.flatnonzero(made < share)[-1]) + 1
    weight = (share - made[k - 1]) / (made[k] - made[k - 1])
    return float(10 ** (x[k - 1] + weight * (x[k] - x[k - 1])) - 1)


def transition_decades(
    steps: Numbers, values: Numbers, low: float = 0.1, high: float = 0.9
) -> float:
    """Decades of training between `low` and `high` of the change: few for a transition."""
    first, last = (1 + onset(steps, values, share) for share in (low, high))
    return float(np.log10(last / first))


def snapshot_resolution(steps: Numbers, at: float) -> float:
    """Decades that a change at once between two snapshots appears to take.

    steps: (n,) of the snapshots, rising; at: a step between those of the two. What is measured to
    change as fast may have changed faster.
    """
    return transition_decades(steps, np.where(np.asarray(steps, dtype=float) < at, 0.0, 1.0))


def transition_table(
    track: pd.DataFrame, quantities: Sequence[str], *, errors: Sequence[str] = ()
) -> pd.DataFrame:
    """When, and over how many decades of training, each quantity of each run changes.

    track: snapshots of runs in the order of training, the first of each run before it; columns run,
    n_conformations, seed, step (gradient steps) and the quantities, any units. One row per run,
    quantity and scale, with `decades` (`transition_decades`), `onset` in steps, and `resolution`
    (`snapshot_resolution` at the onset). On the scale "logarithmic", `errors`, which are positive,
    count by their logarithms; other quantities have no such scale and are the same on both.
    """
    rows = []
    for (run, n, seed), part in track.groupby(["run", "n_conformations", "seed"]):
        for quantity in quantities:
            for scale in SCALES:
                values = part[quantity]
                if scale == "logarithmic" and quantity in errors:
                    values = np.log(values)
                at = onset(part["step"], values)
                rows.append({
                    "run": run, "n": n, "seed": seed, "quantity": quantity, "scale": scale,
                    "decades": transition_decades(part["step"], values),
                    "onset": at,
                    "resolution": snapshot_resolution(part["step"], at),
                })  # fmt: skip
    return pd.DataFrame(rows)


def relative_decades(transitions: pd.DataFrame, reference: str) -> dict[tuple[str, str], Estimate]:
    """Decades that each quantity takes over those that `reference` takes, by (quantity, scale).

    transitions: as of `transition_table`. Ratio of means over the runs of a seed, averaged over
    seeds, whose spread gives the interval: runs of one seed begin from the same weights, and are
    one run for as long as they have seen the same.
    """
    found = {}
    for scale, part in transitions.groupby("scale"):
        means = part.pivot_table(index="seed", columns="quantity", values="decades")
        for quantity in transitions["quantity"].unique():
            ratios = means[quantity] / means[reference]
            found[quantity, str(scale)] = intervals.seed_interval(ratios)
    return found


def setbacks(track: pd.DataFrame, rises: Sequence[str], falls: Sequence[str]) -> pd.DataFrame:
    """How far quantities go the wrong way during training: by run, and quantity.

    track: as for `transition_table`. rises: quantities that are higher at the end than before
    training; falls: those that are lower. Columns: run, n_conformations, seed, quantity, before,
    worst, step (of the worst) and end; the worst is `before` where nothing is worse.
    """
    rows = []
    for (run, n, seed), part in track.groupby(["run", "n_conformations", "seed"]):
        ordered = part.sort_values("step")
        for quantity in (*rises, *falls):
            values = ordered[quantity].to_numpy(dtype=float)
            k = int(values.argmin() if quantity in rises else values.argmax())
            rows.append({
                "run": run, "n_conformations": n, "seed": seed, "quantity": quantity,
                "before": values[0], "worst": values[k], "step": int(ordered["step"].iloc[k]),
                "end": values[-1],
            })  # fmt: skip
    return pd.DataFrame(rows)


def relative_resolution(transitions: pd.DataFrame, reference: str) -> pd.Series:
    """Decades that a jump would appear to take over those of `reference`, by (quantity, scale).

    Ratio of means over runs; a quantity that takes as few may have jumped.
    """
    means = transitions.groupby(["quantity", "scale"])[["decades", "resolution"]].mean()
    return means["resolution"] / means["decades"].xs(reference).reindex(means.index, level="scale")


def outcome(relative: Sequence[Estimate], resolution: Sequence[float], narrow: float) -> str:
    """`transition`, `gradual`, `undecided`, or `not resolved`: of a quantity on several scales.

    relative, resolution: its `relative_decades` and `relative_resolution` on each scale; narrow:
    what a transition takes less than. A transition, and a gradual change, must show on all scales;
    where a jump would appear to take `narrow` or more on one of them, nothing is resolved.
    """
    if any(share >= narrow for share in resolution):
        return "not resolved"
    above, below, between = "gradual", "transition", "undecided"
    found = {compared_with(f, narrow, more=above, less=below, same=between) for f in relative}
    return found.pop() if len(found) == 1 else between


def gaps_at_equal_error(
    track: pd.DataFrame, ends: pd.DataFrame, quantities: Sequence[str], *, error: str
) -> pd.DataFrame:
    """What little data gives at the end of training, less what most data gives at the same error.

    track: snapshots of runs; ends: the same runs at their end; columns n_conformations, seed,
    `error` (positive) and the quantities, any units. Runs with the fewest conformations are
    compared with those of the same seed with the most, interpolated in the logarithm of the error
    to where it is the same. One row per seed that has both, in the units of the quantities.
    """
    few, many = track["n_conformations"].min(), track["n_conformations"].max()
    at_end = ends.reset_index(drop=True).set_index(["n_conformations", "seed"])
    gaps = {}
    for seed in sorted(track["seed"].unique()):
        if (few, seed) in at_end.index and (many, seed) in at_end.index:
            end = at_end.loc[(few, seed)]
            way = track[(track["n_conformations"] == many) & (track["seed"] == seed)]
            way = way.sort_values(error)
            at, known = np.log(end[error]), np.log(way[error])
            gaps[seed] = {q: end[q] - np.interp(at, known, way[q]) for q in quantities}
    return pd.DataFrame.from_dict(gaps, orient="index").rename_axis("seed")


class PartialCorrelation(NamedTuple):
    """A rank correlation with others and the seed held fixed, and its values without each seed."""

    estimate: Estimate
    without_a_seed: list[float]

    @property
    def supported(self) -> Estimate:
        """The estimate if its sign stays whichever seed is left out, otherwise without interval."""
        signs = {np.sign(value) for value in (self.estimate["value"], *self.without_a_seed)}
        if len(signs) == 1:
            return self.estimate
        return {**self.estimate, "low": None, "high": None}


def partial_correlation(
    runs: pd.DataFrame,
    x: str,
    y: str,
    given: Sequence[str],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Rank correlation of two columns with others held fixed, see `ranks.partial_spearman`.

    runs: one row per run; the bootstrap draws runs of one `family`, which share everything but the
    seed, together.
    """
    return intervals.estimate(
        runs[[x, y, *given]].to_numpy(dtype=float), runs["family"], statistic=_partial,
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip


def seed_controlled_correlation(
    runs: pd.DataFrame,
    x: str,
    y: str,
    given: Sequence[str],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> PartialCorrelation:
    """`partial_correlation` with the `seed` of the runs held fixed too, by indicator variables."""
    indicators = pd.get_dummies(runs["seed"], prefix="seed", dtype=float).iloc[:, 1:]
    table, held = runs.join(indicators), [*given, *indicators]
    without = [
        _partial(table.loc[table["seed"] != left_out, [x, y, *held]].to_numpy(dtype=float))
        for left_out in sorted(runs["seed"].unique())
    ]
    return PartialCorrelation(
        partial_correlation(table, x, y, held, n_resamples=n_resamples, seed=seed),
        [value for value in without if np.isfinite(value)],
    )


def _partial(rows: np.ndarray) -> float:
    return ranks.partial_spearman(rows[:, 0], rows[:, 1], rows[:, 2:])


def _name_means(
    ax: Axes, table: pd.DataFrame, column: str, *, along: str, by: str | None, xlabel: str
) -> None:
    """Let the means that a panel has drawn say what they are."""
    for place, group in enumerate(dict.fromkeys(table[by]) if by is not None else [None]):
        own = table if by is None else table[table[by] == group]
        means = own.groupby(along)[column].mean().dropna()
        kind = "" if by is None else f"{group}, "
        names = [f"{kind}{xlabel} {at:,.0f}: {value:.3g}" for at, value in means.items()]
        plots.named_points(ax, means.index, means, names, color=f"C{place}")


def quantity_panels(
    table: pd.DataFrame,
    quantities: Mapping[str, str],
    *,
    along: str,
    xlabel: str,
    by: str | None = None,
    errors: Sequence[str] = (),
) -> Figure:
    """One panel per quantity against `along`, logarithmic: mean and range over rows of the same.

    quantities: titles by column; by: column that tells lines apart; errors: quantities, positive,
    that have a logarithmic axis too.
    """
    n_rows, single = (len(quantities) + 1) // 2, len(quantities) % 2
    fig, axes = plots.figure(150, 50 * n_rows, rows=n_rows, columns=2, sharex=True, squeeze=False)
    for ax, (column, title) in zip(axes.flat, quantities.items(), strict=False):
        sns.lineplot(
            table, x=along, y=column, hue=by, palette=None if by is None else "colorblind",
            errorbar=("pi", 100), marker="o", ms=4, mec="none", ax=ax, legend=ax is axes[0, 0],
        )  # fmt: skip
        _name_means(ax, table, column, along=along, by=by, xlabel=xlabel)
        ax.set(xscale="log", xlabel="", ylabel="", yscale="log" if column in errors else "linear")
        ax.set_title(title, loc="left", fontsize="small")
        if column in errors:
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            ax.yaxis.set_minor_formatter("{x:g}")
    for ax in (axes[-1, 0], axes[-1 - single, 1]):  # the lowest of each column
        ax.set_xlabel(xlabel)
        ax.tick_params(labelbottom=True)
    axes[-1, -1].set_visible(not single)
    if by is not None:
        axes[0, 0].get_legend().remove()
        fig.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2, fontsize="small",
                   loc="outside upper center")  # fmt: skip
    return fig
