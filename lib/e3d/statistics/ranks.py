"""Rank correlations of many measures of the same bonds at once, within classes, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats
from scipy.stats import rankdata

from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.intervals import Estimate, Groups, Numbers


@dataclass(frozen=True)
class Ranks:
    """Spearman's correlations of columns with each other, averaged over classes.

    names: of the columns; values (k, k), and sample (n_resamples, k, k) over resampled molecules;
    NaN where a column is constant in every class. n: number of rows.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "k k"]
    sample: Float[np.ndarray, "n_resamples k k"] = field(repr=False)
    n: int

    def of(self, x: str, y: str) -> Estimate:
        """Correlation of two columns, between −1 and 1."""
        i, j = self.names.index(x), self.names.index(y)
        return intervals.interval(float(self.values[i, j]), self.sample[:, i, j], self.n)

    def gain(self, x: str, over: str, y: str) -> Estimate:
        """By how much x correlates with y better than `over` does, on the same resamples."""
        i, j, k = (self.names.index(name) for name in (x, over, y))
        ahead = float(self.values[i, k] - self.values[j, k])
        return intervals.interval(ahead, self.sample[:, i, k] - self.sample[:, j, k], self.n)


def rank_correlations(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    classes: Groups,
    groups: Groups,
    given: str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Ranks:
    """Spearman's correlations within each class, averaged over classes, bootstrapped over groups.

    classes, groups: one label per row, e.g. the bond class and the molecule. With `given`, one of
    the columns, they are partial correlations with its ranks held fixed. Raises E3DError when
    `given` is no column, or a value is missing.
    """
    values = table[list(columns)].to_numpy(dtype=float)
    if not np.isfinite(values).all() or (given is not None and given not in columns):
        raise E3DError(
            f"rank correlations need finite values of {', '.join(columns)}, among them what is "
            f"held fixed ({given}); drop rows with missing values first"
        )
    codes = pd.factorize(np.asarray(classes))[0]
    held = None if given is None else list(columns).index(given)
    members = intervals.rows_by_group(groups)
    rng = np.random.default_rng(seed)
    sample = [
        _mean_matrix(values, codes, np.concatenate([members[k] for k in drawn]), held)
        for drawn in rng.integers(len(members), size=(n_resamples, len(members)))
    ]
    whole = _mean_matrix(values, codes, np.arange(len(values)), held)
    return Ranks(tuple(columns), whole, np.array(sample), len(values))


def _mean_matrix(
    values: Float[np.ndarray, "n k"],
    codes: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " m"],
    held: int | None,
) -> Float[np.ndarray, "k k"]:
    matrices = [
        _matrix(values[part], held)
        for code in np.unique(codes[rows])
        if len(part := rows[codes[rows] == code]) > 2
    ]
    stacked = np.array(matrices)
    known = np.isfinite(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):  # no class at all where a column varies
        return total / known.sum(axis=0)


def _matrix(values: Float[np.ndarray, "n k"], held: int | None) -> Float[np.ndarray, "k k"]:
    """Spearman's correlations of the columns, NaN where one is constant or follows the one held."""
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = ranks / np.linalg.norm(ranks, axis=0)
        found = unit.T @ unit
        if held is None:
            return found
        of_held = found[:, held]
        left = np.sqrt(np.maximum(1 - of_held**2, 0))
        left = np.where(left < 1e-6, np.nan, left)
        return (found - np.outer(of_held, of_held)) / np.outer(left, left)


def rank_correlation(rows: Float[np.ndarray, "n columns"]) -> float:
    """Mean over classes, and over the y, of Spearman's correlation of x and y within a class.

    columns: the class as a number, x, and one y or more (one per model). A statistic for
    `statistics.estimate`, which draws rows whole.
    """
    within = [
        [spearman(part[:, 1], y) for y in part[:, 2:].T]
        for part in (rows[rows[:, 0] == value] for value in np.unique(rows[:, 0]))
    ]
    return float(np.nanmean(within)) if np.isfinite(within).any() else float("nan")


def partial_spearman(
    x: Numbers, y: Numbers, given: Float[np.ndarray, " n"] | Float[np.ndarray, "n m"]
) -> float:
    """Rank correlation of x and y with the ranks of `given` held fixed; NaN without variation.

    given: (n,) or (n, m) for several. Pearson's correlation of what least squares on the ranks of
    `given` leaves of the ranks of x and of y.
    """
    held = np.asarray(given, dtype=float).reshape(len(np.asarray(x)), -1)
    columns = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float), held])
    if len(columns) < columns.shape[1] + 1:
        return float("nan")
    ranks = stats.rankdata(columns, axis=0)
    design = np.column_stack([np.ones(len(ranks)), ranks[:, 2:]])
    left = ranks[:, :2] - design @ np.linalg.lstsq(design, ranks[:, :2], rcond=None)[0]
    if (np.var(left, axis=0) < 1e-9 * np.maximum(np.var(ranks[:, :2], axis=0), 1)).any():
        return float("nan")
    return float(np.corrcoef(left.T)[0, 1])


def mean_spearman(rows: np.ndarray) -> float:
    """Spearman's correlation of values and references within classes, its mean over classes.

    rows (n, 3): value, reference, code of the class. Classes in which either is constant, or that
    have fewer than two rows, do not count; NaN when none is left.
    """
    values, references, codes = rows.T
    found = [
        spearman(values[own], references[own])
        for own in (codes == code for code in np.unique(codes))
    ]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def spearman(
    values: Numbers,
    references: Numbers,
) -> float:
    """Spearman's rank correlation; NaN, without a warning, where either side is constant."""
    values, references = np.asarray(values), np.asarray(references)
    if len(values) < 2 or np.ptp(values) == 0 or np.ptp(references) == 0:
        return float("nan")
    # scipy's spearmanr finds a p-value besides, at twice the cost in a bootstrap
    return float(np.corrcoef(stats.rankdata([values, references], axis=1))[0, 1])
