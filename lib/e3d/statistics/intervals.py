"""Confidence intervals over molecules and over seeds, and the accuracy score.

Bonds of one molecule are not independent, so every interval is a cluster bootstrap: whole groups
of rows (molecules) are drawn with replacement. What independently trained models differ by is added
in quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups, Numbers, rows_by_group

#: Two-sided confidence level of every interval in the project.
CONFIDENCE = 0.95
#: Bounds of a statistic that has none.
UNBOUNDED = (-np.inf, np.inf)


class Estimate(TypedDict):
    """A number with its 95 % confidence interval, as in `results/metrics.json`.

    `low` and `high` are None where the interval is unknown, for lack of a second group; `n` counts
    rows (bonds, reactions), not groups.
    """

    value: float
    low: float | None
    high: float | None
    n: int


def bootstrap_distribution(
    statistic: Callable[[Int[np.ndarray, " _"]], float],
    groups: Groups,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, " n_resamples"]:
    """The statistic of each resample of whole groups, reproducible for a given seed.

    statistic: takes row indices, repeated as often as their group was drawn, and returns a number;
    groups: (n,) labels of the rows, usually molecule names. Empty for fewer than two groups.
    """
    members = rows_by_group(groups)
    if len(members) < 2:
        return np.empty(0)
    rows = np.concatenate(members)
    alone = len(rows) == len(members)  # every row its own group: index them at once
    return stats.bootstrap(
        (np.arange(len(members)),),
        lambda drawn: statistic(
            rows[drawn] if alone else np.concatenate([members[k] for k in drawn])
        ),
        vectorized=False,
        method="percentile",
        n_resamples=n_resamples,
        rng=seed,
    ).bootstrap_distribution


def estimate(
    values: Numbers,
    groups: Groups | None = None,
    *,
    statistic: Callable[[np.ndarray], float] = np.mean,
    of_seeds: Numbers = (),
    limits: tuple[float, float] = UNBOUNDED,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """`statistic` of the values with its percentile bootstrap interval over groups.

    values: (n,) numbers, or (n, …) rows that are drawn together; groups: (n,) labels, default every
    row by itself; statistic: takes an array like `values` and returns one number. The result has
    the unit of the statistic. Resamples on which the statistic is not finite are left out.
    of_seeds: where the values are means over independently seeded models, the statistic of each of
    these, whose spread widens the interval (`with_seed_spread`). limits: the smallest and largest
    values that the statistic can take; the interval is clipped to them.

    Raises E3DError when `values` is empty, or `groups` has another length.
    """
    values = np.asarray(values)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if len(values) == 0 or len(values) != len(groups):
        raise E3DError(
            f"expected as many values as group labels and at least one, got {len(values)} values "
            f"and {len(groups)} labels; was a table filtered on one side only?"
        )
    sample = bootstrap_distribution(
        lambda rows: float(statistic(values[rows])), groups, n_resamples=n_resamples, seed=seed
    )
    found = interval(float(statistic(values)), sample, len(values))
    return within(with_seed_spread(found, of_seeds), limits)


def estimate_over_seeds(
    values: Float[np.ndarray, "n k"] | pd.DataFrame,
    groups: Groups | None = None,
    *,
    limits: tuple[float, float] = UNBOUNDED,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean over rows and independently seeded models, with its interval over groups and seeds.

    values: n rows by k models, any unit, NaN where a model has no value; groups and limits as for
    `estimate`.
    """
    table = pd.DataFrame(values)
    return estimate(
        table.mean(axis=1), groups, of_seeds=table.mean(), limits=limits,
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip


def seed_interval(of_seeds: Numbers, minus: Numbers = ()) -> Estimate:
    """Mean over independently seeded models, with its interval from their spread alone.

    of_seeds: (k,) a quantity of each model, any unit; n is k, and a single model has no interval.
    With `minus`, the same quantity of other models, the difference of the two means.
    """
    values, others = (np.asarray(side, dtype=float) for side in (of_seeds, minus))
    value = float(values.mean() - (others.mean() if len(others) else 0.0))
    if len(values) < 2:
        return {"value": value, "low": None, "high": None, "n": len(values)}
    exact: Estimate = {"value": value, "low": value, "high": value, "n": len(values)}
    return with_seed_spread(with_seed_spread(exact, values), others)


def within(found: Estimate, limits: tuple[float, float]) -> Estimate:
    """The estimate with its interval clipped to the limits of the quantity."""
    if found["low"] is None or found["high"] is None:
        return found
    low, high = np.clip([found["low"], found["high"]], *limits).tolist()
    return {"value": found["value"], "low": low, "high": high, "n": found["n"]}


def transformed(found: Estimate, function: Callable[[float], float]) -> Estimate:
    """The estimate of an increasing function of a quantity, e.g. `np.exp` of a logarithm."""
    low, high = (
        None if end is None else float(function(end)) for end in (found["low"], found["high"])
    )
    return {"value": float(function(found["value"])), "low": low, "high": high, "n": found["n"]}


def interval(
    value: float,
    sample: Float[np.ndarray, " n_resamples"],
    n: int,
    *,
    centred: bool = False,
) -> Estimate:
    """A value with the interval of its bootstrap sample.

    Percentile interval; with `centred`, [v − (q₉₇.₅ − m), v + (m − q₂.₅)] about the value v, with m
    the mean of the sample: for statistics such as entropies, whose resamples are more biased than
    the estimate itself (repeated molecules add nothing new), and whose bias is corrected by other
    means. n: number of rows that the value is computed from.
    """
    finite = sample[np.isfinite(sample)]
    if len(finite) < 2:
        return {"value": value, "low": None, "high": None, "n": n}
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    if centred:
        low, high = value - (high - finite.mean()), value + (finite.mean() - low)
    return {"value": value, "low": float(low), "high": float(high), "n": n}


def widened(found: Estimate, error: float) -> Estimate:
    """The estimate with the half-width `error` of an independent source added in quadrature."""
    if found["low"] is None or found["high"] is None:
        return found
    value = found["value"]
    return {
        "value": value,
        "low": value - float(np.hypot(error, value - found["low"])),
        "high": value + float(np.hypot(error, found["high"] - value)),
        "n": found["n"],
    }


def with_seed_spread(found: Estimate, of_seeds: Numbers) -> Estimate:
    """An interval over rows, widened by the spread between independently seeded models.

    found: of the mean over k models; of_seeds: (k,) the same statistic of each. The half-width
    t·s/√k is added in quadrature, with s their standard deviation and t Student's quantile: with
    few seeds the spread itself is uncertain, which a bootstrap over them would hide. Unchanged for
    a single model.
    """
    values = np.asarray(of_seeds, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return found
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return widened(found, t * float(values.std(ddof=1)) / float(np.sqrt(len(values))))


def with_left_out(found: Estimate, left_out: Numbers) -> Estimate:
    """An interval over rows, widened by the spread between independently seeded models.

    For statistics that need several models at once. left_out: (k,) the statistic without each of
    the k models; its jackknife standard error, times Student's quantile for k − 1 degrees of
    freedom, is added in quadrature. Raises E3DError for fewer than three.
    """
    values = np.asarray(left_out, dtype=float)
    if len(values) < 3:
        raise E3DError(f"expected three models or more, to leave each out once, got {len(values)}")
    error = np.sqrt((len(values) - 1) * values.var())
    return widened(found, float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * error))


def scores(
    values: Numbers,
    references: Numbers,
) -> Float[np.ndarray, " n"]:
    """max(0, 1 − |value − reference| / reference) for each pair, between 0 and 1.

    Values and references in the same unit, references positive (bond dissociation energies are
    reported positive). Raises E3DError for a reference that is not positive, or unequal lengths.
    """
    values, references = np.asarray(values, dtype=float), np.asarray(references, dtype=float)
    if values.shape != references.shape or not (references > 0).all():
        raise E3DError(
            f"expected one positive reference per value, got {values.shape} values and references "
            f"of shape {references.shape} from {references.min(initial=np.inf):g}; a bond "
            "dissociation energy is positive, and a missing reference must be dropped first"
        )
    return np.maximum(0.0, 1.0 - np.abs(values - references) / references)


def accuracy(
    values: Numbers,
    references: Numbers,
    groups: Groups | None = None,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Unweighted mean of `scores`, with its interval over groups (default: every row by itself).

    Values and references as for `scores`.
    """
    return estimate(scores(values, references), groups, n_resamples=n_resamples, seed=seed)


def accuracy_gain(
    values: Numbers,
    null_values: Numbers,
    references: Numbers,
    groups: Groups | None = None,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Accuracy of the model minus that of a null model on the same reactions, paired.

    Each resample draws the same reactions for both, so that what makes a reaction difficult for
    both cancels. Positive: the model is closer to the references than the null model. Values and
    references as for `scores`.
    """
    gains = scores(values, references) - scores(null_values, references)
    return estimate(gains, groups, n_resamples=n_resamples, seed=seed)
