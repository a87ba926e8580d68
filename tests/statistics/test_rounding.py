"""Rounding hides noise and keeps values; wording says what an interval supports."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.statistics import intervals, rounding

WORDS = {"more": "more", "less": "less", "same": "no different"}


@given(st.floats(-1e5, 1e5))
@settings(max_examples=200)
def test_significant_is_idempotent_and_close(value):
    rounded = rounding.significant(value)
    assert rounding.significant(rounded) == rounded
    assert abs(rounded - value) <= max(0.5e-3 * abs(value), 0.5e-6) * 1.0001


def test_significant_hides_noise():
    assert rounding.significant(103.4567) == 103.5
    assert rounding.significant(0.1 + 0.2) == 0.3
    assert str(rounding.significant(-1e-12)) == "0.0"
    assert rounding.significant(None) is None
    assert np.isnan(rounding.significant(np.nan))


def test_rounded_table_and_metrics():
    table = pd.DataFrame({"class": ["C-H"], "n": [3], "value": [1 / 3], "other": [np.nan]})
    result = rounding.rounded(table)
    assert result.loc[0, ["class", "n", "value"]].tolist() == ["C-H", 3, 0.3333]
    assert np.isnan(result.loc[0, "other"])
    metrics = {"order.bits": {"value": 1 / 3, "low": None, "high": np.float64(2 / 3), "n": 5}}
    expected = {"order.bits": {"value": 0.3333, "low": None, "high": 0.6667, "n": 5}}
    assert rounding.rounded(metrics) == expected


def estimate(low: float | None, high: float | None, value: float = 0.0) -> intervals.Estimate:
    return {"value": value, "low": low, "high": high, "n": 9}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.3, "more"),
        (-0.3, -0.1, "less"),
        (-0.1, 0.1, "no different"),
        (None, None, "no different"),
    ],
)
def test_wording_says_what_the_interval_supports(
    low: float | None, high: float | None, expected: str
) -> None:
    found = estimate(low, high)
    assert rounding.compared_with_zero(found, **WORDS) == expected
    if low is not None and high is not None:
        assert rounding.compared_with(estimate(low + 1, high + 1), 1.0, **WORDS) == expected


def test_estimates_are_spelled_with_their_intervals() -> None:
    assert rounding.spelled(estimate(-0.1, 0.1), 2) == "0.00\u00a0±\u00a00.10"
    assert rounding.spelled(intervals.estimate([0.5], n_resamples=5)) == "0.500"
    row = pd.DataFrame([estimate(-0.1, 0.1)]).iloc[0]
    assert rounding.spelled(row, 1) == "0.0\u00a0±\u00a00.1"


@pytest.mark.parametrize(
    ("ends", "spec", "expected"),
    [
        ((0.8, 0.13, 4.97), ".2f", "0.80 (0.13\u00a0to\u00a04.97)"),  # not alike on both sides
        ((0.03, 0.001, 0.058), ".2f", "0.03 (0.00\u00a0to\u00a00.06)"),  # ± 0.03 would include zero
        ((25.43, 19.72, 31.74), "+.0f", "+25\u00a0±\u00a06"),
        ((0.72, 0.66, 0.78), ".0%", "72%\u00a0±\u00a06%"),
    ],
)
def test_a_half_width_is_written_only_where_it_does_not_mislead(
    ends: tuple[float, float, float], spec: str, expected: str
) -> None:
    assert rounding.ranged(*ends, spec) == expected


@pytest.mark.parametrize("found", [None, np.nan, estimate(0.0, 1.0, value=np.nan)])
def test_a_dash_stands_for_a_missing_number(found: intervals.Estimate | float | None) -> None:
    assert rounding.spelled(found) == "–"


def test_many_estimates_become_the_cells_of_a_table() -> None:
    found = {("a", "x"): estimate(0.1, 0.2, 0.15), ("b", "y"): estimate(None, None)}
    table = rounding.spelled_all(found, 2).unstack()
    assert table.loc["a", "x"] == "0.15\u00a0±\u00a00.05"
    assert table.loc["b", "y"] == "0.00"
    assert pd.isna(table.loc["a", "y"])


def test_names_are_sorted_by_what_their_intervals_support() -> None:
    found = {"a": estimate(1, 2), "b": estimate(-1, 1), "c": estimate(2, 3)}
    expected = {"more": ["a", "c"], "less": [], "no different": ["b"]}
    assert rounding.by_outcome(found, **WORDS) == expected
