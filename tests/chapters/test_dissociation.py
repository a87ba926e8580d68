"""What breaking a bond severs: an identity that holds, and cuts that are found."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from examples import labelled, random_model

from chapters import dissociation
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles
from e3d.decomposition.edges import decompose, pair_energies
from e3d.units import KCAL_PER_MOL_PER_EV


def test_cutting_a_bond_tells_the_sides_apart() -> None:
    bonds = np.array([[0, 1], [1, 2], [2, 3], [3, 1]])  # a tail on a ring of three
    side = dissociation.side_of(bonds, 0, 4)
    assert side is not None
    assert side.tolist() == [True, False, False, False]
    assert all(dissociation.side_of(bonds, k, 4) is None for k in (1, 2, 3))


@given(st.integers(2, 7), st.randoms(use_true_random=False))
def test_a_tree_falls_in_two_at_every_bond(n_atoms: int, random) -> None:  # type: ignore[no-untyped-def]
    bonds = np.array([[random.randrange(k), k] for k in range(1, n_atoms)])
    for k, (i, j) in enumerate(bonds):
        side = dissociation.side_of(bonds, k, n_atoms)
        assert side is not None
        assert side[i]
        assert not side[j]


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
        bonds = bond_pairs(from_mapped_smiles(entry.smiles))
        number = bonds.tolist().index([row["i"], row["j"]])
        side = dissociation.side_of(bonds, number, len(entry.atomic_numbers))
        assert side is not None
        inside = side[pairs.pairs[:, 0]] == side[pairs.pairs[:, 1]]
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
