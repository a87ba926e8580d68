"""Agreement of seeds within classes, its interval for few seeds, and exchanged pair nulls."""

import numpy as np
import pandas as pd
import pytest

from chapters import bde
from e3d.bde.references import KEYS, Source
from e3d.errors import E3DError
from e3d.models.pair import PairPotential, splines
from e3d.units import KCAL_PER_MOL_PER_EV

LADDER = [-5.0, -4.5, -4.0, -3.5, -3.0, -2.5]  # eV, one bond energy per molecule


def bond_table(first: list[float], second: list[float]) -> pd.DataFrame:
    """Two bonds of one class in each of several molecules, by two runs of one ensemble."""
    n = len(first)
    return pd.DataFrame(
        {
            "molecule": np.repeat([f"m{k}" for k in range(n)], 2),
            "class": "C-C",
            "bare:model-s0": np.repeat(first, 2),
            "bare:model-s1": np.repeat(second, 2),
        }
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [(LADDER, 1.0), (LADDER[::-1], -1.0)],
)
def test_identifiability_is_one_for_seeds_that_agree_and_minus_one_for_opposites(
    second: list[float], expected: float
) -> None:
    table = bond_table(LADDER, second)
    found = bde.identifiability(table, "model", n_resamples=20)
    assert found["value"] == pytest.approx(expected)
    assert found["n"] == len(LADDER)  # one row per molecule, however many bonds it has


def test_identifiability_knows_nothing_of_differences_between_classes() -> None:
    table = bond_table(LADDER, LADDER[::-1])
    other = table.assign(**{"class": "C=C"})
    shifted = other.assign(**{run: other[run] - 4 for run in ("bare:model-s0", "bare:model-s1")})
    found = bde.identifiability(pd.concat([table, shifted]), "model", n_resamples=20)
    assert found["value"] == pytest.approx(-1.0)
    with pytest.raises(E3DError, match="no run of the ensemble 'other'"):
        bde.identifiability(table, "other")


def test_the_interval_of_a_spread_over_three_seeds() -> None:
    """Two degrees of freedom: the quantile of χ² at p is −2 ln(1 − p)."""
    found = bde.seed_spread(pd.Series([1.0, 2.0, 9.0]), 3)
    assert (found["value"], found["n"]) == (2.0, 3)
    assert found["low"] == pytest.approx(2 / np.sqrt(-np.log(0.025)))
    assert found["high"] == pytest.approx(2 / np.sqrt(-np.log(0.975)))


def test_another_pair_null_changes_its_own_column_of_headline_sources_alone() -> None:
    knots = np.linspace(0.5, 4.0, 8)
    coefficients = -np.ones(splines(knots, np.array([1.0])).shape[1])
    fitted = PairPotential(knots, {("C", "C"): coefficients})
    rows = [("ethane", "CC", "train", 0, 1, "C-C", 1.5), ("water", "O", "train", 0, 1, "H-O", 1.0)]
    scored = pd.DataFrame(rows, columns=KEYS).assign(emergent=[90.0, 110.0], pair=[1.0, 2.0])
    sources = [Source(n, scored, frozenset("CHO"), headline=n == "DFT") for n in ("DFT", "bulk")]
    (found,) = bde.with_pair_null(sources, fitted)
    assert found.name == "DFT"
    phi = fitted("C", "C", np.array([1.5]))[0]
    assert phi < 0
    assert found.scored["pair"].iloc[0] == pytest.approx(-phi * KCAL_PER_MOL_PER_EV)
    assert np.isnan(found.scored["pair"].iloc[1])
    pd.testing.assert_frame_equal(found.scored.drop(columns="pair"), scored.drop(columns="pair"))
    assert scored["pair"].tolist() == [1.0, 2.0]
