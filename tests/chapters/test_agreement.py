"""A calibration never sees the molecule that it is applied to; the statistics are what they say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters import agreement
from e3d.errors import E3DError
from e3d.statistics import intervals

ROWS = pd.DataFrame({
    "smiles": list("abcd"), "De": [80.0, 90.0, 100.0, 120.0], "half": [40.0, 45.0, 50.0, 60.0],
    "flat": 70.0,
})  # fmt: skip


def test_a_linear_relation_is_found_exactly() -> None:
    assert agreement.line(ROWS["half"] + 3, ROWS["De"]) == pytest.approx((2.0, -6.0))
    found = agreement.calibrated(ROWS["half"] + 3, ROWS["De"], ROWS["smiles"])
    np.testing.assert_allclose(found, ROWS["De"])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(20, 200), min_size=4, max_size=9), st.floats(30, 300))
def test_its_own_reference_does_not_move_a_calibrated_value(
    references: list[float], other: float
) -> None:
    values = np.linspace(50, 90, len(references))
    groups = np.arange(len(references))
    changed = [other, *references[1:]]
    first, second = (agreement.calibrated(values, r, groups)[0] for r in (references, changed))
    assert first == pytest.approx(second)


def test_values_that_are_all_equal_become_the_mean_of_the_others() -> None:
    found = agreement.calibrated(ROWS["flat"], ROWS["De"], ROWS["smiles"])
    assert found[0] == pytest.approx((90 + 100 + 120) / 3)
    with pytest.raises(E3DError, match="three molecules"):
        agreement.calibrated(ROWS["flat"], ROWS["De"], ["a", "a", "b", "b"])


def test_raw_and_calibrated_values_are_compared_on_the_same_rows() -> None:
    options = {"seeds": {"half": ["half", "De"]}, "n_resamples": 50}
    raw = agreement.comparisons(ROWS, ["half", "flat"], "De", **options)
    assert raw["accuracy"].of("half")["value"] == pytest.approx(0.5)
    assert raw["bias"].of("half")["value"] == pytest.approx(-48.75)
    assert raw["mae"].of("flat")["value"] == pytest.approx(27.5)
    assert raw["mae"].of_seeds["half"] == pytest.approx([48.75, 0.0])
    after = agreement.comparisons(ROWS, ["half", "flat"], "De", calibrate=True, **options)
    assert after["accuracy"].of("half")["value"] == pytest.approx(1.0)
    flat, constant = (after["mae"].of(name)["value"] for name in ("flat", agreement.CONSTANT))
    assert flat == pytest.approx(constant)
    assert after["accuracy"].gain("half", "flat")["value"] > 0


def test_intervals_are_those_of_the_bootstrap_over_molecules() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({
        "smiles": rng.integers(0, 30, size=80).astype(str), "De": 100 + rng.normal(0, 9, size=80),
    })  # fmt: skip
    rows["x"] = rows["De"] + rng.normal(3, 9, size=80)
    found = agreement.comparisons(rows, ["x"], "De", seeds={}, n_resamples=4000)["bias"].of("x")
    expected = intervals.estimate(rows["x"] - rows["De"], rows["smiles"], n_resamples=4000)
    for key in ("value", "low", "high"):
        assert found[key] == pytest.approx(expected[key], abs=0.2)
