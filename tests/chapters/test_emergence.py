"""Onsets: a jump is narrow, a power law is wide; partial correlations hold the third fixed."""

import numpy as np
import pytest

from chapters import emergence
from e3d.errors import E3DError

STEPS = [0, 10, 30, 100, 300, 1000, 3000, 10_000]


def test_a_jump_takes_fewer_decades_than_a_steady_change() -> None:
    jump = np.where(np.array(STEPS) < 300, 1.0, 0.0)
    steady = 1 - np.log10(1 + np.array(STEPS)) / 4
    assert emergence.transition_decades(STEPS, jump) < 0.5
    assert emergence.transition_decades(STEPS, steady) == pytest.approx(
        0.8 * np.log10(10_001), rel=0.01
    )


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


def test_a_detour_does_not_count_as_arrived() -> None:
    detour = [0, 0, 1, 0.2, 0.5, 0.8, 0.95, 1]
    assert emergence.onset(STEPS, detour, 0.9) > 1000
    assert emergence.transition_decades(STEPS, detour) > emergence.transition_decades(
        STEPS, [0, 0, 1, 1, 1, 1, 1, 1]
    )
