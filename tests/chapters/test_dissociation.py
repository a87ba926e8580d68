"""Energy balance of bond dissociation: an identity that holds, and pairs across the cut."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from examples import labelled, random_model, well

from chapters import dissociation
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles, sides
from e3d.decomposition.edges import decompose, pair_energies
from e3d.units import KCAL_PER_MOL_PER_EV


def test_bond_across_and_inside_make_up_the_whole() -> None:
    model = random_model()
    entry = labelled("CCO", energy=-7.0)
    table = dissociation.balance({"a": model}, [entry], dict.fromkeys("HCO", 0.0))
    assert len(table) == len(bond_pairs(from_mapped_smiles(entry.smiles)))
    (decomposition,) = decompose(model, [Atoms(entry.atomic_numbers, entry.positions[0])])
    pairs = pair_energies(decomposition)
    total = -KCAL_PER_MOL_PER_EV * pairs.energies.sum()
    assert table["error"].to_numpy() == pytest.approx(total - KCAL_PER_MOL_PER_EV * 7.0)
    for row in table.to_dict("records"):
        _, moved = sides(from_mapped_smiles(entry.smiles), row["i"], row["j"])
        first, second = np.isin(pairs.pairs, moved).T
        inside = first == second
        kept = -KCAL_PER_MOL_PER_EV * pairs.energies[inside].sum()
        assert row["bare"] + row["across"] + kept == pytest.approx(total)


def test_ring_bonds_are_left_out() -> None:
    model = random_model()
    table = dissociation.balance({"a": model}, [labelled("C1CC1")], dict.fromkeys("HC", 0.0))
    assert set(table["class"]) == {"C-H"}


def test_parts_add_up_and_shares_to_one() -> None:
    rng = np.random.default_rng(0)
    bonds = pd.DataFrame(rng.normal(size=(20, 4)), columns=["bare", "across", "error", "De"])
    parts = dissociation.deviation_parts(bonds, "De")
    np.testing.assert_allclose(parts.sum(axis=1), bonds["bare"] - bonds["De"])
    shares = dissociation.shares_of_square(parts.to_numpy())
    assert shares.sum() == pytest.approx(1)
    only = parts.assign(across=0.0, error=0.0)
    found = dissociation.estimated_shares(only, np.arange(20), n_resamples=20)
    assert {term: entry["value"] for term, entry in found.items()} == pytest.approx(
        {"across": 0, "within": 1, "error": 0}
    )
    assert found["within"]["low"] == pytest.approx(1)


def test_the_change_within_the_fragments_is_the_sum_of_its_terms() -> None:
    rng = np.random.default_rng(1)
    columns = ["bare", "across", "error", "De", "vertical", "valence"]
    bonds = pd.DataFrame(rng.normal(size=(20, 6)), columns=columns)
    parts = dissociation.parts_within(bonds, "De")
    whole = dissociation.deviation_parts(bonds, "De")["within"]
    np.testing.assert_allclose(parts.sum(axis=1), whole)
    exact = bonds.assign(bare=bonds["valence"], across=0.0, error=0.0)
    found = dissociation.parts_within(exact, "De")["reorganisation"]
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_a_pair_potential_has_energy_across_the_cut_too() -> None:
    entry, potential = labelled("O"), well(depth=5.0, at=1.0)
    table = dissociation.balance({"pair": potential}, [entry], dict.fromkeys("HO", 0.0))
    distances = Atoms(entry.atomic_numbers, entry.positions[0]).get_all_distances()
    for row in table.to_dict("records"):
        (other,) = {0, 1, 2} - {row["i"], row["j"]}
        bond, far = (distances[row["j"], k][None] for k in (row["i"], other))
        bare = -KCAL_PER_MOL_PER_EV * potential("O", "H", bond)[0]
        across = -KCAL_PER_MOL_PER_EV * potential("H", "H", far)[0]
        assert row["bare"] == pytest.approx(bare)
        assert row["across"] == pytest.approx(across)


def test_a_term_that_counteracts_the_others_has_a_negative_share() -> None:
    parts = np.array([[3.0, -1.0], [-3.0, 1.0]])
    assert dissociation.shares_of_square(parts).tolist() == pytest.approx([1.5, -0.5])


def test_equivalent_bonds_are_averaged_and_described_by_the_first() -> None:
    bonds = pd.DataFrame({"smiles": ["C", "C", "C", "O"], "i": [0, 0, 0, 0], "j": [1, 2, 3, 1]})
    for name in dissociation.ENERGIES:
        bonds[name] = [1.0, 2.0, 6.0, 4.0]
    mean, median = (
        dissociation.average_equivalent(bonds, ["smiles"], how) for how in ("mean", "median")
    )
    assert mean["across"].tolist() == [3.0, 4.0]
    assert median["across"].tolist() == [2.0, 4.0]
    assert mean["j"].tolist() == [1, 1]


def test_means_are_by_surroundings_without_an_interval_for_few_molecules() -> None:
    molecules = [labelled(smiles) for smiles in ("OO", "CO", "C", "C=CC")]
    bonds = pd.concat([
        pd.DataFrame(bond_pairs(from_mapped_smiles(m.smiles)), columns=["i", "j"]).assign(
            molecule=m.name
        )
        for m in molecules
    ], ignore_index=True)  # fmt: skip
    kinds = dissociation.surroundings(molecules, bonds)
    by_molecule = pd.Series(kinds).groupby(bonds["molecule"]).agg(lambda some: sorted(set(some)))
    assert by_molecule["OO"] == ["lone pairs on both atoms", "ordinary"]
    assert by_molecule["CO"] == ["ordinary"]
    assert by_molecule["C=CC"] == ["at or next to a multiple bond", "multiple bond"]
    values = pd.DataFrame({"x": np.where(kinds == "ordinary", 1.0, 5.0)})
    found = dissociation.means_by_surroundings(values, kinds, bonds["molecule"], n_resamples=20)
    assert found["ordinary", "x"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 11}
    assert found["multiple bond", "x"] == {"value": 5.0, "low": None, "high": None, "n": 1}


def test_what_is_two_bonds_apart_is_geminal() -> None:
    model, zero = random_model(), dict.fromkeys("HCO", 0.0)
    methane = dissociation.balance({"a": model}, [labelled("C")], zero)
    assert methane["geminal"].to_numpy() == pytest.approx(methane["across"].to_numpy())
    ethanol = dissociation.balance({"a": model}, [labelled("CCO")], zero)
    assert (ethanol["geminal"] - ethanol["across"]).abs().max() > 1e-6
