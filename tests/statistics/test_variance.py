"""Planted variance components are recovered; ensembles are compared class by class."""

import numpy as np
import pytest

from e3d.errors import E3DError
from e3d.statistics import variance
from e3d.statistics.variance import intraclass_correlation


def simulated(a: float, u: float, d: float, e: float, k: int = 5, seed: int = 0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(400), rng.integers(1, 30, size=400))
    values = (
        rng.normal(0, a, 400)[classes, None]
        + rng.normal(0, u, len(classes))[:, None]
        + rng.normal(0, d, (400, k))[classes]
        + rng.normal(0, e, (len(classes), k))
    )
    return values, classes


@pytest.mark.parametrize("truth", [(3, 1, 0.5, 0.7), (1, 0, 0, 1), (2, 1, 0, 0), (0, 0, 1, 1)])
def test_planted_components_are_recovered(truth: tuple[float, ...]) -> None:
    values, classes = simulated(*truth)
    found = variance.variance_parts(values, classes)
    assert list(found) == list(variance.PARTS)
    for part, sigma in zip(found.values(), truth, strict=True):
        assert part == pytest.approx(sigma**2, abs=0.12 * sum(s**2 for s in truth))


def test_components_need_two_seeds() -> None:
    with pytest.raises(E3DError, match="seeds ≥ 2"):
        variance.variance_parts(np.ones((5, 1)), ["C-H"] * 5)


def test_class_offsets_are_found_and_do_not_affect_correlations() -> None:
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 5, size=3000)
    shared = rng.normal(size=(3000, 1))
    first = shared + 0.1 * rng.normal(size=(3000, 3))
    second = shared + 0.1 * rng.normal(size=(3000, 4)) + 10.0 * classes[:, None]
    assert variance.class_offset(first, second, classes) == pytest.approx(20, abs=0.3)
    found = variance.within_class_correlation(
        first, second, classes, np.arange(3000), n_resamples=50
    )
    assert found["low"] > 0.98


def test_the_shared_fraction_is_recovered_within_its_interval() -> None:
    values, classes = simulated(2, 1, 0.5, 0.5, k=6)
    truth = 1 / (1 + 0.25 + 0.25)
    assert variance.shared_share(values, classes) == pytest.approx(truth, abs=0.08)
    found = variance.over_molecules_and_seeds(
        lambda v, rows: variance.shared_share(v[rows], classes[rows]),
        values,
        groups=classes,
        n_resamples=50,
    )
    assert found["low"] is not None
    assert found["high"] is not None
    assert found["low"] < truth < found["high"]


def test_disagreement_of_seeds_widens_the_interval_over_molecules() -> None:
    values, classes = simulated(1, 1, 0.1, 0.1, k=4)
    values[:, 3] += np.random.default_rng(0).normal(0, 3, size=len(values))
    bonds = np.arange(len(values))
    found = variance.identified(values, classes, bonds, n_resamples=50)
    alone = intraclass_correlation(values, classes, bonds, n_resamples=50)
    assert found["value"] == alone["value"]
    assert found["high"] - found["low"] > 3 * (alone["high"] - alone["low"])  # type: ignore[operator]
    with pytest.raises(E3DError, match="three models or more to compare, got 2"):
        variance.identified(values[:, :2], classes, bonds, n_resamples=50)


def test_the_largest_offset_is_that_of_the_outlying_seed() -> None:
    values = np.zeros((6, 4))
    values[:, 2] = 3.0
    assert variance.largest_offset(values, 1, ["C-H"] * 6) == pytest.approx(3.0)
    assert variance.largest_offset(values, 9, ["C-H"] * 6) == pytest.approx(3.0)


def test_the_intraclass_correlation_is_the_shared_fraction_of_the_variance_within_classes():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 5, size=2000)
    shared = 100 * classes[:, None] + rng.normal(0, 2, size=(2000, 1))  # classes do not count
    values = shared + rng.normal(0, 1, size=(2000, 3))
    options = {"n_resamples": 50}
    molecules = np.arange(2000)
    found = variance.intraclass_correlation(values, classes, molecules, **options)
    assert found["value"] == pytest.approx(4 / 5, abs=0.02)
    assert found["low"] < 4 / 5 < found["high"]
    noise = 100.0 * classes[:, None] + rng.normal(0, 1, size=(2000, 3))
    none = variance.intraclass_correlation(noise, classes, molecules, **options)
    assert none["value"] == pytest.approx(0, abs=0.04)


def test_offsets_of_classes_do_not_count_for_consistency() -> None:
    values, classes = simulated(0.0, 2.0, 0.0, 1.0)
    offsets = np.random.default_rng(2).normal(0, 5, (400, values.shape[1]))[classes]
    found = variance.consistency_share(values, classes)
    assert found == pytest.approx(0.8, abs=0.02)
    assert variance.consistency_share(values + offsets, classes) == pytest.approx(found)
    assert variance.shared_share(values + offsets, classes) < 0.5 * found
