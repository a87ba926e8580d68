"""Linear probes: what a linear map finds in features of bonds, on molecules it was not fitted to.

A probe may find what it has itself learned by heart. So what it finds is compared with functions of
one number, such as the bond length, and against a control task (Hewitt & Liang 2019,
arXiv:1909.03368): an arbitrary value for every kind of environment, the same wherever that occurs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.preprocessing import SplineTransformer

from e3d.statistics.grouping import Groups, Numbers, codes, molecule_folds

#: Ridge penalties of standardised features, relative to the variance of one of them.
PENALTIES = np.logspace(-5, 2, 8)
#: Parts into which the molecules fitted to are divided, to choose the penalty.
N_INNER_FOLDS = 4


class Probed(NamedTuple):
    """What a probe leaves of targets of molecules that it was not fitted to, (n, n_targets) each.

    prediction, in the unit of the target; lost and whole: squared deviations from it and from the
    mean of the stratum (of the molecules fitted to), in that unit squared; averaged over repeats.
    """

    prediction: Float[np.ndarray, "n n_targets"]
    lost: Float[np.ndarray, "n n_targets"]
    whole: Float[np.ndarray, "n n_targets"]


def regress(
    features: Float[np.ndarray, "n n_features"],
    targets: Float[np.ndarray, "n n_targets"],
    strata: Groups,
    molecules: Groups,
    *,
    n_folds: int = 5,
    n_repeats: int = 1,
    clip: bool = True,
    seed: int = 0,
) -> Probed:
    """Ridge regression of targets on features within strata, tested on other molecules.

    strata: (n,) what is given, such as the bond class: the means of features and targets over it
    are subtracted, so that only what is explained beyond it counts. Everything is fitted, and the
    penalty of each target chosen, without the molecules tested on; `n_repeats` draws of the folds.
    With `clip`, predictions stay within the range of the deviations fitted to: one strange row
    among few must not outweigh all others. Raises E3DError for fewer molecules than folds.
    """
    stratum, molecule = codes(strata), codes(molecules)
    found = Probed(*(np.zeros(targets.shape) for _ in Probed._fields))
    for repeat in range(seed, seed + n_repeats):
        for train, test in molecule_folds(molecule, n_folds, seed=repeat):
            means = _means(targets[train], stratum[train], stratum)
            left, x = targets - means, _centred(features, stratum, train)
            chosen = _penalties(x[train], left[train], molecule[train], clip, repeat)
            predicted = _ridge_path(x[train], left[train], x[test], clip)
            predicted = predicted[chosen, :, np.arange(targets.shape[1])].T
            found.prediction[test] += (means[test] + predicted) / n_repeats
            found.lost[test] += (left[test] - predicted) ** 2 / n_repeats
            found.whole[test] += left[test] ** 2 / n_repeats
    return found


def explained_fraction(lost: Numbers, whole: Numbers) -> float:
    """Fraction of variance within strata that a probe explains, 1 − Σ lost / Σ whole, at most 1.

    Negative where its predictions are worse than the mean of the stratum.
    """
    return 1 - float(np.sum(lost)) / float(np.sum(whole))


def _means(values: np.ndarray, labels: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Mean of the values over each label, for each of `of`; of a label not there, the overall."""
    member = (labels == np.arange(of.max() + 1)[:, None]).astype(float)
    counts = member.sum(axis=1, keepdims=True)
    means = np.where(counts > 0, member @ values / np.maximum(counts, 1), values.mean(axis=0))
    return means[of]


def _centred(features: np.ndarray, stratum: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Features less their means over strata, standardised; both of the training rows."""
    left = features - _means(features[train], stratum[train], stratum)
    scale = left[train].std(axis=0)
    # what hardly varies among the rows fitted to, or only by rounding, must not explode on others
    smallest = max(1e-3 * scale.max(), 1e-9 * np.abs(features).max(), np.finfo(float).tiny)
    return left / np.maximum(scale, smallest)


def _penalties(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, clip: bool, seed: int
) -> Int[np.ndarray, " n_targets"]:
    """Which penalty has the least squared error on molecules left out, for each target."""
    errors = np.zeros((len(PENALTIES), y.shape[1]))
    for train, test in molecule_folds(groups, N_INNER_FOLDS, seed=seed):
        errors += ((_ridge_path(x[train], y[train], x[test], clip) - y[test]) ** 2).sum(axis=1)
    return errors.argmin(axis=0)


def _ridge_path(x: np.ndarray, y: np.ndarray, new: np.ndarray, clip: bool) -> np.ndarray:
    """Ridge predictions (n_penalties, n_new, n_targets), by one eigendecomposition for them all."""
    variances, directions = np.linalg.eigh(x.T @ x / len(x))
    along = directions.T @ (x.T @ y) / len(x)
    predicted = (new @ directions) @ (along / (variances[:, None] + PENALTIES[:, None, None]))
    return np.clip(predicted, y.min(axis=0), y.max(axis=0)) if clip else predicted


def curves(values: Numbers, strata: Groups, n_knots: int) -> Float[np.ndarray, "n n_columns"]:
    """One number as columns whose sums are smooth functions of it, another one in each stratum.

    Cubic splines, linear beyond the knots, which lie at quantiles; straight lines with two knots. A
    stratum of fewer than ten rows per knot has fewer knots. values in any unit.
    """
    numbers, stratum = np.asarray(values, dtype=float)[:, None], codes(strata)
    columns = [np.empty((len(numbers), 0))]
    for own in (stratum == k for k in range(stratum.max() + 1)):
        quantiles = np.linspace(0, 1, int(np.clip(own.sum() // 10, 2, n_knots)))
        knots = np.unique(np.quantile(numbers[own], quantiles))
        if np.ptp(knots) <= 1e-9 * np.abs(knots).max():
            continue
        splines = SplineTransformer(
            degree=min(2 * len(knots) - 3, 3), knots=knots[:, None], extrapolation="linear",
            include_bias=False,
        )  # fmt: skip
        inside = splines.fit_transform(numbers[own])
        columns.append(np.zeros((len(numbers), inside.shape[1])))
        columns[-1][own] = inside
    return np.hstack(columns)


def control_task(
    values: Groups, environments: Groups, strata: Groups, *, seed: int = 0
) -> np.ndarray:
    """Targets without chemistry: every kind of environment gets the value of another one.

    Drawn within strata; the value of an environment is its median, or its first label. A probe can
    learn it only by heart, environment by environment.
    """
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_arrays([np.asarray(strata), np.asarray(environments)])
    table = pd.Series(np.asarray(values), index=keys)
    numeric = pd.api.types.is_numeric_dtype(table)
    kinds = table.groupby(level=[0, 1]).agg("median" if numeric else "first")
    strata_of_kinds = kinds.index.get_level_values(0).to_numpy()
    return shuffled(kinds, strata_of_kinds, rng).loc[keys].to_numpy()


def shuffled(values: pd.Series, strata: Groups, rng: np.random.Generator) -> pd.Series:
    """Values dealt out anew among the rows of each stratum."""
    groups = values.groupby(np.asarray(strata))
    return groups.transform(lambda part: rng.permutation(part.to_numpy()))
