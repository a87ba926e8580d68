"""What seeds share: all, nothing, or as much as was put in; and shifts that were put in."""

import numpy as np
import pandas as pd
import pytest

from chapters import identifiability
from e3d.units import KCAL_PER_MOL_PER_EV

N_BONDS = 240
CLASSES = np.repeat(["C-C", "C-H", "H-O"], N_BONDS // 3)
MOLECULES = np.tile(np.arange(40), N_BONDS // 40)
OPTIONS = {"n_resamples": 50, "seed": 0}


def models(own: float, n_models: int = 4, seed: int = 0) -> np.ndarray:
    """Energies of bonds, of standard deviation 1 in what is common, `own` in what is not."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(99).normal(size=(N_BONDS, 1))
    return common + own * rng.normal(size=(N_BONDS, n_models))


def test_bond_energies_are_positive_when_bound() -> None:
    bonds = pd.DataFrame({"bare:a": [-1.0, -2.0], "bare:b": [-3.0, 0.5], "dressed:a": [-4.0, 0.0]})
    found = identifiability.bond_energies(bonds, ["a", "b"]) / KCAL_PER_MOL_PER_EV
    assert found.tolist() == [[1.0, 3.0], [2.0, -0.5]]
    dressed = identifiability.bond_energies(bonds, ["a"], "dressed")
    assert dressed[0, 0] == pytest.approx(4 * KCAL_PER_MOL_PER_EV)


def test_scaling_takes_off_unit_and_sign() -> None:
    target = np.array([1.0, 2.0, -1.0])
    scaled = identifiability.scaled_to(np.outer(target, [3.0, -0.2]), target)
    np.testing.assert_allclose(scaled, np.outer(target, [1.0, 1.0]))


@pytest.mark.parametrize(("own", "expected"), [(0.0, 1.0), (1.0, 0.5), (3.0, 0.1)])
def test_the_shared_fraction_is_what_was_put_in(own: float, expected: float) -> None:
    found = identifiability.shared_fraction(models(own), CLASSES, MOLECULES, **OPTIONS)
    assert found["value"] == pytest.approx(expected, abs=0.1)
    assert found["low"] <= found["value"] <= found["high"]


def test_models_that_agree_share_more_than_models_that_do_not() -> None:
    agreeing, scattered = models(0.3), models(1.5, seed=1)
    for same_models in (True, False):
        found = identifiability.shared_fraction_difference(
            agreeing, scattered, CLASSES, MOLECULES, same_models=same_models, **OPTIONS
        )
        alone = [
            identifiability.shared_fraction(side, CLASSES, MOLECULES, **OPTIONS)["value"]
            for side in (agreeing, scattered)
        ]
        assert found["value"] == pytest.approx(alone[0] - alone[1])
        assert found["low"] > 0


def test_the_same_models_read_twice_alike_do_not_differ() -> None:
    values = models(1.0)
    found = identifiability.shared_fraction_difference(
        values, values, CLASSES, MOLECULES, same_models=True, **OPTIONS
    )
    assert found == {"value": 0.0, "low": 0.0, "high": 0.0, "n": N_BONDS}


def test_a_shift_is_measured_against_the_seeds_that_are_compared() -> None:
    central = models(0.2, n_models=5)
    compared = np.array([True, True, True, False, False])
    moved = central[:, :3] + np.where(CLASSES == "C-C", 6.0, 0.0)[:, None]
    found = identifiability.shift(moved, central, CLASSES, MOLECULES, compared=compared, **OPTIONS)
    assert found["offset"] == pytest.approx(2.0)  # 6 for one class of three
    assert found["correlation"]["value"] == pytest.approx(1.0)
    assert found["by_seeds"] < 0.2
    against_all = identifiability.shift(moved, central, CLASSES, MOLECULES, **OPTIONS)
    assert 0.9 < against_all["correlation"]["value"] < 1.0
