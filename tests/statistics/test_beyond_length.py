"""Information beyond the bond length: none where ε is a function of r, and otherwise what was put
in where it is not."""

import numpy as np
import pandas as pd
import pytest

from e3d.errors import E3DError
from e3d.statistics import beyond_length, grouping


@pytest.fixture(scope="module")
def bonds():
    """Two element pairs with orders that overlap in r; `environment` is independent of r."""
    rng = np.random.default_rng(0)
    n_molecules, n = 300, 1200
    molecules = np.repeat(np.arange(n_molecules), 4)
    pairs = rng.choice(["CC", "CO"], size=n)
    orders = rng.choice(["-", "="], size=n)
    lengths = np.where(orders == "-", 1.5, 1.4) + rng.normal(0, 0.05, n)
    environment = rng.normal(0, 1, n)
    return {
        "molecules": molecules, "pairs": pairs, "orders": orders, "lengths": lengths,
        "classes": np.char.add(pairs, orders), "environment": environment,
    }  # fmt: skip


def smooth(lengths):
    return -8 * np.exp(-2 * (lengths - 1.2)) + np.sin(3 * lengths)


def residuals(bonds, values):
    table = pd.DataFrame({
        "molecule": bonds["molecules"], "class": bonds["classes"], "length_A": bonds["lengths"],
        "other": bonds["environment"], "value": values,
    })  # fmt: skip
    alone = beyond_length.length_residuals(table, ["value"])[0]
    assert beyond_length.length_residuals(table, ["other", "value"])[1] == pytest.approx(
        alone, abs=1e-9
    )
    return alone


def predict(bonds, *columns):
    gains = beyond_length.predictive_information(
        np.column_stack(columns), bonds["orders"], bonds["pairs"], bonds["molecules"]
    )
    weights = grouping.bond_weights(bonds["molecules"])
    return float(np.average(gains, weights=weights))


def test_a_function_of_the_length_has_no_residual(bonds):
    left = residuals(bonds, smooth(bonds["lengths"]))
    assert np.std(left) < 0.02 * np.std(smooth(bonds["lengths"]))


def test_residuals_recover_what_was_added_to_a_function_of_the_length(bonds):
    left = residuals(bonds, smooth(bonds["lengths"]) + 0.3 * bonds["environment"])
    assert np.corrcoef(left, bonds["environment"])[0, 1] > 0.98
    assert np.std(left) == pytest.approx(0.3 * np.std(bonds["environment"]), rel=0.05)


def test_rare_classes_have_no_residuals(bonds):
    table = pd.DataFrame({
        "molecule": bonds["molecules"], "class": bonds["classes"], "length_A": bonds["lengths"],
    })  # fmt: skip
    table.loc[:19, "class"] = "rare"
    left = beyond_length.length_residuals(table, ["length_A"])[0]
    assert np.isnan(left[:20]).all()
    assert np.isfinite(left[20:]).all()


def test_agreement_of_seeds_is_the_correlation_of_their_residuals(bonds):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (3, len(bonds["classes"])))
    shared = beyond_length.seed_agreement(bonds["environment"] + noise, bonds["classes"])
    assert len(shared) == 4
    assert shared.mean() == pytest.approx(0.5, abs=0.06)
    assert beyond_length.seed_agreement(noise, bonds["classes"]).mean() == pytest.approx(
        0, abs=0.06
    )
    with pytest.raises(E3DError, match="at least two runs"):
        beyond_length.seed_agreement(noise[:1], bonds["classes"])


def test_the_classifier_extracts_most_of_the_information_of_a_feature(bonds):
    """Two Gaussians 0.1 apart with width 0.05: I = 1 bit − ⟨h₂(p)⟩, by quadrature."""
    x = np.linspace(-6, 8, 20001)
    first, second = np.exp(-(x**2) / 2), np.exp(-((x - 2) ** 2) / 2)
    share = first / (first + second)
    conditional = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    truth = 1 - np.sum(conditional * (first + second)) / np.sum(first + second)
    found = predict(bonds, bonds["lengths"])
    assert 0.8 * truth < found < 1.1 * truth
    assert predict(bonds, np.exp(bonds["lengths"])) == pytest.approx(found, abs=0.01)


def test_a_redundant_feature_adds_no_information(bonds):
    alone = predict(bonds, bonds["lengths"])
    assert predict(bonds, bonds["environment"]) == pytest.approx(0, abs=0.03)
    assert predict(bonds, bonds["lengths"], bonds["environment"]) < alone + 0.01
    assert predict(bonds, bonds["lengths"], smooth(bonds["lengths"])) < alone + 0.01


def test_an_independent_feature_adds_its_information(bonds):
    telling = np.where(bonds["orders"] == "-", 0, 2) + bonds["environment"]
    gain = predict(bonds, bonds["lengths"], telling) - predict(bonds, bonds["lengths"])
    assert gain > 0.15


def test_gains_over_length_average_models(bonds):
    table = pd.DataFrame({
        "molecule": bonds["molecules"], "pair": bonds["pairs"], "order": bonds["orders"],
        "length_A": bonds["lengths"], "same": smooth(bonds["lengths"]),
        "news": np.where(bonds["orders"] == "-", 0, 2) + bonds["environment"],
    })  # fmt: skip
    sources = {"same": ["same"], "news": ["news"], "both": ["same", "news"]}
    alone, added = beyond_length.gains_over_length(table, sources)
    assert alone.mean() > 0.3
    assert added["news"].mean() > 0.15 > 0.01 > added["same"].mean()
    assert added["both"] == pytest.approx((added["same"] + added["news"]) / 2)


def test_variance_by_class_is_split_into_explained_and_residual(bonds):
    rng = np.random.default_rng(2)
    known = smooth(bonds["lengths"])
    noise = rng.normal(0, 0.3, (2, len(known)))
    table = pd.DataFrame({
        "molecule": bonds["molecules"], "class": bonds["classes"], "length_A": bonds["lengths"],
        "a": known + 0.3 * bonds["environment"] + noise[0],
        "b": known + 0.3 * bonds["environment"] + noise[1],
    })  # fmt: skip
    left = beyond_length.length_residuals(table, ["a", "b"])
    result = beyond_length.by_class(table, ["a", "b"], left)
    assert result["n_bonds"].sum() == len(table)
    assert result["residual_std_eV"].to_numpy() == pytest.approx(0.3 * np.sqrt(2), rel=0.12)
    expected = 1 - result["residual_std_eV"] ** 2 / result["std_eV"] ** 2
    assert result["explained"].to_numpy() == pytest.approx(expected.to_numpy(), abs=0.02)
    assert result["agreement"].mean() == pytest.approx(0.5, abs=0.07)
    assert "agreement" not in beyond_length.by_class(table, ["a"], left[:1])
