"""Onsets: a jump is narrow, a power law is wide; partial correlations hold the third fixed."""

import numpy as np
import pytest

from chapters import emergence

STEPS = [0, 10, 30, 100, 300, 1000, 3000, 10_000]


def test_a_jump_takes_fewer_decades_than_a_steady_change() -> None:
    jump = np.where(np.array(STEPS) < 300, 1.0, 0.0)
    steady = 1 - np.log10(1 + np.array(STEPS)) / 4
    assert emergence.transition_decades(STEPS, jump) < 0.5
    assert emergence.transition_decades(STEPS, steady) == pytest.approx(
        0.8 * np.log10(10_001), rel=0.01
    )


def test_a_detour_does_not_count_as_arrived() -> None:
    detour = [0, 0, 1, 0.2, 0.5, 0.8, 0.95, 1]
    assert emergence.onset(STEPS, detour, 0.9) > 1000
    assert emergence.transition_decades(STEPS, detour) > emergence.transition_decades(
        STEPS, [0, 0, 1, 1, 1, 1, 1, 1]
    )
