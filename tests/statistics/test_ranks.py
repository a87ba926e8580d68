"""Rank correlations agree with scipy's, within classes and with other columns held fixed."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from e3d.errors import E3DError
from e3d.statistics.intervals import with_seed_spread
from e3d.statistics.ranks import (
    partial_spearman,
    rank_correlations,
    spearman,
    within_class_slope,
    within_class_spearman,
)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=90)
    return pd.DataFrame({
        "x": x, "y": x + rng.normal(size=90), "z": x + 0.5 * rng.normal(size=90),
        "class": np.repeat(["a", "b", "c"], 30), "molecule": np.tile(np.arange(30), 3),
    })  # fmt: skip


def test_spearman() -> None:
    assert spearman([1, 2, 3, 4], [1, 4, 9, 16]) == pytest.approx(1)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    tied = np.random.default_rng(0).integers(5, size=(2, 30))
    assert spearman(*tied) == pytest.approx(spearmanr(*tied).statistic)


def test_correlations_within_classes_ignore_differences_between_classes() -> None:
    """Between the classes the relation is reversed; within two of them perfect, in one opposite."""
    x = np.array([1.0, 2, 3, 11, 12, 13, 7])
    y = np.array([1.0, 2, 3, -7, -8, -9, 5])
    classes = ["a", "a", "a", "b", "b", "b", "alone"]
    assert within_class_spearman(x, y, classes) == pytest.approx(0)
    assert within_class_spearman(x[:3], y[:3], classes[:3]) == pytest.approx(1)
    assert np.isnan(within_class_spearman(x[-1:], y[-1:], classes[-1:]))
    two_models = np.column_stack([y, np.abs(y)])
    assert within_class_spearman(x, two_models, classes) == pytest.approx(0.5)


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


def test_partial_correlations_are_means_over_classes_too(table: pd.DataFrame) -> None:
    found = rank_correlations(table, ["x", "y", "z"], classes=table["class"],
                              groups=table["molecule"], given="z", n_resamples=5)  # fmt: skip
    by_class = [
        partial_spearman(g["x"], g["y"], g["z"].to_numpy()) for _, g in table.groupby("class")
    ]
    assert found.of("x", "y")["value"] == pytest.approx(np.mean(by_class))
    assert np.isnan(found.of("x", "z")["value"])  # no residual of the controlled column


def test_a_constant_column_has_no_order(table: pd.DataFrame) -> None:
    table["flat"] = table["class"].map({"a": 1.0, "b": 2.0, "c": 3.0})
    found = rank_correlations(table, ["x", "flat"], classes=table["class"],
                              groups=table["molecule"], n_resamples=5)  # fmt: skip
    assert np.isnan(found.of("x", "flat")["value"])
    assert found.of("x", "x")["value"] == pytest.approx(1)


def test_correlations_are_invariant_under_monotone_transformations(table: pd.DataFrame) -> None:
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


def test_a_common_cause_leaves_no_partial_correlation() -> None:
    rng = np.random.default_rng(0)
    cause = rng.normal(size=2000)
    x, y = (cause + rng.normal(size=2000) for _ in range(2))
    assert partial_spearman(x, y, rng.normal(size=2000)) > 0.4
    assert partial_spearman(x, y, cause) == pytest.approx(0, abs=0.06)
    assert np.isnan(partial_spearman(x, np.ones(2000), cause))
    assert np.isnan(partial_spearman(cause, y, cause))


def test_several_common_causes_are_controlled_for() -> None:
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(2000, 2))
    x, y = (causes.sum(axis=1) + rng.normal(size=2000) for _ in range(2))
    assert partial_spearman(x, y, causes[:, 0]) > 0.3
    assert partial_spearman(x, y, causes) == pytest.approx(0, abs=0.1)


def test_one_controlled_variable_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(3, 50)) + rng.normal(size=50)
    xy, xz, yz = (spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z)))
    formula = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_spearman(x, y, z) == pytest.approx(formula)


def test_seeds_widen_an_interval(table: pd.DataFrame) -> None:
    rng = np.random.default_rng(2)
    seeds = [f"seed {k}" for k in range(3)]
    table[seeds] = table[["x"]].to_numpy() + rng.normal(size=(90, 3))
    table["mean"] = table[seeds].mean(axis=1)
    found = rank_correlations(table, ["mean", "y", "z", *seeds], classes=table["class"],
                              groups=table["molecule"], n_resamples=50)  # fmt: skip
    of_each = [found.of(name, "y")["value"] for name in seeds]
    assert found.of("mean", "y", seeds=seeds) == with_seed_spread(found.of("mean", "y"), of_each)
    assert found.gain("mean", "z", "y", seeds=seeds) == with_seed_spread(
        found.gain("mean", "z", "y"), of_each
    )
    assert found.gain("mean", "z", "y", over_seeds=seeds) == with_seed_spread(
        found.gain("mean", "z", "y"), of_each
    )
    over_models = found.over_models(seeds, "y")
    assert over_models["value"] == pytest.approx(np.mean(of_each))
    assert over_models["low"] < min(of_each) < max(of_each) < over_models["high"]


def test_classes_count_alike_or_by_their_rows() -> None:
    classes = ["a"] * 3 + ["b"] * 9 + ["c"]
    x = np.arange(13.0)
    y = np.where(np.array(classes) == "a", -x, x)
    assert within_class_spearman(x, y, classes) == pytest.approx(0)
    assert within_class_spearman(x, y, classes, by_rows=True) == pytest.approx((9 - 3) / 12)
    both = np.column_stack([y, x])
    assert within_class_spearman(x, both, classes, by_rows=True) == pytest.approx((0.5 + 1) / 2)


def test_the_slope_within_classes_knows_the_size_of_differences() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(["a", "b", "c"], 20)
    reference = rng.normal(size=60) + 10 * (classes == "b")
    x = 0.2 * reference + 7 * (classes == "c") - 3 * (classes == "b")
    assert within_class_slope(x, reference, classes) == pytest.approx(0.2)
    assert np.isnan(within_class_slope([1.0, 2.0], [1.0, 2.0], ["a", "b"]))
