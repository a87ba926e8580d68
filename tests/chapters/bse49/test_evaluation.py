"""Scores against BSE49: missing values, large classes, and comparisons on the same rows."""

import numpy as np
import pandas as pd
import pytest

from chapters.bse49 import evaluation
from e3d.statistics import intervals, ranks

VALUES, REFERENCES = np.array([90.0, np.nan, 130.0]), np.array([100.0, 80.0, 100.0])


def bonds() -> pd.DataFrame:
    """Twenty bonds of ten molecules, of two classes; `model` is the mean of two seeds."""
    rng = np.random.default_rng(0)
    reference = rng.uniform(60, 120, 20)
    table = pd.DataFrame({
        "smiles": np.repeat(list("abcdefghij"), 2), "class": ["C-C", "C-H"] * 10,
        evaluation.REFERENCE: reference, "null": rng.uniform(60, 120, 20),
    })  # fmt: skip
    seeds = {f"s{k}": reference + 5 * k + rng.normal(0, 5, 20) for k in range(2)}
    table = table.assign(**seeds)
    return table.assign(model=table[["s0", "s1"]].mean(axis=1))


def test_missing_values_do_not_count() -> None:
    assert evaluation.absolute_error(VALUES, REFERENCES) == 20
    assert evaluation.accuracy(VALUES, REFERENCES) == pytest.approx((0.9 + 0.7) / 2)


def test_classes_are_large_by_their_molecules_not_their_bonds() -> None:
    table = pd.DataFrame({"class": ["C-C"] * 3 + ["C-H"] * 3, "smiles": list("abc") + ["a"] * 3})
    found = evaluation.large_classes(table, 3)
    assert found["class"].tolist() == ["C-C"] * 3
    assert found.index.tolist() == [0, 1, 2]


def test_columns_are_compared_on_the_same_rows() -> None:
    table, members = bonds(), {"model": ["s0", "s1"]}
    found = evaluation.compare_with_reference(
        table, ["model", "null"], ranks.within_class_spearman, members=members, within="class",
        limits=(-1.0, 1.0), n_resamples=100,
    )  # fmt: skip
    expected = ranks.within_class_spearman(
        table["model"], table[evaluation.REFERENCE].to_numpy(), table["class"]
    )
    assert found.of("model")["value"] == pytest.approx(expected)
    assert len(found.of_seeds["model"]) == 2
    assert "null" not in found.of_seeds
    gain = found.gain("model", "null")
    assert gain["value"] == pytest.approx(expected - found.of("null")["value"])
    assert gain["low"] is not None
    assert gain["low"] > 0


def test_resamples_draw_whole_molecules() -> None:
    table = bonds()
    found = evaluation.compare_with_reference(
        table, ["model"], evaluation.absolute_error, members={}, n_resamples=100
    )
    off = (table["model"] - table[evaluation.REFERENCE]).abs()
    assert found.of("model") == intervals.estimate(off, table["smiles"], n_resamples=100)


def test_the_error_per_radical_is_that_of_least_squares() -> None:
    n_radicals = np.array([1, 2, 2])
    assert evaluation.error_per_radical(pd.Series([-17.0, -34.0, -34.0]), n_radicals) == -17
    rng = np.random.default_rng(1)
    off = pd.Series(rng.normal(size=3))
    slope = np.linalg.lstsq(n_radicals[:, None].astype(float), off.to_numpy(), rcond=None)[0]
    assert evaluation.error_per_radical(off, n_radicals) == pytest.approx(slope.item())
