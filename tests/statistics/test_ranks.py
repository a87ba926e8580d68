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


@pytest.mark.parametrize(
    ("values", "groups"), [([], []), ([1.0, 2.0], ["a"]), ([1.0, 2.0], ["a", None])]
)
def test_bad_rows_are_refused(values, groups):
    with pytest.raises(E3DError, match="expected"):
        intervals.estimate(values, groups)


def test_scores_known_values():
    assert intervals.scores([100, 50, 0, 300, -10], [100] * 5) == pytest.approx([1, 0.5, 0, 0, 0])


@pytest.mark.parametrize("references", [[0.0], [-80.0], [np.nan], [1.0, 2.0]])
def test_scores_need_positive_references(references):
    with pytest.raises(E3DError, match="one positive reference per value"):
        intervals.scores([1.0], references)


@given(values=st.lists(POSITIVE, min_size=1, max_size=20), data=st.data())
def test_scores_are_bounded_and_free_of_units(values, data):
    references = data.draw(st.lists(POSITIVE, min_size=len(values), max_size=len(values)))
    scores = intervals.scores(values, references)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert intervals.scores(values, values) == pytest.approx(np.ones(len(values)))
    converted = intervals.scores(np.array(values) / 23.06, np.array(references) / 23.06)
    assert converted == pytest.approx(scores)


def test_accuracy_gain_is_paired():
    """Reactions of very different difficulty, the model 1 % better on each: the gain is certain."""
    references = np.full(40, 100.0)
    null_values = references - np.linspace(0, 60, 40)
    model = intervals.accuracy(null_values + 1.0, references)
    null = intervals.accuracy(null_values, references)
    gain = intervals.accuracy_gain(null_values[1:] + 1.0, null_values[1:], references[1:])
    assert null["low"] < model["low"] < null["high"]  # unpaired: not told apart
    assert gain["low"] == pytest.approx(0.01)
    assert gain["high"] == pytest.approx(0.01)


def test_spearman() -> None:
    assert spearman([1, 2, 3, 4], [1, 4, 9, 16]) == pytest.approx(1)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    tied = np.random.default_rng(0).integers(5, size=(2, 30))
    assert spearman(*tied) == pytest.approx(spearmanr(*tied).statistic)


def test_correlations_within_classes_know_nothing_of_the_classes() -> None:
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


@pytest.mark.parametrize("at", [5.0, 250.0, 10_000.0])
def test_a_jump_is_as_wide_as_the_snapshots_are_apart(at: float) -> None:
    jump = [0.0 if step < at else 1.0 for step in STEPS]
    assert emergence.snapshot_resolution(STEPS, at) == emergence.transition_decades(STEPS, jump)
    assert emergence.snapshot_resolution(STEPS, 5.0) > emergence.snapshot_resolution(STEPS, 250.0)


def test_the_onset_is_where_half_of_the_change_is_made() -> None:
    rising = [0, 0, 0, 1, 1, 1, 1, 1]
    assert 30 < emergence.onset(STEPS, rising) < 100
    assert emergence.onset(STEPS, [5 - v for v in rising]) == emergence.onset(STEPS, rising)


def test_no_change_is_an_error() -> None:
    with pytest.raises(E3DError, match="no progress"):
        emergence.transition_decades(STEPS, [1.0] * len(STEPS))


def test_a_common_cause_leaves_no_partial_correlation() -> None:
    rng = np.random.default_rng(0)
    cause = rng.normal(size=2000)
    x, y = (cause + rng.normal(size=2000) for _ in range(2))
    assert partial_spearman(x, y, rng.normal(size=2000)) > 0.4
    assert partial_spearman(x, y, cause) == pytest.approx(0, abs=0.06)
    assert np.isnan(partial_spearman(x, np.ones(2000), cause))
    assert np.isnan(partial_spearman(cause, y, cause))


def test_several_causes_are_held_fixed_at_once() -> None:
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(2000, 2))
    x, y = (causes.sum(axis=1) + rng.normal(size=2000) for _ in range(2))
    assert partial_spearman(x, y, causes[:, 0]) > 0.3
    assert partial_spearman(x, y, causes) == pytest.approx(0, abs=0.1)


def test_one_cause_agrees_with_the_formula() -> None:
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
    over_models = found.over_models(seeds, "y")
    assert over_models["value"] == pytest.approx(np.mean(of_each))
    assert over_models["low"] < min(of_each) < max(of_each) < over_models["high"]
