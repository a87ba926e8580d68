"""What remains beyond the bond length: exactly nothing where ε is a function of r, and what was put
in where it is not."""

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule as named

from e3d import paths
from e3d.chemistry import xtb
from e3d.data.dataset import Dataset
from e3d.labels import bond_strengths
from e3d.statistics import beyond_length


def test_a_classifier_tells_most_of_what_a_feature_knows(bonds):
    """Two Gaussians 0.1 apart with width 0.05: I = 1 bit − ⟨h₂(p)⟩, by quadrature."""
    x = np.linspace(-6, 8, 20001)
    first, second = np.exp(-(x**2) / 2), np.exp(-((x - 2) ** 2) / 2)
    share = first / (first + second)
    conditional = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    truth = 1 - np.sum(conditional * (first + second)) / np.sum(first + second)
    found = predict(bonds, bonds["lengths"])
    assert 0.8 * truth < found < 1.1 * truth
    assert predict(bonds, np.exp(bonds["lengths"])) == pytest.approx(found, abs=0.01)


def test_a_feature_without_news_adds_nothing(bonds):
    alone = predict(bonds, bonds["lengths"])
    assert predict(bonds, bonds["environment"]) == pytest.approx(0, abs=0.03)
    assert predict(bonds, bonds["lengths"], bonds["environment"]) < alone + 0.01
    assert predict(bonds, bonds["lengths"], smooth(bonds["lengths"])) < alone + 0.01


def test_a_feature_with_news_adds_it(bonds):
    telling = np.where(bonds["orders"] == "-", 0, 2) + bonds["environment"]
    gain = predict(bonds, bonds["lengths"], telling) - predict(bonds, bonds["lengths"])
    assert gain > 0.15


def test_wiberg_orders_count_bonds():
    ethene, bonds = named("C2H4"), np.array([[0, 1], [0, 2]])
    orders = xtb.wiberg_orders(ethene.numbers, ethene.positions, bonds)
    assert orders == pytest.approx([2.0, 1.0], abs=0.1)


def test_wiberg_table_names_the_bonds_of_the_data_set():
    with Dataset(paths.ROOT / "data/dft-small.h5") as dataset:
        some = [m for m in dataset.usable() if len(m.atomic_numbers) == 6][:3]
    table = bond_strengths.wiberg_table(some)
    assert list(table) == ["molecule", "i", "j", "wiberg"]
    assert set(table["molecule"]) == {m.name for m in some}
    assert (table["i"] < table["j"]).all()
    assert table["wiberg"].between(0.5, 3.2).all()


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


def test_by_class_splits_the_variance(bonds):
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
