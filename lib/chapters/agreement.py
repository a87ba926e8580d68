"""Agreement of bond energies with dissociation energies, as they are and after a calibration.

All energies in kcal/mol, positive when bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.comparison import Comparison
from e3d.statistics.grouping import Groups, Numbers

#: Name of the null that knows the mean of the other molecules' references and nothing else.
CONSTANT = "constant"


def absolute_errors(
    values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """|value − reference|, in the unit of the values."""
    return np.abs(values - references)


def errors(
    values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Value − reference, in the unit of the values; negative: too weak."""
    return values - references


#: What is quoted of every set and source, by the name of the metric: the mean over bonds of a
#: score of each, and its limits.
STATISTICS: dict[str, tuple[Callable[..., np.ndarray], tuple[float, float]]] = {
    "accuracy": (intervals.scores, (0.0, 1.0)),
    "mae": (absolute_errors, (0.0, np.inf)),
    "bias": (errors, intervals.UNBOUNDED),
}


def line(values: Numbers, references: Numbers) -> tuple[float, float]:
    """Slope and offset of the least-squares line reference ≈ slope · value + offset.

    Slope 0 and the mean of the references where all values are equal.
    """
    x, y = np.asarray(values, dtype=float), np.asarray(references, dtype=float)
    spread = x - x.mean()
    square = float(spread @ spread)
    slope = float(spread @ y) / square if square > 1e-9 * len(x) else 0.0
    return slope, float(y.mean() - slope * x.mean())


def calibrated(values: Numbers, references: Numbers, groups: Groups) -> Float[np.ndarray, " n"]:
    """Every value through the `line` of all rows of other groups, in the unit of the references.

    values, references, groups: (n,); groups are molecules, so that no reference of a molecule helps
    to calibrate it. Raises E3DError for fewer than three groups.
    """
    x, y = np.asarray(values, dtype=float), np.asarray(references, dtype=float)
    names = np.asarray(groups)
    if len(unique := np.unique(names)) < 3:
        raise E3DError(f"expected three molecules or more to calibrate with, got {len(unique)}")
    found = np.empty(len(x))
    for name in unique:
        own = names == name
        slope, offset = line(x[~own], y[~own])
        found[own] = slope * x[own] + offset
    return found


def comparisons(
    rows: pd.DataFrame,
    sources: Sequence[str],
    reference: str,
    *,
    seeds: Mapping[str, Sequence[str]],
    calibrate: bool = False,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """`STATISTICS` of several columns against the reference, on the same rows, by their name.

    rows: columns smiles, `reference`, sources, and those of their independently seeded models
    (seeds, by source). Intervals are over molecules, joined with the spread over seeds. With
    calibrate, every column, and that of every seed by itself, is `calibrated` first, and
    `CONSTANT` stands beside the sources; the lines are not fitted anew in each resample.
    """
    groups, known = rows["smiles"].to_numpy(), rows[reference].to_numpy(dtype=float)

    def through(columns: Sequence[str]) -> pd.DataFrame:
        table = rows[list(columns)].astype(float)
        return table.apply(calibrated, args=(known, groups)) if calibrate else table

    values = through(sources)
    if calibrate:
        values[CONSTANT] = calibrated(np.zeros(len(rows)), known, groups)
    of_seeds = {name: through(columns) for name, columns in seeds.items() if name in sources}
    draws = _draws(groups, n_resamples, seed)
    return {
        name: _comparison(partial(score, references=known), values, of_seeds, groups, draws, limits)
        for name, (score, limits) in STATISTICS.items()
    }


def _draws(groups: Groups, n_resamples: int, seed: int) -> Int[np.ndarray, "n_resamples n_groups"]:
    """How often each group is drawn in each resample, groups in the order of `np.unique`."""
    n = len(np.unique(np.asarray(groups)))
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)


def _comparison(
    score: Callable[[np.ndarray], np.ndarray],
    values: pd.DataFrame,
    of_seeds: Mapping[str, pd.DataFrame],
    groups: Groups,
    draws: Int[np.ndarray, "n_resamples n_groups"],
    limits: tuple[float, float],
) -> Comparison:
    """The mean score of every column, all on the same draws of groups.

    A mean over drawn groups needs only the sums and sizes of these, so that thousands of molecules
    cost no more than one matrix product.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    sizes = draws @ np.bincount(codes)
    means, samples = {}, {}
    for name in values:
        scored = score(values[name].to_numpy())
        means[str(name)] = float(scored.mean())
        samples[str(name)] = draws @ np.bincount(codes, scored) / sizes
    seeds = {
        name: [float(score(table[column].to_numpy()).mean()) for column in table]
        for name, table in of_seeds.items()
    }
    return Comparison(means, samples, seeds, len(values), limits)
