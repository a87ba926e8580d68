"""Vertical dissociation: which bonds can be cut, into what, and what their energies are."""

import numpy as np
import pytest
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels import vertical


def graph(smiles: str) -> Chem.Mol:
    return bonding.parse_smiles(smiles)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("O", {("H-O", 1, frozenset(["[H]", "[OH]"]), 2)}),
        ("O=C=O", {("C=O", 2, frozenset(["[O]", "[C]=O"]), 2)}),
        ("C#N", {("C-H", 1, frozenset(["[H]", "[C]#N"]), 1),
                 ("C#N", 3, frozenset(["[CH]", "[N]"]), 1)}),
        ("CC", {("C-C", 1, frozenset(["[CH3]"]), 1), ("C-H", 1, frozenset(["[H]", "[CH2]C"]), 6)}),
    ],
)  # fmt: skip
def test_each_kind_of_bond_is_cut_once(smiles: str, expected: set) -> None:
    found = vertical.cuts(graph(smiles))
    assert {(c.bond_class, c.order, frozenset(c.fragments), c.n_equivalent) for c in found} == (
        expected)  # fmt: skip


def test_the_sides_of_a_cut_hold_all_atoms_and_name_their_fragment() -> None:
    mol = graph("CCO")
    for cut in vertical.cuts(mol):
        assert sorted((*cut.atoms[0], *cut.atoms[1])) == list(range(mol.GetNumAtoms()))
        assert cut.i in cut.atoms[0]
        assert cut.j in cut.atoms[1]
        for atoms, name in zip(cut.atoms, cut.fragments, strict=True):
            numbers = sorted(mol.GetAtomWithIdx(k).GetAtomicNum() for k in atoms)
            fragment = bonding.parse_smiles(name)
            assert sorted(a.GetAtomicNum() for a in fragment.GetAtoms()) == numbers


def test_rings_and_charged_atoms_are_left_out() -> None:
    assert {c.bond_class for c in vertical.cuts(graph("C1CC1"))} == {"C-H"}
    assert {c.bond_class for c in vertical.cuts(graph("c1ccccc1"))} == {"C-H"}
    nitro = {c.bond_class for c in vertical.cuts(graph("C[N+](=O)[O-]"))}
    assert nitro == {"C-H"}  # the bonds of the charged nitrogen are not


def test_a_molecule_without_such_a_bond_is_an_error() -> None:
    entry = Molecule(
        name="[Ar]", subset="none", smiles="[Ar:1]", atomic_numbers=np.array([18]),
        positions=np.zeros((1, 1, 3)), energies=np.zeros(1), formation_energies=np.zeros(1),
        forces=np.zeros((1, 1, 3)), temperatures=np.zeros(1, dtype=int),
    )  # fmt: skip
    with pytest.raises(E3DError, match="no bond whose cut leaves two neutral fragments"):
        vertical.vertical_dissociation(entry)


@pytest.mark.slow
def test_hydrogen_dissociates_into_atoms_and_carbon_monoxide_is_a_singlet() -> None:
    hydrogen = vertical.frozen_energies(np.array([1]), np.zeros((1, 3)), 1)
    assert hydrogen[1][0] == pytest.approx(-13.6, abs=0.1)
    carbon_monoxide = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.13]])
    states = vertical.frozen_energies(np.array([6, 8]), carbon_monoxide, 2)
    assert states[0][0] < states[2][0] - 5  # eV: the triplet is the valence state, not the ground
    assert states[2][1] == pytest.approx(2.0, abs=0.05)
