"""Radicals by what stabilises them, and differences of means."""

import numpy as np
import pytest

from chapters.within_class import (
    LONE_PAIR,
    MULTIPLE_BOND,
    NEITHER,
    mean_difference,
    slope,
    stabilising_neighbour,
)


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ("[CH3] + [H]", NEITHER),
        ("[CH2]C + [H]", NEITHER),
        ("[H] + [CH2]C=C", MULTIPLE_BOND),
        ("[CH2]C#N + [H]", MULTIPLE_BOND),
        ("[CH2]c1ccccc1 + [H]", MULTIPLE_BOND),
        ("[CH2]OC=C + [H]", LONE_PAIR),  # the double bond is one bond too far
        ("C[CH]N + [H]", LONE_PAIR),
        ("O[CH]C=O + [H]", MULTIPLE_BOND),  # both: the multiple bond comes first
        ("[CH]=C + [H]", None),
        ("C[C]=O + [H]", None),
    ],
)
def test_radicals_are_told_apart_by_their_neighbours(fragments: str, expected: str | None) -> None:
    assert stabilising_neighbour(fragments) == expected


def test_the_difference_of_means_has_a_sign_and_needs_both_sides() -> None:
    rows = np.array([[1, 5.0], [1, 7.0], [0, 2.0], [0, 1.0], [0, 0.0]])
    assert mean_difference(rows) == pytest.approx(5.0)
    assert np.isnan(mean_difference(rows[:2]))
    assert np.isnan(mean_difference(rows[2:]))


def test_the_slope_within_classes_knows_nothing_of_their_means() -> None:
    references = np.array([100.0, 110.0, 60.0, 80.0])
    classes = np.array([0, 0, 1, 1])
    values = 0.2 * references + np.where(classes == 0, 7.0, 90.0)
    assert slope(values, references, classes) == pytest.approx(0.2)
    assert np.isnan(slope(values, np.array([1.0, 1.0, 2.0, 2.0]), classes))
