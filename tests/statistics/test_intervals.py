"""Intervals cover what they claim, respect groups and seeds; scores do what they say."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from e3d.errors import E3DError
from e3d.statistics import intervals

POSITIVE = st.floats(1.0, 300.0)


def correlated_groups(rng, n_groups=30, size=5, between=1.0, within=0.3):
    """Values about 0 whose rows share their group's offset: (values, labels), each (n,)."""
    labels = np.repeat(np.arange(n_groups), size)
    offsets = rng.normal(0, between, n_groups)
    return offsets[labels] + rng.normal(0, within, len(labels)), labels


def test_clustered_interval_covers_the_mean_and_the_naive_one_does_not():
    rng = np.random.default_rng(1)
    covered, covered_naively = [], []
    for seed in range(300):
        values, labels = correlated_groups(rng)
        clustered = intervals.estimate(values, labels, n_resamples=200, seed=seed)
        naive = intervals.estimate(values, n_resamples=200, seed=seed)
        covered.append(clustered["low"] <= 0 <= clustered["high"])
        covered_naively.append(naive["low"] <= 0 <= naive["high"])
    assert 0.90 <= np.mean(covered) <= 0.98  # the percentile method undercovers at n = 30
    assert np.mean(covered_naively) < 0.75


def test_estimate_is_reproducible_and_serialisable():
    values, labels = correlated_groups(np.random.default_rng(0))
    first, second = (intervals.estimate(values, labels, n_resamples=50, seed=3) for _ in range(2))
    assert first == second == json.loads(json.dumps(first))
    assert set(first) == {"value", "low", "high", "n"}
    assert first["low"] < first["value"] < first["high"]
    assert first["n"] == len(values)
    assert first != intervals.estimate(values, labels, n_resamples=50, seed=4)


def test_rows_of_a_group_are_drawn_together():
    labels = ["a", "b", "b", "c", "c", "c"]

    def groups_are_whole(rows):
        counts = np.bincount(rows, minlength=6)
        assert counts[1] == counts[2]
        assert counts[3] == counts[4] == counts[5]
        return float(len(rows))

    sample = intervals.bootstrap_distribution(groups_are_whole, labels, n_resamples=100)
    assert set(sample) <= set(range(3, 10))
    assert len(set(sample)) > 1


def test_statistic_of_two_columns_draws_pairs():
    x = np.random.default_rng(0).normal(size=(40, 1))
    result = intervals.estimate(
        np.hstack([x, 2 * x]), statistic=lambda rows: np.polyfit(*rows.T, 1)[0], n_resamples=50
    )
    assert result["low"] == pytest.approx(2)
    assert result["high"] == pytest.approx(2)


def test_one_group_has_no_interval():
    result = intervals.estimate([1.0, 3.0], ["a", "a"])
    assert result == {"value": 2.0, "low": None, "high": None, "n": 2}


def test_centred_interval_ignores_the_bias_of_the_resamples():
    sample = np.random.default_rng(0).normal(5, 1, 4000)
    result = intervals.interval(0.0, sample, 10, centred=True)
    assert result["low"] == pytest.approx(-1.96, abs=0.1)
    assert result["high"] == pytest.approx(1.96, abs=0.1)


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
    assert null["low"] < model["low"] < null["high"]  # indistinguishable when unpaired
    assert gain["low"] == pytest.approx(0.01)
    assert gain["high"] == pytest.approx(0.01)


def test_seeds_that_agree_do_not_widen_an_interval() -> None:
    found: intervals.Estimate = {"value": 1.0, "low": 0.8, "high": 1.3, "n": 9}
    assert intervals.with_seed_spread(found, [1.0, 1.0, 1.0]) == pytest.approx(found)
    assert intervals.with_seed_spread(found, [1.0]) == found
    assert intervals.with_left_out(found, [1.0, 1.0, 1.0]) == pytest.approx(found)


def test_the_interval_over_seeds_covers_the_mean_of_their_population() -> None:
    rng = np.random.default_rng(0)
    for size in (3, 5):
        hits = []
        for row in rng.normal(size=(2000, size)):
            mean = float(row.mean())
            exact: intervals.Estimate = {"value": mean, "low": mean, "high": mean, "n": size}
            found = intervals.with_seed_spread(exact, row)
            hits.append(found["low"] < 0 < found["high"])  # type: ignore[operator]
        assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_the_jackknife_agrees_with_the_spread_for_a_mean() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])
    found: intervals.Estimate = {"value": 3.75, "low": 3.0, "high": 4.0, "n": 9}
    left_out = [np.delete(values, k).mean() for k in range(4)]
    assert intervals.with_left_out(found, left_out) == pytest.approx(
        intervals.with_seed_spread(found, values)
    )
    with pytest.raises(E3DError, match="three models or more"):
        intervals.with_left_out(found, [1.0, 2.0])


def test_an_estimate_includes_the_spread_between_seeds() -> None:
    values = np.random.default_rng(0).normal([0.0, 0.5, 1.0], size=(40, 3))
    groups = np.repeat(np.arange(20), 2)
    plain = intervals.estimate(values.mean(axis=1), groups, n_resamples=50)
    joined = intervals.with_seed_spread(plain, values.mean(axis=0))
    found = intervals.estimate(
        values.mean(axis=1), groups, of_seeds=values.mean(axis=0), n_resamples=50
    )
    assert found == joined
    assert found["low"] < plain["low"] < plain["high"] < found["high"]
    assert intervals.estimate_over_seeds(values, groups, n_resamples=50) == pytest.approx(joined)


def test_an_interval_is_clipped_to_the_limits() -> None:
    options = {"of_seeds": [0.1, 0.9, 0.2], "n_resamples": 50}
    found = intervals.estimate([0.2, 0.5, 0.5], limits=(0.0, 1.0), **options)
    assert found["low"] == 0
    assert found["high"] == 1
    alone = intervals.estimate([0.5], limits=(0.0, 1.0))
    assert alone == {"value": 0.5, "low": None, "high": None, "n": 1}


def test_the_interval_over_seeds_alone_is_that_of_student() -> None:
    values = np.array([1.0, 2.0, 4.0])
    found = intervals.seed_interval(values)
    expected = stats.t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert [found["low"], found["high"]] == pytest.approx(expected)
    shifted = intervals.seed_interval(values, minus=[10.0])  # a null without seeds
    assert shifted["value"] == pytest.approx(found["value"] - 10)
    assert shifted["low"] == pytest.approx(found["low"] - 10)
    wider = intervals.seed_interval(values, minus=values)
    assert wider["value"] == 0
    assert wider["high"] > found["high"] - found["value"]
    assert intervals.seed_interval([3.0]) == {"value": 3.0, "low": None, "high": None, "n": 1}


def test_an_increasing_function_of_an_estimate() -> None:
    found = intervals.transformed({"value": 0.0, "low": -1.0, "high": None, "n": 3}, np.exp)
    assert found == {"value": 1.0, "low": pytest.approx(np.exp(-1)), "high": None, "n": 3}
