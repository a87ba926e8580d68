"""Models of different training sets: how much their errors and their bond energies differ."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.statistics import intervals, power_laws, variance
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import Estimate


class Change(NamedTuple):
    """By how many percent errors change: their mean over rows, and the geometric mean over
    molecules of the change of each, which no molecule with large errors dominates."""

    of_mean: Estimate
    of_typical_molecule: Estimate


def error_change(
    errors: Float[np.ndarray, "n k"] | pd.DataFrame,
    before: Float[np.ndarray, "n k"] | pd.DataFrame,
    molecules: Groups,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Change:
    """Change in percent from the errors `before`, positive where they grow.

    errors, before: absolute errors, one unit, on the same n rows by k models each; column by column
    the models share a seed, so that what a seed does to both cancels. molecules: (n,) labels.
    Intervals over molecules, joined with the spread over seeds. Raises E3DError for unlike numbers
    of seeds.
    """
    after, first = np.asarray(errors), np.asarray(before)
    ratio = power_laws.ratio(
        after, first, molecules, paired=True, n_resamples=n_resamples, seed=seed
    )
    own, other = (
        pd.DataFrame(side).groupby(np.asarray(molecules)).mean() for side in (after, first)
    )
    typical = intervals.estimate_over_seeds(np.log(own / other), n_resamples=n_resamples, seed=seed)
    return Change(
        intervals.transformed(ratio, lambda x: 100 * (x - 1)),
        intervals.transformed(typical, lambda x: 100 * (np.exp(x) - 1)),
    )


def median_distances(
    energies: Mapping[str, Float[np.ndarray, "n k"]], classes: Groups
) -> dict[tuple[str, str], list[float]]:
    """`variance.class_offset` of every two single models, by the training sets that they are of.

    energies: bond energies (n, k) of the k seeds of each training set, k may differ; classes: (n,)
    bond classes. The pair of a set with itself has the distances between its seeds, the pair of two
    sets those between any seed of one and any of the other; in the unit of the energies.
    """
    found = {}
    for a, b in combinations_with_replacement(energies, 2):
        first, second = energies[a].T, energies[b].T
        pairs = combinations(first, 2) if a == b else product(first, second)
        found[a, b] = [
            variance.class_offset(one[:, None], other[:, None], classes) for one, other in pairs
        ]
    return found
