"""Tables of chapter 05: null models beside bonds, and information that was put in comes out."""

import numpy as np
import pandas as pd
import pytest
from examples import well

from chapters import entropy
from e3d.models.additive import Additive
from e3d.models.nulls import FittedNulls
from e3d.statistics import beyond_length

N_MOLECULES = 240


@pytest.fixture(scope="module")
def bonds() -> pd.DataFrame:
    """Two bonds per molecule: C–C of either order, and C–H; `strength` is hidden from length."""
    rng = np.random.default_rng(0)
    carbon = pd.DataFrame({"molecule": np.arange(N_MOLECULES), "i": 0, "j": 1})
    carbon["class"] = rng.choice(["C-C", "C=C"], size=N_MOLECULES)
    hydrogen = carbon.assign(j=2, **{"class": "C-H"})
    table = pd.concat([carbon, hydrogen], ignore_index=True)
    table["length_A"] = rng.normal(1.4, 0.05, len(table)) - 0.2 * (table["class"] == "C=C")
    table["strength"] = rng.normal(size=len(table))
    table["bare:a"] = -2.0 * table["length_A"]
    for run, noise in (("b", 0.1), ("c", 0.2)):  # stronger bonds have more negative energies
        scatter = noise * rng.normal(size=len(table))
        table[f"bare:{run}"] = table["bare:a"] - 0.3 * table["strength"] + scatter
    return table


@pytest.fixture(scope="module")
def prepared(bonds: pd.DataFrame) -> pd.DataFrame:
    additive = Additive({"C-C": -4.0}, {"C-C": 0.1}, {"C-C": 5}, 0.0)
    nulls = FittedNulls(additive, well(), {"a": -3.0}, {"C": 0.0, "H": 0.0})
    return entropy.with_null_models(bonds, nulls)


def test_null_models_stand_beside_the_bonds(prepared: pd.DataFrame) -> None:
    assert prepared["scaled:a"].tolist() == (-3.0 * prepared["bare:a"]).tolist()
    assert set(prepared["pair"]) == {"CC", "CH"}
    assert set(prepared.loc[prepared["pair"] == "CC", "order"]) == {"-", "="}
    assert prepared.groupby("molecule")["weight"].sum().eq(1).all()
    expected = well()("C", "H", prepared["length_A"].to_numpy())  # alike for all pairs
    np.testing.assert_allclose(prepared["phi"], expected)


def test_only_pairs_of_several_orders_have_information(prepared: pd.DataFrame) -> None:
    sources = {"length": ["length_A"], "noise": ["strength"]}
    found = entropy.information_by_pair(prepared, sources, n_bins=8, n_permutations=20)
    assert list(found.index) == ["CC"]
    assert found.loc["CC", "orders"] == "- ="
    assert found.loc["CC", "bonds"] == N_MOLECULES
    assert found.loc["CC", "ceiling"] == pytest.approx(1.0, abs=0.02)  # two orders, equally often
    assert found.loc["CC", "length"] > 0.7
    assert abs(found.loc["CC", "noise"]) < 0.1
    few = entropy.information_by_pair(prepared, sources, n_bins=8, min_molecules=N_MOLECULES + 1,
                                      n_permutations=2)  # fmt: skip
    assert few.empty


@pytest.fixture(scope="module")
def sample(prepared: pd.DataFrame) -> pd.DataFrame:
    wiberg = prepared[["molecule", "i", "j"]].assign(
        wiberg=1.0 + 0.1 * prepared["strength"] - prepared["length_A"]
    )
    residuals = {
        "trained": beyond_length.length_residuals(prepared, ["bare:b", "bare:c"]),
        "untrained": beyond_length.length_residuals(prepared, ["bare:a"]),
    }
    return entropy.beside_wiberg(prepared, residuals, wiberg[wiberg["molecule"] >= 60])


def test_stronger_than_its_length_says_is_positive(sample: pd.DataFrame) -> None:
    assert sample["molecule"].min() == 60  # where the Wiberg order is known
    assert {"trained 0", "trained 1", "untrained 0"} <= set(sample.columns)
    assert np.corrcoef(sample["trained 0"], sample["strength"])[0, 1] > 0.9
    assert np.corrcoef(sample["wiberg"], sample["strength"])[0, 1] > 0.9


def test_residuals_follow_the_strength_where_it_was_put_in(sample: pd.DataFrame) -> None:
    trained = entropy.wiberg_correlation(sample, "trained", n_resamples=50)
    assert trained["value"] > 0.7
    assert trained["low"] > 0  # with the spread between two models, which is wide
    untrained = entropy.wiberg_correlation(sample, "untrained", n_resamples=50)
    assert abs(untrained["value"]) < 0.2
    by_class = entropy.wiberg_correlation_by_class(sample, "trained")
    assert list(by_class.index) == ["C-C", "C-H", "C=C"]
    assert by_class.mean() == pytest.approx(trained["value"])


def test_the_table_of_results_keeps_intervals_where_they_belong() -> None:
    sweep = pd.DataFrame({"source": ["trained"], "bin_width_eV": [0.1], "plug_in": [4.0],
                          "miller_madow": [4.1], "differential": [0.8], "low": [4.0],
                          "high": [4.2]})  # fmt: skip
    by_bins = pd.DataFrame({"source": ["trained"], "n_bins": [8], "bits": [0.3]})
    order = {"trained": {"value": 0.4, "low": 0.35, "high": 0.45, "n": 10}}
    table = entropy.result_table(order, sweep, by_bins, n_bins=32)
    assert list(table.columns) == entropy.COLUMNS
    by_quantity = table.set_index("quantity")
    assert by_quantity.loc["miller_madow", ["bits", "low", "high"]].tolist() == [4.1, 4.0, 4.2]
    assert by_quantity.loc[["plug_in", "differential"], ["low", "high"]].isna().all(axis=None)
    assert by_quantity.loc["order_information", ["bins", "n"]].tolist() == [32, 10]
    assert by_quantity.loc["order_information_sweep", "bins"] == 8
