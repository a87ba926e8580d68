"""How errors fall with the amount of data: power laws, and where they stop.

Errors stand in arrays (n rows, k sizes, s seeds): rows are what is tested (conformations,
reactions), all models see the same rows. Intervals come from a bootstrap that draws groups of rows
(molecules) and seeds. A seed is drawn for all sizes at once, because its smaller data sets are
parts of its larger ones; few seeds say little about their own spread.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import OptimizeWarning, curve_fit

from e3d.errors import E3DError
from e3d.statistics import CONFIDENCE, Estimate, Labels, Numbers, interval, rows_by_group

#: Larger exponents than this are no power law but a step.
STEEPEST = 3.0
#: Errors of n rows, for k sizes, by s models each.
Errors: TypeAlias = Float[np.ndarray, "n k s"]


def resampled_means(
    errors: Errors, groups: Labels, *, n_resamples: int = 1000, seed: int = 0
) -> Float[np.ndarray, "n_resamples k"]:
    """Mean error of each size over resamples of groups of rows, and of seeds.

    Raises E3DError when an error is missing or there is not one group per row.
    """
    errors = np.asarray(errors, dtype=float)
    if errors.ndim != 3 or len(errors) != len(groups) or not np.isfinite(errors).all():
        raise E3DError(
            f"expected finite errors of shape (rows, sizes, seeds) with one group per row, got "
            f"shape {errors.shape} and {len(groups)} groups; was a run not measured?"
        )
    members = rows_by_group(groups)
    sums = np.stack([errors[rows].sum(axis=0) for rows in members])
    counts = np.array([len(rows) for rows in members])
    # of their own, so that other models on the same rows meet the same draws of rows
    rng, of_seeds = np.random.default_rng(seed).spawn(2)
    _, k, s = errors.shape
    means = np.empty((n_resamples, k))
    for b in range(n_resamples):
        drawn = np.bincount(rng.integers(len(members), size=len(members)), minlength=len(members))
        by_seed = np.tensordot(drawn, sums, axes=1) / (drawn @ counts)
        means[b] = by_seed[:, of_seeds.integers(s, size=s)].mean(axis=1)
    return means


def power_law(
    errors: Errors, sizes: Numbers, groups: Labels, *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Exponent x of mean error ∝ size⁻ˣ by least squares on logarithmic axes, with its interval.

    sizes: (k,) positive. Positive x: errors fall with size. n counts rows.
    """

    def exponent(means: np.ndarray) -> float:
        logarithms = np.log(np.asarray(sizes, dtype=float))
        return -float(np.polyfit(logarithms, np.log(means), 1)[0])

    return _of_means(exponent, errors, groups, n_resamples, seed)


def local_exponents(
    errors: Errors, sizes: Numbers, groups: Labels, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Exponent between each size and the next, with its interval: columns from, to, value, low,
    high."""
    sizes = np.asarray(sizes, dtype=float)
    means = resampled_means(errors, groups, n_resamples=n_resamples, seed=seed)
    steps = -np.diff(np.log(means), axis=1) / np.diff(np.log(sizes))
    values = -np.diff(np.log(np.asarray(errors).mean(axis=(0, 2)))) / np.diff(np.log(sizes))
    rows = [interval(float(v), steps[:, k], len(errors)) for k, v in enumerate(values)]
    return pd.DataFrame({"from": sizes[:-1], "to": sizes[1:]}).join(
        pd.DataFrame(rows)[["value", "low", "high"]]
    )


def law_with_floor(
    errors: Errors, sizes: Numbers, groups: Labels, *, n_resamples: int = 200, seed: int = 0
) -> dict[str, Estimate]:
    """`exponent` x and `floor` c of mean error = a·size⁻ˣ + c, with c ≥ 0, and their intervals.

    Least squares of the logarithms of the errors. sizes: at least four, positive; the floor has the
    unit of the errors. NaN where the errors do not determine an exponent below `STEEPEST`; such
    resamples are left out.
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
                limits = ([-np.inf, 0, 0], [np.inf, STEEPEST, np.inf])
                found = curve_fit(law, sizes, np.log(means), start, bounds=limits)[0][1:]
        except (RuntimeError, OptimizeWarning):
            return np.full(2, np.nan)
        return found if found[0] < 0.99 * STEEPEST else np.full(2, np.nan)

    means = resampled_means(errors, groups, n_resamples=n_resamples, seed=seed)
    sample = np.array([fit(row) for row in means])
    values = fit(np.asarray(errors).mean(axis=(0, 2)))
    n = len(errors)
    return {
        name: interval(float(values[k]), sample[:, k], n)
        for k, name in enumerate(("exponent", "floor"))
    }


def stops_falling(
    errors: Errors,
    sizes: Numbers,
    groups: Labels,
    *,
    tolerance: float = 0.05,
    n_resamples: int = 1000,
    seed: int = 0,
) -> float | None:
    """Size from which on the error is as good as at the largest size; None while it still falls.

    As good: not shown to exceed the error at the largest size by more than the share `tolerance`,
    by the lower end of the interval of their ratio.
    """
    sizes = np.asarray(sizes, dtype=float)
    means = resampled_means(errors, groups, n_resamples=n_resamples, seed=seed)
    ratios = means / means[:, -1:]
    low = np.quantile(ratios, (1 - CONFIDENCE) / 2, axis=0)
    worse = np.flatnonzero(low > 1 + tolerance)
    first = int(worse[-1]) + 1 if len(worse) else 0
    return None if first == len(sizes) - 1 else float(sizes[first])


def ratio(
    errors: Float[np.ndarray, "n s"],
    others: Float[np.ndarray, "n t"],
    groups: Labels,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean error of one set of models over that of another on the same rows, with its interval."""
    resample = {"n_resamples": n_resamples, "seed": seed}
    first, second = np.asarray(errors)[:, None, :], np.asarray(others)[:, None, :]
    above, below = (resampled_means(part, groups, **resample)[:, 0] for part in (first, second))
    return interval(float(first.mean() / second.mean()), above / below, len(first))


def _of_means(
    statistic: Callable[[np.ndarray], float],
    errors: Errors,
    groups: Labels,
    n_resamples: int,
    seed: int,
) -> Estimate:
    means = resampled_means(errors, groups, n_resamples=n_resamples, seed=seed)
    sample = np.array([statistic(row) for row in means])
    return interval(statistic(np.asarray(errors).mean(axis=(0, 2))), sample, len(errors))
