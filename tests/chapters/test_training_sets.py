"""Changes of errors in percent, and distances between class medians of single models."""

import numpy as np
import pandas as pd
import pytest

from chapters import training_sets
from e3d.errors import E3DError

MOLECULES = ["a", "a", "b", "b", "c", "c"]


def test_errors_that_all_fall_by_a_tenth_change_by_minus_ten_percent() -> None:
    before = np.random.default_rng(0).uniform(1, 2, size=(6, 3))
    for found in training_sets.error_change(0.9 * before, before, MOLECULES, n_resamples=50):
        assert found["value"] == pytest.approx(-10)
        assert found["low"] == pytest.approx(-10)
        assert found["high"] == pytest.approx(-10)


def test_a_molecule_with_large_errors_carries_the_mean_and_not_the_typical_change() -> None:
    before = np.repeat([[1.0], [1.0], [100.0]], 2, axis=0) * np.ones((6, 2))
    errors = before * np.repeat([[0.5], [0.5], [2.0]], 2, axis=0)
    found = training_sets.error_change(errors, before, MOLECULES, n_resamples=50)
    assert found.of_mean["value"] == pytest.approx(100 * (201 / 102 - 1))
    assert found.of_typical_molecule["value"] == pytest.approx(100 * (0.5 ** (1 / 3) - 1))


def test_what_a_seed_does_to_both_sides_does_not_widen_the_interval() -> None:
    before = np.outer(np.ones(6), [1.0, 5.0])
    found = training_sets.error_change(0.8 * before, before, MOLECULES, n_resamples=50)
    assert found.of_mean["high"] == pytest.approx(-20)
    with pytest.raises(E3DError, match="same seeds"):
        training_sets.error_change(pd.DataFrame(before[:, :1]), before, MOLECULES)


def test_distances_are_between_class_medians_of_single_models() -> None:
    classes = ["C-H", "C-H", "C-H", "C-O"]
    first = np.array([[1.0, 1.0], [2.0, 3.0], [9.0, 9.0], [0.0, 2.0]])  # medians 2, 0 and 3, 2
    second = np.array([[6.0], [6.0], [6.0], [0.0]])
    found = training_sets.median_distances({"x": first, "y": second}, classes)
    assert found == {("x", "x"): [1.5], ("x", "y"): [2.0, 2.5], ("y", "y"): []}
