"""Scaling of errors with the amount of data: exponents of power laws, floors and plateaus.

Errors are arrays (n rows, k sizes, s seeds): rows are test cases (conformations, reactions), the
same for all models. Intervals come from a bootstrap that draws groups of rows (molecules), widened
by the spread between the s seeds. The models of a seed, one for each size, are not independent:
they begin with the same weights, and their smaller training sets are subsets of the larger ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats
from scipy.optimize import OptimizeWarning, curve_fit

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups, Numbers, rows_by_group
from e3d.statistics.intervals import CONFIDENCE, Estimate, interval, widened, with_seed_spread

#: A fitted exponent near or above this one is a step rather than a power law.
STEEPEST = 3.0
#: Errors of n test cases, for k sizes of the training set, by s models each.
ErrorArray: TypeAlias = Float[np.ndarray, "n k s"]


class Plateau(NamedTuple):
    """Where the error stops falling.

    worse_until: the largest size whose error demonstrably exceeds that of the largest size;
    as_good_from: the smallest size from which on no error exceeds it by more than the tolerance. In
    between the intervals are inconclusive. None: there is no such size.
    """

    worse_until: float | None
    as_good_from: float | None


def resampled_means(
    errors: ErrorArray, groups: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> Float[np.ndarray, "n_resamples k"]:
    """Mean error of each size over rows and seeds, for bootstrap resamples of groups of rows.

    In the unit of the errors. Raises E3DError when an error is missing or there is not one group
    per row.
    """
    errors = np.asarray(errors, dtype=float)
    if errors.ndim != 3 or len(errors) != len(groups) or not np.isfinite(errors).all():
        raise E3DError(
            f"expected finite errors of shape (rows, sizes, seeds) with one group per row, got "
            f"shape {errors.shape} and {len(groups)} groups; was a run not measured?"
        )
    members = rows_by_group(groups)
    sums = np.stack([errors[rows].mean(axis=2).sum(axis=0) for rows in members])
    counts = np.array([len(rows) for rows in members])
    rng = np.random.default_rng(seed)  # the same draws for all models, so that ratios are paired
    drawn = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), n_resamples)
    return (drawn @ sums) / (drawn @ counts)[:, None]


def mean_errors(
    errors: ErrorArray, groups: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean error of each size: columns value, low, high (95 % interval), in the errors' unit.

    Intervals are computed on a logarithmic scale, since errors are positive.
    """
    found = _estimates(np.log, errors, groups, n_resamples, seed)
    return np.exp(pd.DataFrame(found)[["value", "low", "high"]].astype(float))


