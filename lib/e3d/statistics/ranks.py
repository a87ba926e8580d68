"""Spearman's rank correlation: plain, within classes, partial, and between many columns at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import rankdata

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups, Numbers, codes, rows_by_group
from e3d.statistics.intervals import Estimate, interval, with_seed_spread

#: Residuals of ranks below this fraction of their standard deviation are rounding errors.
NEGLIGIBLE = 1e-5


def spearman(x: Numbers, y: Numbers) -> float:
    """Spearman's rank correlation of two columns (n,), in any units.

    NaN, without a warning, where either is constant or has a missing value, and for n < 2.
    """
    if len(x) < 2:
        return float("nan")
    # scipy's spearmanr also computes a p-value, at twice the cost in a bootstrap
    return float(_correlations(rankdata(np.column_stack([x, y]), axis=0))[0, 1])


def within_class_spearman(
    x: Numbers,
    y: Float[np.ndarray, " n"] | Float[np.ndarray, "n k"],
    classes: Groups,
    *,
    by_rows: bool = False,
) -> float:
    """Spearman's correlation of x and y within each class, its mean over classes.

    x: (n,); y: (n,), or (n, k) for k models, which are averaged over too; classes: (n,) labels.
    by_rows: classes count by their numbers of rows, otherwise alike. Classes in which `spearman` is
    NaN are left out; NaN when none remains.
    """
    first, class_of = np.asarray(x, dtype=float), np.asarray(classes)
    second = np.asarray(y, dtype=float).reshape(len(first), -1)
    members = [np.flatnonzero(class_of == value) for value in np.unique(class_of)]
    found = np.array([[spearman(first[own], y[own]) for y in second.T] for own in members])
    weights = np.array([[float(len(own))] if by_rows else [1.0] for own in members])
    weights = np.where(np.isnan(found), 0.0, weights)
    if not weights.any():
        return float("nan")
    return float(np.average(np.nan_to_num(found), weights=weights))


def within_class_slope(x: Numbers, reference: Numbers, classes: Groups) -> float:
    """Slope of least squares of x against a reference, the means of each class taken from both.

    All (n,). One: differences between the rows of a class have the size that they should have; a
    rank correlation does not see how much they are compressed. NaN without variation.
    """
    labels = codes(classes)
    sizes = np.bincount(labels)
    centred = [
        values - (np.bincount(labels, values) / sizes)[labels]
        for values in (np.asarray(x, dtype=float), np.asarray(reference, dtype=float))
    ]
    square = float(centred[1] @ centred[1])
    return float(centred[0] @ centred[1]) / square if square else float("nan")


def partial_spearman(
    x: Numbers, y: Numbers, given: Float[np.ndarray, " n"] | Float[np.ndarray, "n m"]
) -> float:
    """Partial rank correlation of x and y, controlling for `given`; NaN without variation.

    x, y: (n,); given: (n,), or (n, m) for m variables. Pearson's correlation of the residuals of
    the ranks of x and of y after linear regression on the ranks of `given`.
    """
    held = np.asarray(given, dtype=float).reshape(len(np.asarray(x)), -1)
    if len(held) < held.shape[1] + 3:
        return float("nan")
    return float(_correlations(_residual_ranks(np.column_stack([x, y]), held))[0, 1])


def _correlations(columns: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k k"]:
    """Pearson's correlations of the columns, NaN where one is constant."""
    centred = columns - columns.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(norms > 0, norms, np.nan)
    return unit.T @ unit


def _residual_ranks(
    columns: Float[np.ndarray, "n k"], given: Float[np.ndarray, "n m"]
) -> Float[np.ndarray, "n k"]:
    """Residuals of ranks after regression on the ranks of `given`; NaN where they vanish."""
    ranks = rankdata(columns, axis=0)
    design = np.column_stack([np.ones(len(ranks)), rankdata(given, axis=0)])
    residuals = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    residuals[:, residuals.std(axis=0) < NEGLIGIBLE * np.maximum(ranks.std(axis=0), 1)] = np.nan
    return residuals


