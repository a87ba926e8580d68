"""Energy balance of bond dissociation: an identity that holds, and pairs across the cut."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from examples import labelled, random_model

from chapters import dissociation
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles, side
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
        moved = side(from_mapped_smiles(entry.smiles), row["i"], row["j"])
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
    shares = dissociation.shares_of_square(parts)
    assert shares.sum() == pytest.approx(1)
    only = parts.assign(across=0.0, error=0.0)
    assert dissociation.shares_of_square(only)["rearrangement"] == pytest.approx(1)


def test_what_is_two_bonds_apart_is_geminal() -> None:
    model, zero = random_model(), dict.fromkeys("HCO", 0.0)
    methane = dissociation.balance({"a": model}, [labelled("C")], zero)
    assert methane["geminal"].to_numpy() == pytest.approx(methane["across"].to_numpy())
    ethanol = dissociation.balance({"a": model}, [labelled("CCO")], zero)
    assert (ethanol["geminal"] - ethanol["across"]).abs().max() > 1e-6
