"""Variance components of edge energies: what is shared by independently seeded models.

Edge energies are defined up to a gauge: energy can be moved between the edges of an atom, or
between edges and atoms, without changing any total energy. What independently seeded models have in
common is determined by the data (and the architecture); the rest is not.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import (
    Estimate,
    bootstrap_distribution,
    interval,
    with_left_out,
    within,
)

#: Names of the variance components, in the order of `variance_parts`.
PARTS = ("between classes", "within, shared", "class offsets of a seed", "within, of a seed")


def variance_parts(values: Float[np.ndarray, "n k"], classes: Groups) -> dict[str, float]:
    """Variance components of bond energies, in the squared unit of the values.

    values: n bonds by k ≥ 2 seeds; classes: (n,). With x_bs the energy of bond b of class c by seed
    s, x_bs = m + a_c + u_b + d_cs + e_bs; the variances of a (between classes), u (within a class,
    shared by all seeds), d (offset of a whole class by one seed) and e (residual), by unbiased
    moments, classes weighted by their numbers of bonds. A class of one bond contributes to neither
    u nor e. A shift of all energies by a seed counts as class offsets.
    Raises E3DError for other shapes.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2 or len(table) != len(classes):
        raise E3DError(f"expected (bonds, seeds ≥ 2) and one class per bond, got {table.shape} and "
                       f"{len(classes)} classes")  # fmt: skip
    k = table.shape[1]
    labels = pd.Series(np.asarray(classes))
    sizes = labels.groupby(labels).size()
    weights = sizes / sizes.sum()
    means = pd.DataFrame(table).groupby(labels).mean()  # by class and seed
    inside = table - means.loc[labels].to_numpy()
    of_bond = inside.mean(axis=1)
    # two-way layout within each class, bonds by seeds, with the class-by-seed means subtracted
    freedom = (sizes - 1).clip(lower=0).sum()
    noise = float(((inside - of_bond[:, None]) ** 2).sum() / max(freedom * (k - 1), 1))
    shared = float((of_bond**2).sum() / max(freedom, 1)) - noise / k
    offsets = means.sub(means.mean(axis=1), axis=0)
    seeds = float((offsets.var(axis=1, ddof=0) * k / (k - 1)) @ weights) - float(
        (noise / sizes) @ weights
    )
    centre = means.mean(axis=1)
    spread = float(((centre - centre @ weights) ** 2) @ weights)
    between = spread - float(((shared + noise / k) / sizes) @ weights) - seeds / k
    return dict(zip(PARTS, (between, shared, seeds, noise), strict=True))


def shared_share(values: Float[np.ndarray, "n k"], classes: Groups) -> float:
    """Fraction of the variance within classes, class offsets included, shared by all seeds."""
    part = variance_parts(values, classes)
    _, shared, offset, single = PARTS
    return part[shared] / (part[shared] + part[offset] + part[single])


def consistency_share(values: Float[np.ndarray, "n k"], classes: Groups) -> float:
    """Fraction of the variance within classes shared by all seeds, their class offsets taken out.

    Which seed shifts a whole class does not count: do seeds tell the same bonds of a class apart?
    """
    part = variance_parts(values, classes)
    _, shared, _, single = PARTS
    return part[shared] / (part[shared] + part[single])


