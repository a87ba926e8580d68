"""Agreement of bond energies with dissociation energies, as they are and after a calibration.

All energies in kcal/mol, positive when bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.comparison import Comparison, compare
from e3d.statistics.grouping import Groups, Numbers

#: Name of the null that knows the mean of the other molecules' references and nothing else.
CONSTANT = "constant"


def accuracy(values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]) -> float:
    """Mean of `intervals.scores`, between 0 and 1."""
    return float(intervals.scores(values, references).mean())


def absolute_error(values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]) -> float:
    """Mean absolute deviation, in the unit of the values."""
    return float(np.abs(values - references).mean())


def mean_error(values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]) -> float:
    """Mean of value − reference, in the unit of the values; negative: too weak."""
    return float((values - references).mean())


#: What is quoted of every set and source, by the name of the metric.
STATISTICS: dict[str, Callable[..., float]] = {
    "accuracy": accuracy, "mae": absolute_error, "bias": mean_error,
}  # fmt: skip


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
    return {
        name: compare(
            values, known, statistic=statistic, groups=groups, seeds=of_seeds,
            n_resamples=n_resamples, seed=seed,
        )
        for name, statistic in STATISTICS.items()
    }  # fmt: skip
