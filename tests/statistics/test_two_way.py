"""Variance components are recovered, and intervals of a standard deviation cover it."""

import numpy as np
import pytest

from e3d.errors import E3DError
from e3d.statistics import two_way


def test_a_table_of_columns_that_differ_has_its_variance_in_them() -> None:
    rng = np.random.default_rng(0)
    values = (
        4.0 * rng.normal(size=400) + rng.normal(size=(60, 1)) + 2.0 * rng.normal(size=(60, 400))
    )
    found = two_way.components(values)
    assert found.columns == pytest.approx(16, rel=0.3)
    assert found.rows == pytest.approx(1, rel=0.5)
    assert found.residual == pytest.approx(4, rel=0.05)
    turned = two_way.components(values.T)
    assert (turned.rows, turned.columns) == pytest.approx((found.columns, found.rows))
    ratio = found.columns_over_rows
    assert 1 < ratio["low"] < ratio["value"] < ratio["high"]  # type: ignore[operator]
    with pytest.raises(E3DError, match=r"got shape \(1, 3\)"):
        two_way.components(values[:1, :3])


def test_the_interval_of_a_standard_deviation_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    found = [two_way.standard_deviation(rng.normal(0, 3, size=5)) for _ in range(2000)]
    covered = [f["low"] < 3 < f["high"] for f in found]  # type: ignore[operator]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert found[0]["n"] == 5
