"""Linear probes: they find what is there, on other molecules, and nothing else."""

import numpy as np
import pytest

from chapters.network import probes
from e3d.errors import E3DError

N_MOLECULES, N = 60, 600


@pytest.fixture(scope="module")
def bonds():
    rng = np.random.default_rng(0)
    return {
        "molecules": np.repeat(np.arange(N_MOLECULES), N // N_MOLECULES),
        "strata": rng.choice(["C-C", "C-H", "C-O"], size=N),
        "features": rng.normal(size=(N, 8)),
        "noise": rng.normal(size=N),
    }


def shares(bonds, columns, *targets, **options):
    found = probes.regress(
        columns, np.column_stack(targets), bonds["strata"], bonds["molecules"], **options
    )
    pairs = zip(found.lost.T, found.whole.T, strict=True)
    return [probes.explained_fraction(lost, whole) for lost, whole in pairs]


def test_a_linear_target_is_told_and_noise_is_not(bonds):
    x, noise = bonds["features"], bonds["noise"]
    signal = x @ np.arange(8.0)
    mixed = signal / signal.std() + noise
    exact, half, nothing = shares(bonds, x, signal, mixed, noise, clip=False)
    assert exact > 0.9999
    assert half == pytest.approx(0.5, abs=0.06)
    assert abs(nothing) < 0.03
    assert shares(bonds, x, signal, clip=False)[0] == pytest.approx(
        exact, abs=1e-9
    )  # alone as in company


def test_what_tells_the_molecule_tells_nothing_of_others(bonds):
    """Targets constant in a molecule, features that name the molecule: only a leak could tell."""
    of_molecule = np.random.default_rng(1).normal(size=N_MOLECULES)[bonds["molecules"]]
    names = np.eye(N_MOLECULES)[bonds["molecules"]]
    assert shares(bonds, names, of_molecule, n_repeats=3)[0] < 0.03


def test_what_is_given_does_not_count(bonds):
    x = bonds["features"]
    step = np.select([bonds["strata"] == "C-C", bonds["strata"] == "C-H"], [5.0, -7.0], 0.0)
    target = x[:, 0] + 0.5 * bonds["noise"]
    plain = shares(bonds, x, target)
    shifted = shares(bonds, x + step[:, None], target + 10 * step)
    assert shifted == pytest.approx(plain, abs=1e-9)
    given = np.stack([bonds["strata"] == name for name in ("C-C", "C-H")]).T.astype(float)
    assert abs(shares(bonds, given, target)[0]) < 0.01


def test_unit_and_scale_do_not_matter(bonds):
    x, target = bonds["features"], bonds["features"][:, 1] + bonds["noise"]
    scaled = shares(bonds, x * 1e-4 * np.arange(1, 9), 1e-3 * target)
    assert scaled == pytest.approx(shares(bonds, x, target), abs=1e-9)


def test_a_constant_feature_does_no_harm(bonds):
    x = np.column_stack([bonds["features"], np.ones(N), np.zeros(N)])
    assert shares(bonds, x, x[:, 0], clip=False)[0] > 0.9999


def test_more_features_than_bonds_are_held_in_check(bonds):
    rows = slice(0, 100)
    few = {k: bonds[k][rows] for k in ("molecules", "strata")}
    many = np.random.default_rng(2).normal(size=(100, 200))
    assert -0.25 < shares(few, many, bonds["noise"][rows])[0] < 0.1


def test_one_strange_row_does_not_outweigh_all_others(bonds):
    """A row far from all others is said to be no further from the mean than those fitted to."""
    x = bonds["features"].copy()
    x[0] *= 1000
    target = bonds["features"][:, 0]
    clipped, free = (shares(bonds, x, target, clip=clip)[0] for clip in (True, False))
    assert free < -10
    assert clipped > 0.9


def test_the_penalty_is_chosen_without_the_molecules_tested_on(bonds):
    """Targets of the molecules tested on do not change what is said of them."""
    x, target = bonds["features"], (bonds["features"][:, 0] + bonds["noise"])[:, None]
    arguments = bonds["strata"], bonds["molecules"]
    before = probes.regress(x, target, *arguments).prediction
    altered = target.copy()
    altered[bonds["molecules"] == 7] += 100
    after = probes.regress(x, altered, *arguments).prediction
    own = bonds["molecules"] == 7
    np.testing.assert_array_equal(before[own], after[own])
    assert np.abs(after - before)[~own].max() > 0.1


def test_curves_tell_another_smooth_function_in_each_stratum(bonds):
    r = 1.3 + 0.1 * bonds["noise"].clip(-2, 2)
    sign = np.where(bonds["strata"] == "C-H", -1.0, 1.0)
    target = sign * np.exp(-2 * r)
    assert shares(bonds, probes.curves(r, bonds["strata"], 5), target)[0] > 0.999
    assert shares(bonds, r[:, None], target)[0] < 0.5
    step = np.tanh((r - 1.32) / 0.01)
    lines, splines = (shares(bonds, probes.curves(r, bonds["strata"], n), step)[0] for n in (2, 12))
    assert lines < 0.8
    assert splines > 0.95


def test_curves_of_few_or_equal_rows_are_straight_lines_or_nothing(bonds):
    assert probes.curves(np.ones(N), bonds["strata"], 8).shape == (N, 0)
    few = probes.curves(np.arange(12.0), ["C-C"] * 12, 8)
    assert few.shape == (12, 1)
    np.testing.assert_allclose(np.diff(few[:, 0]), np.diff(few[:2, 0])[0])


def test_a_control_task_is_one_value_per_environment_within_strata(bonds):
    environments = np.char.add(bonds["strata"].astype(str), (np.arange(N) % 7).astype(str))
    values = np.round(bonds["noise"], 3)
    control = probes.control_task(values, environments, bonds["strata"], seed=1)
    for stratum in np.unique(bonds["strata"]):
        rows = bonds["strata"] == stratum
        kinds = np.unique(environments[rows])
        dealt = [np.unique(control[environments == kind]) for kind in kinds]
        assert all(len(one) == 1 for one in dealt)
        own = [np.median(values[environments == kind]) for kind in kinds]
        assert sorted(np.concatenate(dealt)) == pytest.approx(sorted(own))
    labels = probes.control_task(environments, environments, bonds["strata"])
    assert (labels != environments).any()
    assert all(a[:3] == b[:3] for a, b in zip(labels, environments, strict=True))


def test_a_control_task_can_be_learned_only_by_heart(bonds):
    """Features that name the environment tell it; those of the chemistry do not."""
    kind = np.arange(N) % 12
    environments = np.char.add(bonds["strata"].astype(str), kind.astype(str))
    control = probes.control_task(bonds["noise"], environments, bonds["strata"])
    named = np.unique(environments, return_inverse=True)[1]
    by_heart, by_chemistry = shares(bonds, np.eye(named.max() + 1)[named], control)[0], shares(
        bonds, bonds["features"], control)[0]  # fmt: skip
    assert by_heart > 0.99
    assert by_chemistry < 0.05


def test_too_few_molecules_are_refused(bonds):
    with pytest.raises(E3DError, match="at least 5 molecules"):
        shares(
            {"strata": bonds["strata"], "molecules": np.arange(N) % 3},
            bonds["features"],
            bonds["noise"],
        )
