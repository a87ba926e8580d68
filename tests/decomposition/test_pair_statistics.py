"""Moments of samples that are cut into parts and merged again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.decomposition.pair_statistics import PairStatistics, pooled

values = st.lists(st.tuples(st.sampled_from(["C-C", "C-H"]), st.floats(-20, 5)), max_size=30)


@settings(deadline=None, max_examples=50)
@given(parts=st.lists(values, min_size=1, max_size=5), seed=st.integers(0, 9))
def test_moments_do_not_depend_on_how_a_sample_is_cut_and_merged(parts: list, seed: int) -> None:
    def sample(rows: list) -> pd.DataFrame:
        table = pd.DataFrame(rows, columns=["class", "mean_eV"]).astype({"mean_eV": float})
        return pooled(table.assign(count=1, m2_eV2=0.0), "class")

    whole = sample([row for part in parts for row in part])
    order = np.random.default_rng(seed).permutation(len(parts))
    total = PairStatistics()
    for k in order:
        total += PairStatistics(by_class=sample(parts[k]))
    assert total.by_class["class"].tolist() == whole["class"].tolist()
    assert total.by_class["count"].tolist() == whole["count"].tolist()
    for column in ("mean_eV", "m2_eV2"):
        np.testing.assert_allclose(total.by_class[column], whole[column], rtol=1e-9, atol=1e-9)


def test_a_small_variance_about_a_large_mean_survives() -> None:
    """Where Σε² − (Σε)²/n has no digit left."""
    rng = np.random.default_rng(0)
    sample = 1e6 + 1e-3 * rng.normal(size=1000)
    total = PairStatistics()
    for part in np.split(sample, 10):
        table = pd.DataFrame({"class": "C-C", "count": 1, "mean_eV": part, "m2_eV2": 0.0})
        total += PairStatistics(by_class=pooled(table, "class"))
    assert total.by_class["m2_eV2"].item() == pytest.approx(np.var(sample) * 1000, rel=1e-6)
