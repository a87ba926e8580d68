"""Power laws: planted exponents, floors and plateaus are recovered within their intervals."""

import numpy as np
import pytest

from e3d.errors import E3DError
from e3d.statistics import power_laws

SIZES = [100, 300, 1000, 3000, 10_000]


def falling(exponent: float = 0.4, floor: float = 0.0, seed_spread: float = 0.0) -> np.ndarray:
    """Errors (200 rows, 5 sizes, 3 seeds) ∝ size⁻ˣ above a floor, rows of different difficulty."""
    rng = np.random.default_rng(0)
    difficulty = rng.gamma(2, size=(200, 1, 1))
    law = (np.power(np.array(SIZES) / 100, -exponent) + floor)[:, None]
    seeds = np.exp(rng.normal(0, seed_spread, size=(1, len(SIZES), 3)))
    return difficulty * law * seeds * rng.normal(1, 0.05, size=(200, len(SIZES), 3))


def test_a_planted_exponent_is_recovered_within_its_interval() -> None:
    found = power_laws.power_law(falling(), SIZES, np.arange(200))
    assert found["value"] == pytest.approx(0.4, abs=0.01)
    assert found["low"] < 0.4 < found["high"] < found["low"] + 0.05


def test_the_spread_between_seeds_widens_the_interval() -> None:
    widths = []
    for spread in (0.0, 0.3):
        found = power_laws.power_law(falling(seed_spread=spread), SIZES, np.arange(200))
        widths.append(found["high"] - found["low"])
    assert widths[1] > 3 * widths[0]


def test_groups_are_drawn_whole() -> None:
    errors = np.repeat(falling()[:20], 10, axis=0)
    rng = np.random.default_rng(1)
    errors[:, -1] *= np.repeat(rng.lognormal(0, 1, size=20), 10)[:, None]
    alone, whole = (
        power_laws.power_law(errors, SIZES, groups)
        for groups in (np.arange(200), np.repeat(np.arange(20), 10))
    )
    assert whole["value"] == alone["value"]
    assert whole["high"] - whole["low"] > 2 * (alone["high"] - alone["low"])


def test_a_law_without_floor_does_not_stop_falling() -> None:
    steps = power_laws.local_exponents(falling(), SIZES, np.arange(200))
    assert steps["value"].to_numpy() == pytest.approx(0.4, abs=0.05)
    assert power_laws.stops_falling(falling(), SIZES, np.arange(200)) == (3000, None)


def test_a_plateau_is_found() -> None:
    errors = falling(seed_spread=0.05)
    errors[:, 3:] = errors[:, 2:3]  # nothing gained beyond the third size
    assert power_laws.stops_falling(errors, SIZES, np.arange(200)) == (300, 1000)
    errors[:, 3] *= 1.2  # worse again, so only the largest is as good as itself
    assert power_laws.stops_falling(errors, SIZES, np.arange(200)) == (3000, None)


def test_noise_is_not_taken_for_a_plateau() -> None:
    rng = np.random.default_rng(2)
    noisy = falling(exponent=0.02) * rng.lognormal(0, 0.3, size=(1, len(SIZES), 3))
    assert power_laws.stops_falling(noisy, SIZES, np.arange(200)) == (None, None)


def test_offsets_of_a_seed_common_to_all_sizes_leave_the_exponent_certain() -> None:
    errors = falling() * np.array([0.7, 1.0, 1.4])
    plain, shifted = (power_laws.power_law(e, SIZES, np.arange(200)) for e in (falling(), errors))
    assert shifted["high"] - shifted["low"] < 1.5 * (plain["high"] - plain["low"])


@pytest.mark.parametrize("paired", [True, False])
def test_pairing_seeds_narrows_the_interval_of_a_ratio(paired: bool) -> None:
    errors = falling()[:, 0] * np.array([0.7, 1.0, 1.4])
    found = power_laws.ratio(errors * 0.8, errors, np.arange(200), paired=paired)
    assert found["value"] == pytest.approx(0.8)
    assert (found["high"] < 1) == paired


def test_different_numbers_of_seeds_are_not_paired() -> None:
    errors = falling()[:, 0]
    with pytest.raises(E3DError, match="the same seeds on both sides, got 2 and 3"):
        power_laws.ratio(errors[:, :2], errors, np.arange(200), paired=True)


def test_a_floor_is_distinguished_from_a_small_exponent() -> None:
    sizes = [100, 300, 1000, 3000, 10_000, 30_000, 100_000]
    rng = np.random.default_rng(0)
    law = 2.0 * (np.array(sizes) / 100) ** -0.7 + 0.5
    errors = law[None, :, None] * rng.gamma(50, 1 / 50, size=(300, 7, 3))
    found = power_laws.law_with_floor(errors, sizes, np.arange(300), n_resamples=100)
    for name, true in {"exponent": 0.7, "floor": 0.5}.items():
        assert found[name]["low"] < true < found[name]["high"]
        assert found[name]["value"] == pytest.approx(true, rel=0.1)
    assert power_laws.power_law(errors, sizes, np.arange(300))["value"] < 0.4


def test_a_floor_is_not_above_what_has_been_reached() -> None:
    sizes = [100, 300, 1000, 3000, 10_000, 30_000, 100_000]
    means = np.array([29.9, 26.1, 25.5, 23.4, 24.4, 23.9, 22.7])  # falls, with noise
    found = power_laws.law_with_floor(
        np.broadcast_to(means[None, :, None], (10, 7, 2)), sizes, np.arange(10), n_resamples=5
    )
    assert found["floor"]["value"] <= means.min()


def test_a_ratio_on_the_same_rows_is_more_certain_than_either_error() -> None:
    errors = falling()[:, 0]
    found = power_laws.ratio(errors * 0.9, errors, np.arange(200), paired=True)
    assert found["value"] == pytest.approx(0.9)
    assert 0.88 < found["low"] < 0.9 < found["high"] < 0.92


def test_a_missing_error_is_refused() -> None:
    errors = falling()
    errors[3, 2, 1] = np.nan
    with pytest.raises(E3DError, match="was a run not measured"):
        power_laws.power_law(errors, SIZES, np.arange(200))
