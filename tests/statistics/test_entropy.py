"""Entropies of known distributions, and information that is known exactly."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.chemistry import bonding
from e3d.errors import E3DError
from e3d.statistics import entropy, grouping, information

ENERGIES = st.lists(st.floats(-12, 2, allow_nan=False), min_size=2, max_size=60)


def table(n_molecules=200, seed=0):
    """Bonds of two element pairs with three and two orders; ε and r determine the order in CC."""
    rng = np.random.default_rng(seed)
    n = 4 * n_molecules
    bonds = pd.DataFrame({"molecule": np.repeat(np.arange(n_molecules), 4)})
    bonds["pair"] = rng.choice(["CC", "CO"], size=n)
    bonds["order"] = np.where(
        bonds["pair"] == "CC", rng.choice(list("-=#"), size=n), rng.choice(list("-="), size=n)
    )
    bonds["telling"] = bonds["order"].map({"-": -3.0, "=": -6.0, "#": -9.0}) + rng.normal(0, 0.1, n)
    bonds["mute"] = rng.normal(-4, 1, n)
    return bonds


def told(bonds, column, n_bins=8, **options):
    bins = entropy.quantile_bins(
        bonds[column],
        n_bins,
        strata=bonds["pair"],
        weights=grouping.bond_weights(bonds["molecule"]),
    )
    options = {"n_permutations": 30, "n_resamples": 100} | options
    return information.order_information(
        bins, bonds["order"], bonds["pair"], bonds["molecule"], **options
    )


@pytest.mark.parametrize("k", [1, 2, 3, 8, 100])
def test_uniform_distribution_has_log2_k_bits(k):
    assert entropy.entropy(np.full(k, 0.7)) == pytest.approx(np.log2(k), abs=1e-12)
    energies = -0.1 * np.arange(k) - 0.05  # one in each bin
    result = entropy.binned_entropy(energies, np.zeros(k), 0.1, n_resamples=2)
    assert result["plug_in"]["value"] == pytest.approx(np.log2(k), abs=1e-12)


def test_known_entropies():
    assert entropy.entropy([0.5, 0.25, 0.25]) == pytest.approx(1.5)
    assert entropy.entropy([1.0, 0.0]) == 0
    assert entropy.entropy([[1, 1], [1, 0]]) == pytest.approx([1, 0])


def test_every_molecule_has_weight_one():
    """One molecule of one bond and one of three: the masses are equal, the entropy is 1 bit."""
    assert grouping.bond_weights(["a", "b", "b", "b"]) == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    result = entropy.binned_entropy(np.array([-4.01, -1.01, -1.02, -1.03]), list("abbb"), 0.1)
    assert result["plug_in"]["value"] == pytest.approx(1)


def test_miller_madow_term():
    masses, weights = np.array([10.0, 20.0, 0.0, 30.0]), np.ones(60)
    expected = entropy.entropy(masses) + 2 / (2 * 60 * np.log(2))
    assert entropy.miller_madow(masses, weights) == pytest.approx(expected)
    halved = np.repeat([1.0, 0.0], 60)  # weightless samples do not count
    assert entropy.miller_madow(masses, halved) == pytest.approx(expected)


def test_miller_madow_removes_most_of_the_bias():
    rng = np.random.default_rng(0)
    plug_in, corrected = [], []
    for _ in range(200):
        masses = np.bincount(rng.integers(16, size=64), minlength=16)
        plug_in.append(entropy.entropy(masses))
        corrected.append(entropy.miller_madow(masses, np.ones(64)))
    assert np.mean(plug_in) < 4 - 0.1
    assert np.mean(corrected) == pytest.approx(4, abs=0.03)


def test_differential_entropy_of_a_gaussian():
    energies = np.random.default_rng(0).normal(-4, 0.8, 20000)
    expected = 0.5 * np.log2(2 * np.pi * np.e * 0.8**2)
    for width in (0.05, 0.2):
        result = entropy.binned_entropy(energies, np.arange(20000), width, n_resamples=20)
        assert result["differential"]["value"] == pytest.approx(expected, abs=0.02)
        assert result["differential"]["low"] < expected < result["differential"]["high"] + 0.02


@pytest.mark.parametrize(("width", "energies"), [(0.0, [1.0]), (-1.0, [1.0]), (0.1, [np.nan])])
def test_invalid_bins_are_refused(width, energies):
    with pytest.raises(E3DError, match="expected a bin width above 0 eV and finite energies"):
        entropy.energy_bins(np.array(energies), width)


@given(energies=ENERGIES, width=st.sampled_from([0.0625, 0.125, 0.25, 0.5]))
@settings(max_examples=50, deadline=None)
def test_finer_bins_never_decrease_entropy(energies, width):
    """Refinement: 0 ≤ H(Δε/2) − H(Δε) ≤ 1 bit, the bins being nested."""
    fine, coarse = (
        entropy.entropy(np.bincount(grouping.codes(entropy.energy_bins(np.array(energies), w))))
        for w in (width / 2, width)
    )
    assert -1e-12 <= fine - coarse <= 1 + 1e-12


@given(energies=ENERGIES, data=st.data())
@settings(max_examples=50, deadline=None)
def test_entropy_is_invariant_under_relabelling_and_bounded(energies, data):
    masses = np.bincount(grouping.codes(entropy.energy_bins(np.array(energies), 0.25)))
    shuffled = data.draw(st.permutations(list(masses)))
    assert entropy.entropy(shuffled) == pytest.approx(entropy.entropy(masses))
    assert entropy.entropy(3.7 * masses) == pytest.approx(entropy.entropy(masses))
    assert -1e-12 <= entropy.entropy(masses) <= np.log2(len(masses)) + 1e-12


def test_quantile_bins_hold_equal_mass_and_depend_on_ranks_alone():
    bonds = table()
    bins = entropy.quantile_bins(bonds["mute"], 8, strata=bonds["pair"])
    counts = bonds.groupby(["pair", bins]).size()
    for _, of_pair in counts.groupby(level=0):
        assert len(of_pair) == 8
        assert np.ptp(of_pair) <= 1
    stretched = entropy.quantile_bins(np.exp(0.3 * bonds["mute"]), 8, strata=bonds["pair"])
    assert np.array_equal(bins, stretched)
    assert len(set(entropy.quantile_bins(np.ones(10), 4))) == 1  # ties stay together


def test_quantile_bins_respect_weights():
    assert entropy.quantile_bins([1, 2, 3], 2, weights=[2, 1, 1]).tolist() == [0, 1, 1]


def test_pair_and_order():
    pairs, orders = bonding.pair_and_order(["C=O", "H-Si", "C:C", "C~Cl"])
    assert pairs.tolist() == ["CO", "HSi", "CC", "CCl"]
    assert orders.tolist() == ["-=:~"[k] for k in (1, 0, 2, 3)]
    with pytest.raises(E3DError, match="expected a bond class"):
        bonding.pair_and_order(["C-C", "CC"])


def test_a_quantity_that_determines_the_order_reaches_the_ceiling():
    bonds = table()
    result = told(bonds, "telling", n_bins=64)
    weights = grouping.bond_weights(bonds["molecule"])
    expected = 0.0
    for _, rows in bonds.groupby("pair"):
        share = weights[rows.index].sum() / weights.sum()
        mass = pd.Series(weights[rows.index]).groupby(rows["order"].to_numpy()).sum()
        expected += share * entropy.entropy(mass)
    assert result.ceiling == pytest.approx(expected)
    exact = information.order_information(
        grouping.codes(bonds["order"]), bonds["order"], bonds["pair"], bonds["molecule"]
    )
    assert exact.plug_in == pytest.approx(result.ceiling)
    assert exact.value == pytest.approx(result.ceiling)
    assert result.value == pytest.approx(result.ceiling, rel=0.05)


def test_an_independent_quantity_has_no_information():
    values = []
    for seed in range(10):
        result = told(table(seed=seed), "mute", seed=seed, n_resamples=10)
        assert result.plug_in > 0.005  # the bias of the plug-in estimate
        values.append(result.value)
    assert np.mean(values) == pytest.approx(0, abs=0.003)
    one = told(table(), "mute", n_resamples=300).estimate()
    assert one["low"] < 0 < one["high"] + 0.005


def test_copies_of_a_bond_add_no_information():
    """Ten copies of each bond: permuting single bonds would find significant information."""
    rng = np.random.default_rng(3)
    few = pd.DataFrame({"molecule": np.arange(30), "pair": "CC", "mute": rng.normal(size=30)})
    few["order"] = rng.choice(list("-="), size=30)
    copies = few.loc[few.index.repeat(10)].reset_index(drop=True)
    single, many = (told(bonds, "mute", n_permutations=400) for bonds in (few, copies))
    assert many.plug_in == pytest.approx(single.plug_in)
    assert many.null.mean() == pytest.approx(single.null.mean(), rel=0.05)
    assert many.value == pytest.approx(single.value, abs=0.02)


def test_information_is_symmetric_under_relabelling_and_never_above_the_ceiling():
    bonds = table()
    first = told(bonds, "telling")
    renamed = bonds.replace({"order": {"-": "z", "=": "y", "#": "x"}, "pair": {"CC": "Q"}})
    assert told(renamed, "telling").plug_in == pytest.approx(first.plug_in)
    assert 0 <= first.plug_in <= first.ceiling + 1e-12
    shuffled = bonds.sample(frac=1, random_state=0)
    assert told(shuffled, "telling").plug_in == pytest.approx(first.plug_in)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_conditional_information_is_bounded(seed):
    masses = np.random.default_rng(seed).exponential(size=(3, 4, 2)) ** 3
    bits = information.conditional_information(masses)
    by_hand = 0.0
    for stratum in masses:
        joint = stratum / masses.sum()
        product = np.outer(joint.sum(1), joint.sum(0)) / joint.sum()
        by_hand += (joint * np.log2(joint / product)).sum()
    assert bits == pytest.approx(by_hand)
    assert -1e-12 <= bits <= np.log2(2)
    merged = masses.reshape(3, 2, 2, 2).sum(axis=2)  # data-processing inequality
    assert information.conditional_information(merged) <= bits + 1e-12


def test_permutations_keep_blocks_and_counts():
    bonds = table(20)
    for permuted in information.permuted_orders(
        bonds["order"], bonds["pair"], bonds["molecule"], n_permutations=5
    ):
        blocks = bonds.assign(new=permuted).groupby(["pair", "molecule", "order"])["new"]
        assert (blocks.min() == blocks.max()).all()
        before = bonds.drop_duplicates(["pair", "molecule", "order"])
        assert (blocks.first().value_counts() == before["order"].value_counts()).all()


def test_resampled_masses_agree_with_resampled_rows():
    bonds = table(30)
    cells = grouping.codes(bonds["order"])
    masses = entropy.masses_by_molecule(bonds["molecule"], cells, 3)
    assert masses.sum(axis=1) == pytest.approx(np.ones(30))
    sample = grouping.resampled_masses(masses, n_resamples=500, seed=0)
    assert sample.sum(axis=1) == pytest.approx(np.full(500, 30.0))
    assert sample.mean(axis=0) == pytest.approx(masses.sum(axis=0), rel=0.05)
    again = grouping.resampled_masses(masses, n_resamples=500, seed=0)
    assert np.array_equal(sample, again)


def test_interval_of_the_information_covers_the_truth():
    """Truth from a large sample of the same law; 60 small samples, 95 % intervals."""

    def noisy(n_molecules, seed):
        bonds = table(n_molecules, seed)
        return bonds.assign(telling=bonds["telling"] + 12 * (bonds["mute"] + 4))

    truth = told(noisy(6_000, 99), "telling", n_permutations=5, n_resamples=5).value
    covered = []
    for seed in range(60):
        result = told(noisy(150, seed), "telling", n_permutations=20).estimate()
        covered.append(result["low"] <= truth <= result["high"])
    assert np.mean(covered) >= 0.85


def test_difference_is_paired():
    bonds = table()
    first, second = told(bonds, "telling"), told(bonds, "telling")
    nothing = information.difference(first, second)
    assert nothing["value"] == nothing["low"] == nothing["high"] == 0
    gain = information.difference(first, told(bonds, "mute"))
    assert gain["low"] > 0.5


def test_mean_information_averages_models():
    bonds = table()
    parts = [told(bonds, "telling"), told(bonds, "mute")]
    mean = information.mean_information(parts)
    assert mean.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert mean.estimate()["low"] < mean.value < mean.estimate()["high"]


def test_sweep_averages_the_columns_of_a_source():
    bonds = table(50)
    sources = {"both": ["telling", "mute"], "one": ["telling"], "other": ["mute"]}
    result = entropy.sweep(bonds, sources, [0.1, 0.4], n_resamples=20)
    assert len(result) == 6
    bits = result.pivot_table(index="bin_width_eV", columns="source", values="miller_madow")
    assert bits["both"].to_numpy() == pytest.approx((bits["one"] + bits["other"]).to_numpy() / 2)
    assert (bits.loc[0.1] > bits.loc[0.4]).all()
    assert (result["low"] < result["miller_madow"]).all()


def test_information_of_sources_does_not_depend_on_their_scales():
    bonds = table().assign(same=lambda rows: np.exp(rows["telling"]))
    sources = {"ε": ["telling"], "monotone": ["same"], "nothing": ["mute"]}
    found = information.of_sources(bonds, sources, n_bins=8, n_permutations=30, n_resamples=50)
    assert found["ε"].value == pytest.approx(found["monotone"].value)
    assert found["nothing"].value == pytest.approx(0, abs=0.01)
