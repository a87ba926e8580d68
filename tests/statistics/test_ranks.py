"""Rank correlations of many columns against scipy's, one pair at a time."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from e3d.errors import E3DError
from e3d.statistics.ranks import partial_spearman, rank_correlations


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=90)
    return pd.DataFrame({
        "x": x, "y": x + rng.normal(size=90), "z": x + 0.5 * rng.normal(size=90),
        "class": np.repeat(["a", "b", "c"], 30), "molecule": np.tile(np.arange(30), 3),
    })  # fmt: skip


def test_means_over_classes_are_those_of_scipy(table: pd.DataFrame) -> None:
    found = rank_correlations(table, ["x", "y", "z"], classes=table["class"],
                              groups=table["molecule"], n_resamples=20)  # fmt: skip
    for one, other in (("x", "y"), ("y", "z"), ("z", "x")):
        by_class = [spearmanr(g[one], g[other]).statistic for _, g in table.groupby("class")]
        estimate = found.of(one, other)
        assert estimate["value"] == pytest.approx(np.mean(by_class))
        assert estimate["low"] < estimate["value"] < estimate["high"]
    ahead = found.gain("z", "y", "x")
    assert ahead["value"] == pytest.approx(
        found.of("z", "x")["value"] - found.of("y", "x")["value"]
    )


def test_partial_correlations_hold_ranks_fixed(table: pd.DataFrame) -> None:
    found = rank_correlations(table, ["x", "y", "z"], classes=table["class"],
                              groups=table["molecule"], given="z", n_resamples=5)  # fmt: skip
    by_class = [
        partial_spearman(g["x"], g["y"], g["z"].to_numpy()) for _, g in table.groupby("class")
    ]
    assert found.of("x", "y")["value"] == pytest.approx(np.mean(by_class))
    assert np.isnan(found.of("x", "z")["value"])  # nothing is left of what is held


def test_a_constant_column_has_no_order(table: pd.DataFrame) -> None:
    table["flat"] = table["class"].map({"a": 1.0, "b": 2.0, "c": 3.0})
    found = rank_correlations(table, ["x", "flat"], classes=table["class"],
                              groups=table["molecule"], n_resamples=5)  # fmt: skip
    assert np.isnan(found.of("x", "flat")["value"])
    assert found.of("x", "x")["value"] == pytest.approx(1)


def test_any_monotone_change_leaves_it(table: pd.DataFrame) -> None:
    options = {"classes": table["class"], "groups": table["molecule"], "n_resamples": 3}
    plain = rank_correlations(table, ["x", "y"], **options)
    bent = rank_correlations(table.assign(y=np.exp(table["y"])), ["x", "y"], **options)
    np.testing.assert_array_equal(plain.values, bent.values)
    np.testing.assert_array_equal(plain.sample, bent.sample)


def test_missing_values_are_refused(table: pd.DataFrame) -> None:
    table.loc[3, "x"] = np.nan
    with pytest.raises(E3DError, match="drop rows"):
        rank_correlations(table, ["x", "y"], classes=table["class"], groups=table["molecule"])
    with pytest.raises(E3DError, match="held fixed"):
        rank_correlations(table, ["y", "z"], classes=table["class"], groups=table["molecule"],
                          given="x")  # fmt: skip
