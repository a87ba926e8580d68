"""Information of bond energies beyond the bond length, evaluated on molecules held out of fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, SplineTransformer, StandardScaler

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups, bond_weights, codes, molecule_folds

#: Weight of the prior mixed into predicted probabilities, so that no logarithm diverges.
SMOOTHING = 0.01
#: Ridge penalties of the regression on r, chosen by leave-one-out error in each fit.
RIDGE_PENALTIES = np.logspace(-3, 3, 7)
#: Quantiles, spline knots and inverse ridge penalty of the classifier of bond orders.
N_QUANTILES, N_KNOTS, PENALTY_INVERSE = 200, 8, 30.0


def length_residuals(
    table: pd.DataFrame, columns: Sequence[str], *, n_folds: int = 5, min_molecules: int = 30
) -> Float[np.ndarray, "n_columns n"]:
    """Residuals of columns after a smooth regression on the bond length r within each class.

    value − f_class(r), in the units of the columns: a positive residual of ε is a bond weaker than
    expected from its length. f is a cubic spline with a ridge penalty, cross-validated over
    molecules in `n_folds` folds. NaN for classes with fewer than `min_molecules` molecules. table:
    columns class, molecule, length_A (Å) and those named.
    """
    values, r = (table[[*names]].to_numpy(dtype=float) for names in (columns, ["length_A"]))
    residuals = np.full(values.shape, np.nan)
    model = make_pipeline(
        StandardScaler(),
        SplineTransformer(n_knots=5, knots="quantile", extrapolation="linear"),
        RidgeCV(RIDGE_PENALTIES, alpha_per_target=True),
    )
    folds = _folds_by_stratum(table["class"], table["molecule"], n_folds, min_molecules)
    for rows, train, test in folds:
        model.fit(r[rows[train]], values[rows[train]])
        predicted = model.predict(r[rows[test]]).reshape(len(test), -1)
        residuals[rows[test]] = values[rows[test]] - predicted
    return residuals.T


def _folds_by_stratum(
    strata: Groups, molecules: Groups, n_folds: int, min_molecules: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of each sufficiently large stratum, with training and test positions among them."""
    stratum, molecule = codes(strata), codes(molecules)
    for value in np.unique(stratum):
        rows = np.flatnonzero(stratum == value)
        if len(np.unique(molecule[rows])) >= max(min_molecules, n_folds):
            for train, test in molecule_folds(molecule[rows], n_folds):
                yield rows, train, test


def seed_agreement(residuals: Float[np.ndarray, "n_runs n"], classes: Groups) -> pd.Series:
    """Mean Pearson correlation of residuals between runs, by class, between −1 and 1.

    1: the residual of ε does not depend on the seed, hence is determined by the data; 0: it is
    noise of the training. Classes with a NaN are left out. Raises E3DError for fewer than two runs.
    """
    if len(residuals) < 2:
        raise E3DError(f"agreement needs residuals of at least two runs, got {len(residuals)}")
    names = np.asarray(classes)
    agreement = {}
    for name in np.unique(names):
        part = residuals[:, names == name]
        if np.isfinite(part).all() and part.shape[1] > 1:
            matrix = np.corrcoef(part)
            agreement[name] = np.mean([matrix[a, b] for a, b in combinations(range(len(part)), 2)])
    return pd.Series(agreement, dtype=float)


def by_class(
    table: pd.DataFrame, columns: Sequence[str], residuals: Float[np.ndarray, "n_runs n"]
) -> pd.DataFrame:
    """To what extent energies are a function of the bond length, by class (the index).

    columns: of one model each, ε in eV; residuals: of these, as from `length_residuals`; bonds with
    a NaN are left out. Averages over models of the standard deviations of ε and of its residual
    within the class (std_eV, residual_std_eV) and of the fraction of variance explained by the
    length (explained); with two models or more the `seed_agreement` of residuals (agreement).
    """
    kept = np.isfinite(residuals).all(axis=0)
    names = table["class"].to_numpy()[kept]
    unexplained = pd.DataFrame(residuals[:, kept].T).groupby(names).var()
    total = pd.DataFrame(table[list(columns)].to_numpy(dtype=float)[kept]).groupby(names).var()
    result = pd.DataFrame({
        "n_bonds": pd.Series(names).value_counts(),
        "std_eV": np.sqrt(total).mean(axis=1),
        "residual_std_eV": np.sqrt(unexplained).mean(axis=1),
        "explained": (1 - unexplained / total).mean(axis=1),
    })  # fmt: skip
    if len(columns) > 1:
        result["agreement"] = seed_agreement(residuals, table["class"])
    return result.rename_axis("class")


def predictive_information(
    features: Float[np.ndarray, "n n_features"],
    orders: Groups,
    pairs: Groups,
    molecules: Groups,
    *,
    n_folds: int = 5,
    min_molecules: int = 30,
) -> Float[np.ndarray, " n"]:
    """Information of features about the bond order, in bits per bond, by cross-validation.

    log₂ p(order | features, pair) − log₂ p(order | pair), both estimated from other molecules than
    the bond's own: the weighted mean is a lower bound of I(features; order | pair), and negative
    where the classifier is worse than the prior. Logistic regression on additive splines of the
    ranks of features, so that monotone transformations of these do not matter. 0 for element pairs
    with one order or fewer than `min_molecules` molecules.
    """
    labels, weights = np.asarray(orders), bond_weights(molecules)
    gains = np.zeros(len(labels))
    for rows, train, test in _folds_by_stratum(pairs, molecules, n_folds, min_molecules):
        train, test = rows[train], rows[test]
        names, y = np.unique(labels[train], return_inverse=True)
        if len(names) < 2:
            continue
        model = _classifier(len(train))
        model.fit(
            features[train], y, logisticregression__sample_weight=weights[train] / weights.mean()
        )
        prior = np.bincount(y, weights[train]) / weights[train].sum()
        predicted = (1 - SMOOTHING) * model.predict_proba(features[test]) + SMOOTHING * prior
        column = {name: k for k, name in enumerate(names)}
        known = np.array(
            [label in column for label in labels[test]]
        )  # 0 for an order without training rows
        chosen = [column[label] for label in labels[test][known]]
        gains[test[known]] = np.log2(predicted[known, :][np.arange(len(chosen)), chosen])
        gains[test[known]] -= np.log2(prior[chosen])
    return gains


def _classifier(n_rows: int) -> Pipeline:
    return make_pipeline(
        QuantileTransformer(n_quantiles=min(N_QUANTILES, n_rows), random_state=0),
        SplineTransformer(n_knots=N_KNOTS),
        LogisticRegression(C=PENALTY_INVERSE, max_iter=2000),
    )


def gains_over_length(
    table: pd.DataFrame, sources: Mapping[str, Sequence[str]]
) -> tuple[Float[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]:
    """Predictive information about the order, in bits per bond: of r, and the gain of each source.

    table: columns length_A (Å), pair, order, molecule and those of the sources; sources: name →
    columns of one model each, whose gains are averaged.
    """

    def information(*columns: str) -> np.ndarray:
        features = table[list(columns)].to_numpy(dtype=float)
        return predictive_information(features, table["order"], table["pair"], table["molecule"])

    alone = information("length_A")
    added = {
        name: np.mean([information("length_A", column) - alone for column in columns], axis=0)
        for name, columns in sources.items()
    }
    return alone, added
