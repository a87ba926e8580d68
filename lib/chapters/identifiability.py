"""What all seeds share of bond energies, and how far one changed factor moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from e3d.statistics import intervals, variance
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import Estimate
from e3d.units import KCAL_PER_MOL_PER_EV


class Shift(TypedDict):
    """How far the bond energies of one family of models are from those of the central one.

    offset: `variance.class_offset` between the two; by_seeds: the largest between as many seeds of
    the central family and its others; both in the unit of the energies. correlation: within
    classes.
    """

    offset: float
    by_seeds: float
    correlation: Estimate


def bond_energies(
    bonds: pd.DataFrame, runs: Sequence[str], kind: str = "bare"
) -> Float[np.ndarray, "n k"]:
    """−ε in kcal/mol, positive when bound, of n bonds by k runs.

    bonds: a bond table with columns `<kind>:<run>` in eV; kind: bare or dressed.
    """
    return -KCAL_PER_MOL_PER_EV * bonds[[f"{kind}:{run}" for run in runs]].to_numpy(dtype=float)


def scaled_to(
    values: Float[np.ndarray, "n k"], target: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n k"]:
    """Each column times the factor that brings it closest to `target` by least squares."""
    return values * (target @ values) / (values**2).sum(axis=0)


def shared_fraction(
    values: Float[np.ndarray, "n k"],
    classes: Groups,
    groups: Groups,
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """`variance.shared_share` of n bonds by k ≥ 3 seeds, its interval over groups and seeds.

    classes, groups: (n,) bond classes, and molecules, which are drawn whole.
    """
    labels = np.asarray(classes)
    return variance.over_molecules_and_seeds(
        lambda side, rows: variance.shared_share(side[rows], labels[rows]),
        values,
        groups=groups,
        n_resamples=n_resamples,
        seed=seed,
    )


def consistency(
    values: Float[np.ndarray, "n k"],
    classes: Groups,
    groups: Groups,
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """`variance.consistency_share` of n bonds by k ≥ 3 seeds, its interval as `shared_fraction`."""
    labels = np.asarray(classes)
    found = variance.over_molecules_and_seeds(
        lambda side, rows: variance.consistency_share(side[rows], labels[rows]),
        values,
        groups=groups,
        n_resamples=n_resamples,
        seed=seed,
    )
    return intervals.within(found, (-1.0, 1.0))


def shared_fraction_difference(
    values: Float[np.ndarray, "n k"],
    others: Float[np.ndarray, "n m"],
    classes: Groups,
    groups: Groups,
    *,
    same_models: bool,
    n_resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """`shared_fraction` of `values` less that of `others`, on the same bonds.

    same_models: the columns of the two are the same models, read in two ways, so that leaving one
    out takes it from both; otherwise models of the two sides are independent.
    """
    labels = np.asarray(classes)

    def difference(first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> float:
        here, there = (variance.shared_share(side[rows], labels[rows]) for side in (first, second))
        return here - there

    options = {"n_resamples": n_resamples, "seed": seed}
    if same_models:
        both = np.stack([values, others])
        return variance.over_molecules_and_seeds(
            lambda pair, rows: difference(pair[0], pair[1], rows), both, groups=groups, **options
        )
    return variance.over_molecules_and_seeds(difference, values, others, groups=groups, **options)


def shift(
    values: Float[np.ndarray, "n k"],
    central: Float[np.ndarray, "n m"],
    classes: Groups,
    groups: Groups,
    *,
    compared: Bool[np.ndarray, " m"] | None = None,
    n_resamples: int = 500,
    seed: int = 0,
) -> Shift:
    """How far a family of models is from the central one, on the same n bonds.

    compared: the seeds of the central family that `values` is compared with, such as those that
    begin from the same weights; none: all. The interval is over groups.
    """
    counterpart = central if compared is None else central[:, compared]
    return {
        "offset": variance.class_offset(values, counterpart, classes),
        "by_seeds": variance.largest_offset(central, values.shape[1], classes),
        "correlation": variance.within_class_correlation(
            values, counterpart, classes, groups, n_resamples=n_resamples, seed=seed
        ),
    }