def over_molecules_and_seeds(
    statistic: Callable[..., float],
    *sides: np.ndarray,
    groups: Groups,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """A statistic of sets of models, with its interval over groups and, by jackknife, over seeds.

    sides: arrays (…, n, k) of n rows by k ≥ 3 seeds, one of each independent set; statistic: called
    with the sides and the indices of the drawn rows; groups: (n,) labels of rows drawn together.
    """
    rows = np.arange(len(groups))
    sample = bootstrap_distribution(
        lambda drawn: statistic(*sides, drawn), groups, n_resamples=n_resamples, seed=seed
    )
    found = interval(statistic(*sides, rows), sample, len(rows))
    for k, side in enumerate(sides):
        left_out = [
            statistic(*sides[:k], np.delete(side, s, axis=-1), *sides[k + 1 :], rows)
            for s in range(side.shape[-1])
        ]
        found = with_left_out(found, left_out)
    return found


def identified(
    values: Float[np.ndarray, "n k"],
    classes: Groups,
    groups: Groups,
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """`intraclass_correlation` of k ≥ 3 seeds, with its interval over groups and seeds.

    The interval is clipped to the range of the correlation, −1/(k − 1) to 1. Raises E3DError for
    fewer seeds, since the jackknife leaves one of them out.
    """
    if values.shape[1] < 3:
        raise E3DError(f"expected three models or more to compare, got {values.shape[1]}")
    found = intraclass_correlation(values, classes, groups, n_resamples=n_resamples, seed=seed)
    left_out = [
        intraclass_correlation(np.delete(values, s, axis=1), classes, groups, n_resamples=2)[
            "value"
        ]
        for s in range(values.shape[1])
    ]
    return within(with_left_out(found, left_out), (-1 / (values.shape[1] - 1), 1.0))


def largest_offset(values: Float[np.ndarray, "n k"], n_seeds: int, classes: Groups) -> float:
    """Largest `class_offset` between any `n_seeds` of the k seeds (at most k − 1) and the rest."""
    k = values.shape[1]
    return max(
        class_offset(values[:, list(some)], np.delete(values, some, axis=1), classes)
        for some in combinations(range(k), min(n_seeds, k - 1))
    )


def class_offset(
    values: Float[np.ndarray, "n k"], others: Float[np.ndarray, "n m"], classes: Groups
) -> float:
    """Mean over classes of |median of one ensemble − median of the other|, in their unit.

    Medians are over the bonds of a class, of the mean over each ensemble.
    """
    both = pd.DataFrame({"a": np.mean(values, axis=1), "b": np.mean(others, axis=1)})
    medians = both.groupby(np.asarray(classes)).median()
    return float((medians["a"] - medians["b"]).abs().mean())


def within_class_correlation(
    values: Float[np.ndarray, "n k"],
    others: Float[np.ndarray, "n m"],
    classes: Groups,
    groups: Groups,
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """Pearson correlation of the mean energies of two ensembles, with class means subtracted.

    groups: (n,) labels of rows drawn together for the interval, usually molecules.
    """
    labels = np.asarray(classes)
    both = pd.DataFrame({"a": np.mean(values, axis=1), "b": np.mean(others, axis=1)})

    def correlation(rows: np.ndarray) -> float:
        drawn = both.iloc[rows].reset_index(drop=True)
        centred = drawn - drawn.groupby(labels[rows]).transform("mean")
        return float(np.corrcoef(centred["a"], centred["b"])[0, 1])

    sample = bootstrap_distribution(correlation, groups, n_resamples=n_resamples, seed=seed)
    return interval(correlation(np.arange(len(both))), sample, len(both))


def intraclass_correlation(
    values: Float[np.ndarray, "n k"],
    classes: Groups,
    groups: Groups,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Fraction of the variance within classes that k independent models have in common.

    One-way ICC(1) = (B − W)/(B + (k − 1)W) (Shrout & Fleiss 1979, doi:10.1037/0033-2909.86.2.420)
    with B and W the mean squares between and within rows, after subtraction of the mean of each
    class: 1, the models agree on every row; 0, they agree no better than on unrelated rows.
    values: n rows (bonds) by k models, any unit; classes: (n,); groups: (n,) labels of rows drawn
    together.
    """
    table = pd.DataFrame(values)
    labels = pd.Series(np.asarray(classes))

    def correlation(rows: Int[np.ndarray, " _"]) -> float:
        drawn, within = table.iloc[rows], labels.iloc[rows]
        mean = drawn.mean(axis=1)
        centred = mean - mean.groupby(within.to_numpy()).transform("mean")
        n, k = drawn.shape
        between = k * float((centred**2).sum()) / max(n - within.nunique(), 1)
        noise = float(drawn.sub(mean, axis=0).pow(2).sum().sum()) / (n * (k - 1))
        return (between - noise) / (between + (k - 1) * noise)

    sample = bootstrap_distribution(correlation, groups, n_resamples=n_resamples, seed=seed)
    return interval(correlation(np.arange(len(table))), sample, len(table))
