"""Agreement with a teacher: exact for the teacher itself, class by class, weighted as said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from chapters.teacher.recovery import recovery
from chapters.teacher.tables import TRUE
from e3d.errors import E3DError


@pytest.fixture
def bonds() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    classes = np.repeat(["C-C", "C-H"], [40, 120])
    truth = -5 - rng.random(160) - 3.0 * (classes == "C-C")
    noise = rng.normal(size=(160, 3))
    return pd.DataFrame({
        "class": classes, "molecule": np.tile(np.arange(20), 8), TRUE: truth,
        "half": 0.5 * truth + 2.0, "s0": truth + noise[:, 0], "s1": truth + noise[:, 1],
        "noise": noise[:, 2], "mixed": np.where(classes == "C-C", truth, -truth),
    })  # fmt: skip


def test_a_compressed_copy_is_in_order_and_has_its_slope(bonds: pd.DataFrame) -> None:
    found = recovery(bonds, ["half"], n_resamples=20)
    assert found.by_class(["half"]).to_dict() == pytest.approx({"C-C": 1, "C-H": 1})
    assert found.mean(["half"]) == pytest.approx({"value": 1, "low": 1, "high": 1, "n": 160})
    slope = found.mean(["half"], kind="slope")
    assert (slope["value"], slope["low"], slope["high"]) == pytest.approx((0.5, 0.5, 0.5))


def test_each_class_has_the_rank_correlation_of_scipy(bonds: pd.DataFrame) -> None:
    found = recovery(bonds, ["s0", "s1"], n_resamples=5).by_class(["s0", "s1"])
    for name, own in bonds.groupby("class"):
        expected = np.mean([spearmanr(own[TRUE], own[s]).statistic for s in ("s0", "s1")])
        assert found[str(name)] == pytest.approx(expected)


def test_classes_count_alike_or_by_their_bonds(bonds: pd.DataFrame) -> None:
    found = recovery(bonds, ["mixed"], n_resamples=20)
    assert found.mean(["mixed"])["value"] == pytest.approx(0)
    assert found.mean(["mixed"], by_bond=True)["value"] == pytest.approx((40 - 120) / 160)
    only = np.array([True, False])
    assert found.mean(["mixed"], of=only)["value"] == pytest.approx(1)
    assert found.mean(["mixed"], of=only)["n"] == 40


def test_the_spread_between_seeds_widens_the_interval_of_a_gain(bonds: pd.DataFrame) -> None:
    found = recovery(bonds, ["s0", "s1", "noise"], n_resamples=50)
    gain = found.gain(["s0", "s1"], ["noise"])
    assert gain["value"] == pytest.approx(
        found.mean(["s0", "s1"])["value"] - found.mean(["noise"])["value"]
    )
    itself = found.gain(["s0", "s1"], ["s0", "s1"], same_seeds=True)
    assert (itself["low"], itself["high"]) == (0, 0)
    apart = found.gain(["s0", "s1"], ["s0", "s1"])
    assert apart["low"] < 0 < apart["high"]  # type: ignore[operator]


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_ranks_do_not_know_the_scale(scale: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    bonds = pd.DataFrame({"class": "C-C", "molecule": range(12), TRUE: rng.normal(size=12),
                          "x": rng.normal(size=12)})  # fmt: skip
    bonds["y"] = scale * bonds["x"] + shift
    found = recovery(bonds, ["x", "y"], n_resamples=2)
    assert found.mean(["x"])["value"] == pytest.approx(found.mean(["y"])["value"])
    slopes = [found.mean([name], kind="slope")["value"] for name in ("x", "y")]
    assert slopes[1] == pytest.approx(scale * slopes[0])


def test_a_missing_value_is_refused(bonds: pd.DataFrame) -> None:
    with pytest.raises(E3DError, match="expected finite values of s0"):
        recovery(bonds.assign(s0=np.nan), ["s0"])
