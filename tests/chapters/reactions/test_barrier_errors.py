"""Errors of barriers: means over quantities, seeds and reactions, and differences of estimates."""

import numpy as np
import pandas as pd
import pytest

from chapters.reactions import barrier_errors

#: Two reactions: barriers of 10 and 20 forward, 30 and 40 backward; two models.
TABLE = pd.DataFrame(
    [
        ("one", "forward", 10.0, 12.0, 5.0), ("two", "forward", 20.0, 20.0, 21.0),
        ("one", "reverse", 30.0, 28.0, 30.0), ("two", "reverse", 40.0, 44.0, 39.0),
    ],
    columns=["reaction", "quantity", "DFT", "a", "b"],
)  # fmt: skip
BOTH = ("forward", "reverse")


def test_errors_are_of_single_models_and_means_over_quantities() -> None:
    values = barrier_errors.by_quantity(TABLE)
    found = barrier_errors.absolute_errors(values, ["a", "b"], "DFT", *BOTH)
    assert found.tolist() == [[2.0, 2.5], [2.0, 1.0]]
    assert barrier_errors.absolute_errors(values, ["DFT"], "DFT", *BOTH).max() == 0


def test_signed_errors_cancel() -> None:
    values = barrier_errors.by_quantity(TABLE)
    found = barrier_errors.signed_errors(values, ["a", "b"], "DFT", *BOTH)
    assert found.tolist() == [[0.0, -2.5], [2.0, 0.0]]


def test_every_reaction_may_have_models_of_its_own() -> None:
    values = barrier_errors.by_quantity(TABLE)
    found = barrier_errors.errors_by_reaction(values, [["b"], ["a"]], "DFT", *BOTH)
    assert found.tolist() == [[2.5], [2.0]]


def test_the_interval_of_a_mean_error_is_positive() -> None:
    errors = np.array([[0.1, 0.3], [8.0, 6.0], [0.2, 0.4], [0.1, 0.1]])
    found = barrier_errors.mean_error(errors, ["a", "b", "c", "d"], n_resamples=200)
    assert found["value"] == pytest.approx(errors.mean())
    assert found["n"] == 4
    assert found["low"] is not None
    assert found["high"] is not None
    assert 0 < found["low"] < found["value"] < found["high"]


def test_independent_intervals_add_in_quadrature() -> None:
    first = {"value": 5.0, "low": 2.0, "high": 9.0, "n": 7}
    second = {"value": 1.0, "low": -3.0, "high": 5.0, "n": 3}
    found = barrier_errors.difference(first, second)
    assert found == {"value": 4.0, "low": 4.0 - 5.0, "high": pytest.approx(4.0 + 32**0.5), "n": 7}
    exact = {"value": 1.0, "low": None, "high": None, "n": 1}
    assert barrier_errors.difference(first, exact) == {
        "value": 4.0,
        "low": 1.0,
        "high": 8.0,
        "n": 7,
    }
