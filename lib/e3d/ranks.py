"""Rank correlations of many measures of the same bonds at once, within classes, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import rankdata

from e3d import statistics
from e3d.errors import E3DError
from e3d.statistics import Estimate, Labels


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
        return statistics.interval(float(self.values[i, j]), self.sample[:, i, j], self.n)

    def gain(self, x: str, over: str, y: str) -> Estimate:
        """By how much x correlates with y better than `over` does, on the same resamples."""
        i, j, k = (self.names.index(name) for name in (x, over, y))
        ahead = float(self.values[i, k] - self.values[j, k])
        return statistics.interval(ahead, self.sample[:, i, k] - self.sample[:, j, k], self.n)


def rank_correlations(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    classes: Labels,
    groups: Labels,
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
    members = statistics.rows_by_group(groups)
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