@dataclass(frozen=True)
class Ranks:
    """Spearman's correlations of columns with each other, averaged over classes.

    names: of the columns; values (k, k), and sample (n_resamples, k, k) over resampled groups; NaN
    where a column is constant in every class. n: number of rows. Where the column x is a mean over
    independently seeded models, the methods take the columns of these as `seeds`, whose spread
    widens the interval.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "k k"]
    sample: Float[np.ndarray, "n_resamples k k"] = field(repr=False)
    n: int

    def of(self, x: str, y: str, *, seeds: Sequence[str] = ()) -> Estimate:
        """Correlation of two columns, between −1 and 1."""
        i, j = self.names.index(x), self.names.index(y)
        found = interval(float(self.values[i, j]), self.sample[:, i, j], self.n)
        return with_seed_spread(found, self._of_each(seeds, y))

    def gain(
        self,
        x: str,
        over: str,
        y: str,
        *,
        seeds: Sequence[str] = (),
        over_seeds: Sequence[str] = (),
    ) -> Estimate:
        """Correlation of x with y minus that of `over` with y, paired by resample.

        over_seeds: the columns of the independently seeded models that `over` is a mean over.
        """
        i, j, k = (self.names.index(name) for name in (x, over, y))
        ahead = float(self.values[i, k] - self.values[j, k])
        found = interval(ahead, self.sample[:, i, k] - self.sample[:, j, k], self.n)
        widened = with_seed_spread(found, self._of_each(seeds, y))
        return with_seed_spread(widened, self._of_each(over_seeds, y))

    def over_models(self, columns: Sequence[str], y: str) -> Estimate:
        """Mean correlation with y of the columns of several models, widened by their spread."""
        own, j = [self.names.index(name) for name in columns], self.names.index(y)
        of_each = self._of_each(columns, y)
        found = interval(float(of_each.mean()), self.sample[:, own, j].mean(axis=1), self.n)
        return with_seed_spread(found, of_each)

    def _of_each(self, columns: Sequence[str], y: str) -> Float[np.ndarray, " n_columns"]:
        own = [self.names.index(name) for name in columns]
        return self.values[own, self.names.index(y)]


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
    """Spearman's correlations between all pairs of columns, within classes, bootstrapped.

    classes, groups: (n,) labels, e.g. the bond class and the molecule; groups are drawn whole.
    Averages are over classes with at least three rows, since that of two rows is always 1 or
    −1. With `given`, one of the columns, partial correlations controlling for it, as in
    `partial_spearman`. Raises E3DError when `given` is no column, or a value is missing.
    """
    values = table[list(columns)].to_numpy(dtype=float)
    if not np.isfinite(values).all() or (given is not None and given not in columns):
        raise E3DError(
            f"rank correlations need finite values of {', '.join(columns)}, among them what is "
            f"held fixed ({given}); drop rows with missing values first"
        )
    class_of = codes(classes)
    held = None if given is None else list(columns).index(given)
    members = rows_by_group(groups)
    rng = np.random.default_rng(seed)
    sample = [
        _mean_matrix(values, class_of, np.concatenate([members[k] for k in drawn]), held)
        for drawn in rng.integers(len(members), size=(n_resamples, len(members)))
    ]
    whole = _mean_matrix(values, class_of, np.arange(len(values)), held)
    return Ranks(tuple(columns), whole, np.array(sample), len(values))


def _mean_matrix(
    values: Float[np.ndarray, "n k"],
    class_of: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " m"],
    held: int | None,
) -> Float[np.ndarray, "k k"]:
    """Mean over classes of the correlations between columns, for some of the rows."""
    parts = [values[rows[class_of[rows] == code]] for code in np.unique(class_of[rows])]
    matrices = np.array([
        _correlations(
            rankdata(part, axis=0) if held is None else _residual_ranks(part, part[:, [held]])
        )
        for part in parts if len(part) > 2
    ])  # fmt: skip
    known = np.isfinite(matrices)
    counts = known.sum(axis=0)
    return np.where(known, matrices, 0.0).sum(axis=0) / np.where(counts > 0, counts, np.nan)