def power_law(
    errors: ErrorArray, sizes: Numbers, groups: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Exponent x of mean error ∝ size⁻ˣ by least squares on logarithmic axes.

    sizes: (k,) positive. Positive x: errors fall with size. n counts rows.
    """
    logarithms = np.log(np.asarray(sizes, dtype=float))

    def exponent(means: np.ndarray) -> np.ndarray:
        return -np.polyfit(logarithms, np.log(means), 1)[:1]

    return _estimates(exponent, errors, groups, n_resamples, seed)[0]


def local_exponents(
    errors: ErrorArray, sizes: Numbers, groups: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Exponent x of the power law between each size and the next.

    Columns: from, to (the two sizes), value, low, high (95 % interval).
    """
    sizes = np.asarray(sizes, dtype=float)

    def exponents(means: np.ndarray) -> np.ndarray:
        return -np.diff(np.log(means)) / np.diff(np.log(sizes))

    rows = _estimates(exponents, errors, groups, n_resamples, seed)
    return pd.DataFrame({"from": sizes[:-1], "to": sizes[1:]}).join(
        pd.DataFrame(rows)[["value", "low", "high"]]
    )


def law_with_floor(
    errors: ErrorArray, sizes: Numbers, groups: Groups, *, n_resamples: int = 200, seed: int = 0
) -> dict[str, Estimate]:
    """`exponent` x and `floor` c of mean error = a·size⁻ˣ + c with c ≥ 0.

    Least squares of the logarithms of the errors; a floor above the smallest mean error is none, so
    c is at most that. sizes: at least four, positive; the floor is in the unit of the errors. NaN
    where the errors do not determine an exponent below `STEEPEST`; such resamples and seeds are
    left out of the intervals.
    """
    sizes = np.asarray(sizes, dtype=float)
    centre = np.exp(np.log(sizes).mean())

    def law(size: np.ndarray, a: float, x: float, c: float) -> np.ndarray:
        return np.log(np.exp(a) * (size / centre) ** -x + c)

    def fit(means: np.ndarray) -> np.ndarray:
        start = (np.log(means[0] - 0.9 * means.min()), 0.5, 0.9 * means.min())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", OptimizeWarning)
                limits = ([-np.inf, 0, 0], [np.inf, STEEPEST, means.min()])
                found = curve_fit(law, sizes, np.log(means), start, bounds=limits)[0][1:]
        except (RuntimeError, OptimizeWarning):
            return np.full(2, np.nan)
        return found if found[0] < 0.99 * STEEPEST else np.full(2, np.nan)

    found = _estimates(fit, errors, groups, n_resamples, seed)
    return dict(zip(("exponent", "floor"), found, strict=True))


def stops_falling(
    errors: ErrorArray,
    sizes: Numbers,
    groups: Groups,
    *,
    tolerance: float = 0.05,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Plateau:
    """Plateau of the error, by the interval of its ratio to the error of the largest size.

    A size is worse where the whole interval lies above 1, as good where it lies below
    1 + `tolerance`.
    """
    sizes = np.asarray(sizes, dtype=float)

    def excess(means: np.ndarray) -> np.ndarray:
        return np.log(means[:-1] / means[-1])

    found = _estimates(excess, errors, groups, n_resamples, seed)
    low, high = (np.array([f[end] for f in found], dtype=float) for end in ("low", "high"))
    worse = np.flatnonzero(low > 0)
    not_as_good = np.flatnonzero(high >= np.log(1 + tolerance))
    first = int(not_as_good[-1]) + 1 if len(not_as_good) else 0
    return Plateau(
        float(sizes[worse[-1]]) if len(worse) else None,
        float(sizes[first]) if first < len(sizes) - 1 else None,
    )


def ratio(
    errors: Float[np.ndarray, "n s"],
    others: Float[np.ndarray, "n t"],
    groups: Groups,
    *,
    paired: bool,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Ratio of the mean error of one set of models to that of another, on the same rows.

    paired: corresponding columns are models of the same seed, whose common deviations cancel;
    otherwise seeds are independent, and their variance is pooled over both sides. Raises E3DError
    for paired sides with different numbers of seeds.
    """
    first, second = np.asarray(errors)[:, None, :], np.asarray(others)[:, None, :]
    if paired and first.shape != second.shape:
        raise E3DError(
            f"paired models must have the same seeds on both sides, got {first.shape[2]} and "
            f"{second.shape[2]} seeds"
        )
    above, below = (
        resampled_means(part, groups, n_resamples=n_resamples, seed=seed)[:, 0]
        for part in (first, second)
    )
    value = float(np.log(first.mean() / second.mean()))
    found = interval(value, np.log(above / below), len(first))
    singles = [np.log(part.mean(axis=(0, 1))) for part in (first, second)]
    if paired:
        found = with_seed_spread(found, singles[0] - singles[1])
    elif (freedom := sum(len(side) - 1 for side in singles)) > 0:
        pooled = sum(((side - side.mean()) ** 2).sum() for side in singles) / freedom
        error = np.sqrt(pooled * sum(1 / len(side) for side in singles))
        found = widened(found, float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error))
    return {
        "value": float(np.exp(value)),
        "low": None if found["low"] is None else float(np.exp(found["low"])),
        "high": None if found["high"] is None else float(np.exp(found["high"])),
        "n": found["n"],
    }


def _estimates(
    statistic: Callable[[np.ndarray], np.ndarray],
    errors: ErrorArray,
    groups: Groups,
    n_resamples: int,
    seed: int,
) -> list[Estimate]:
    """Entries of a statistic of the mean errors (k,), with intervals over rows and seeds."""
    means = resampled_means(errors, groups, n_resamples=n_resamples, seed=seed)
    sample = np.array([statistic(row) for row in means])
    by_seed = np.asarray(errors, dtype=float).mean(axis=0)
    values = statistic(by_seed.mean(axis=1))
    of_seeds = np.array([statistic(column) for column in by_seed.T])
    return [
        with_seed_spread(interval(float(value), sample[:, k], len(errors)), of_seeds[:, k])
        for k, value in enumerate(values)
    ]
