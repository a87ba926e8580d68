"""Spearman's rank correlation: of two columns, within classes, with others held fixed, of many."""

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

#: Share of the standard deviation of ranks below which what regression leaves of them is rounding.
NEGLIGIBLE = 1e-5


def spearman(x: Numbers, y: Numbers) -> float:
    """Spearman's rank correlation of two columns (n,), any units.

    NaN, without a warning, where either is constant or has a missing value, and for n < 2.
    """
    if len(x) < 2:
        return float("nan")
    # scipy's spearmanr finds a p-value besides, at twice the cost in a bootstrap
    return float(_correlations(rankdata(np.column_stack([x, y]), axis=0))[0, 1])


def within_class_spearman(
    x: Numbers, y: Float[np.ndarray, " n"] | Float[np.ndarray, "n k"], classes: Groups
) -> float:
    """Spearman's correlation of x and y within each class, its mean over classes.

    x: (n,); y: (n,), or (n, k) for k models, over which the mean is taken too; classes: (n,)
    labels. Classes in which `spearman` is NaN do not count; NaN when none is left.
    """
    first, class_of = np.asarray(x, dtype=float), np.asarray(classes)
    second = np.asarray(y, dtype=float).reshape(len(first), -1)
    found = np.array([
        spearman(first[own], column[own])
        for own in (class_of == value for value in np.unique(class_of))
        for column in second.T
    ])  # fmt: skip
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else float("nan")


def partial_spearman(
    x: Numbers, y: Numbers, given: Float[np.ndarray, " n"] | Float[np.ndarray, "n m"]
) -> float:
    """Rank correlation of x and y with the ranks of `given` held fixed; NaN without variation.

    given: (n,) or (n, m) for several. Pearson's correlation of what least squares on the ranks of
    `given` leaves of the ranks of x and of y.
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
    """What least squares on the ranks of `given` leaves of ranks; NaN where nothing is left."""
    ranks = rankdata(columns, axis=0)
    design = np.column_stack([np.ones(len(ranks)), rankdata(given, axis=0)])
    residuals = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    residuals[:, residuals.std(axis=0) < NEGLIGIBLE * np.maximum(ranks.std(axis=0), 1)] = np.nan
    return residuals


@dataclass(frozen=True)
class Ranks:
    """Spearman's correlations of columns with each other, averaged over classes.

    names: of the columns; values (k, k), and sample (n_resamples, k, k) over resampled groups; NaN
    where a column is constant in every class. n: number of rows. The methods take as `seeds` the
    columns of independently seeded models whose mean the column x is, and join the interval with
    the spread of these.
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

    def gain(self, x: str, over: str, y: str, *, seeds: Sequence[str] = ()) -> Estimate:
        """By how much x correlates with y better than `over` does, on the same resamples."""
        i, j, k = (self.names.index(name) for name in (x, over, y))
        ahead = float(self.values[i, k] - self.values[j, k])
        found = interval(ahead, self.sample[:, i, k] - self.sample[:, j, k], self.n)
        return with_seed_spread(found, self._of_each(seeds, y))

    def over_models(self, columns: Sequence[str], y: str) -> Estimate:
        """Mean correlation with y of columns, one of each model, joined with their spread."""
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
    """Spearman's correlations of many columns at once, within classes, bootstrapped over groups.

    classes, groups: one label per row, e.g. the bond class and the molecule. Means over classes of
    at least three rows: two rows follow each other or oppose each other, and nothing between. With
    `given`, one of the columns, partial correlations with its ranks held fixed, see
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
    """Mean over classes of the correlations among some rows, each over the classes that have it."""
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
