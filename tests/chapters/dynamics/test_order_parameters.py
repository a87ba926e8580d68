"""Agreement of a measure with the bond order, and by how much it is sooner."""

import numpy as np
import pandas as pd
import pytest

from chapters.dynamics import order_parameters

BROKEN = np.array([True, True, False, False])


def test_the_area_is_the_chance_that_a_broken_bond_scores_higher() -> None:
    assert order_parameters.auc(np.array([3.0, 2.0, 1.0, 0.0]), BROKEN) == 1
    assert order_parameters.auc(np.array([0.0, 1.0, 2.0, 3.0]), BROKEN) == 0
    # of four pairs two are in order, one is tied
    assert order_parameters.auc(np.array([3.0, 1.0, 1.0, 2.0]), BROKEN) == pytest.approx(0.625)
    assert np.isnan(order_parameters.auc(np.arange(4.0), np.ones(4, dtype=bool)))


def test_kappa_is_agreement_beyond_chance() -> None:
    assert order_parameters.kappa(BROKEN, BROKEN) == 1
    assert order_parameters.kappa(~BROKEN, BROKEN) == -1
    half = np.array([True, False, True, False])
    assert order_parameters.kappa(half, BROKEN) == pytest.approx(0)
    assert np.isnan(order_parameters.kappa(np.ones(3, dtype=bool), np.ones(3, dtype=bool)))


def test_a_lead_is_positive_where_the_column_is_sooner() -> None:
    events = pd.DataFrame({
        "molecule": ["a", "b", "c", "d"], "energy": [1.0, 2.0, 3.0, np.nan],
        "order": [3.0, 3.0, 9.0, 50.0], "s0": [2.0, 2.0, 2.0, 2.0], "s1": [0.0, 0.0, 0.0, 0.0],
    })  # fmt: skip
    found = order_parameters.median_lead(events, "energy", "order", n_resamples=200)
    assert found["value"] == 2
    assert found["n"] == 3  # without the bond whose energy is not gone
    back = order_parameters.median_lead(events, "order", "energy", n_resamples=200)
    assert back["value"] == -2
    joined = order_parameters.median_lead(
        events, "energy", "order", seeds=["s0", "s1"], n_resamples=200
    )
    assert joined["low"] is not None
    assert found["low"] is not None
    assert joined["low"] < found["low"]


def test_growth_compares_far_with_near_frames_alone() -> None:
    frames = np.array([[1.1, 2.0], [1.2, 4.0], [1.4, 100.0], [1.6, 10.0]])
    assert order_parameters.growth_with_stretch(frames, beyond=1.5, up_to=1.25) == 7
    assert np.isnan(order_parameters.growth_with_stretch(frames[:3], beyond=1.5, up_to=1.25))
