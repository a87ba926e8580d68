"""SMILES, geometries, bonds and bond classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from e3d.chemistry.bonding import (
    bond_class,
    bond_lengths,
    bond_pairs,
    canonical_smiles,
    check_closed_shell,
    check_electrons,
    cut,
    embed,
    from_mapped_smiles,
    keeps_its_bonds,
    mapped_smiles,
    parse_smiles,
    perceive,
    sides,
)
from e3d.data.dataset import Dataset
from e3d.errors import E3DError

SMILES = [
    "C", "CCO", "C#N", "[H][H]", "c1ccccc1", "CC(=O)O", "C[N+](=O)[O-]", "C[SiH2]O", "FC(Cl)=S",
    "C1CC1", "n1ccccc1", "[C-]#[O+]", "C=C=C", "C/C=C/C",
]  # fmt: skip


def classes(molecule: Chem.Mol) -> list[str]:
    return sorted(bond_class(molecule, i, j) for i, j in bond_pairs(molecule))


@settings(deadline=None)
@given(st.sampled_from(SMILES), st.randoms(use_true_random=False))
def test_mapped_smiles_keep_the_order_of_atoms(smiles: str, random) -> None:
    molecule = parse_smiles(smiles)
    order = list(range(molecule.GetNumAtoms()))
    random.shuffle(order)
    shuffled = Chem.RenumberAtoms(molecule, order)
    back = from_mapped_smiles(mapped_smiles(shuffled))
    assert [a.GetSymbol() for a in back.GetAtoms()] == [a.GetSymbol() for a in shuffled.GetAtoms()]
    np.testing.assert_array_equal(bond_pairs(back), bond_pairs(shuffled))
    assert classes(back) == classes(molecule)
    assert canonical_smiles(mapped_smiles(shuffled)) == canonical_smiles(smiles)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("c1ccccc1", ["C-H"] * 6 + ["C:C"] * 6),
        ("C[SiH2]O", ["C-H"] * 3 + ["C-Si", "H-O", "H-Si", "H-Si", "O-Si"]),
        ("FC(Cl)=S", ["C-Cl", "C-F", "C=S"]),
        ("C#N", ["C#N", "C-H"]),
        ("C[N+](=O)[O-]", ["C-H"] * 3 + ["C-N", "N-O", "N=O"]),
    ],
)
def test_classes_name_elements_alphabetically_around_the_order(
    smiles: str, expected: list[str]
) -> None:
    assert classes(parse_smiles(smiles)) == expected


def test_the_class_does_not_depend_on_the_direction() -> None:
    molecule = parse_smiles("C=O")
    assert bond_class(molecule, 0, 1) == bond_class(molecule, 1, 0) == "C=O"


def test_bonds_are_perceived_from_the_projects_geometries() -> None:
    """Where the stored SMILES is the perceived one, so must be the classes."""
    with Dataset("data/dft-small.h5") as dataset:
        molecules = list(dataset.usable())
    same = 0
    for molecule in molecules:
        expected = from_mapped_smiles(molecule.smiles)
        found = perceive(molecule.atomic_numbers, molecule.positions[0])
        assert keeps_its_bonds(expected, molecule.positions[0]), molecule.name
        same += classes(found) == classes(expected)
    assert same >= 0.95 * len(molecules)


def test_a_bond_that_cannot_be_perceived_is_the_bare_pair() -> None:
    """Methane that lost a hydrogen has no closed-shell assignment of orders."""
    molecule = parse_smiles("C")
    positions = embed(molecule, seed=1)
    found = perceive(np.array([6, 1, 1, 1]), positions[:4])
    assert classes(found) == ["C~H"] * 3


def test_benzene_is_perceived_as_aromatic() -> None:
    molecule = parse_smiles("c1ccccc1")
    numbers = np.array([a.GetAtomicNum() for a in molecule.GetAtoms()])
    assert classes(perceive(numbers, embed(molecule, seed=1))).count("C:C") == 6


def test_embedding_repeats_and_gives_the_graph() -> None:
    for smiles in SMILES:
        molecule = parse_smiles(smiles)
        positions = embed(molecule, seed=3)
        np.testing.assert_array_equal(positions, embed(molecule, seed=3))
        assert keeps_its_bonds(molecule, positions), smiles


def test_a_stretched_bond_is_noticed() -> None:
    molecule = parse_smiles("CC")
    positions = embed(molecule, seed=1)
    distant = positions.copy()
    distant[7] += 3 * (positions[7] - positions[1])
    assert not keeps_its_bonds(molecule, distant)


@pytest.mark.parametrize("smiles", ["", "C(", "xyz", "C(C)(C)(C)(C)C", "c1cccc1"])
def test_unparsable_smiles_are_refused_in_one_line(smiles: str) -> None:
    with pytest.raises(E3DError, match="cannot be parsed") as caught:
        parse_smiles(smiles)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("smiles", ["CCO", "[CH3:1][OH:2]", "[C:1]([H:2])([H:3])([H:4])[H:6]"])
def test_incomplete_maps_are_refused(smiles: str) -> None:
    with pytest.raises(E3DError, match="atom maps must number every atom"):
        from_mapped_smiles(smiles)


@pytest.mark.parametrize(
    ("smiles", "cause"),
    [("[NH4+]", r"charge \+1"), ("[CH3]", "unpaired electrons"), ("C$C", "quadruple bonds")],
)
def test_ions_radicals_and_bonds_without_class_are_refused(smiles: str, cause: str) -> None:
    with pytest.raises(E3DError, match=cause):
        check_closed_shell(parse_smiles(smiles))


def test_zwitterions_are_neutral() -> None:
    check_closed_shell(parse_smiles("C[N+](=O)[O-]"))


def test_electrons_come_in_pairs_but_for_the_unpaired() -> None:
    check_electrons(np.array([8, 1]), 1)
    check_electrons(np.array([6]), 2)
    with pytest.raises(E3DError, match="9 electrons cannot have 0 unpaired"):
        check_electrons(np.array([8, 1]), 0)


def test_lengths_of_one_geometry_and_of_several() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 2.0]])
    pairs = np.array([[0, 1], [2, 0]])
    assert bond_lengths(positions, pairs).tolist() == [5.0, 2.0]
    several = np.stack([positions, 2 * positions])
    assert bond_lengths(several, pairs).tolist() == [[5.0, 2.0], [10.0, 4.0]]
    assert bond_lengths(positions, pairs[:0]).shape == (0,)


def test_lengths_to_images_agree_with_ase() -> None:
    from ase.build import bulk
    from ase.neighborlist import neighbor_list

    atoms = bulk("Si") * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    i, j, shifts, expected = neighbor_list("ijSd", atoms, 3.0)
    assert np.any(shifts)
    found = bond_lengths(
        atoms.positions, np.column_stack([i, j]), shifts=shifts, cell=atoms.cell.array
    )
    np.testing.assert_allclose(found, expected)


def test_the_sides_of_a_cut_bond() -> None:
    tail = Chem.MolFromSmiles("C1CC1C")  # atom 3 is a tail on a ring of three
    assert sides(tail, 2, 3) == ((0, 1, 2), (3,))
    assert sides(tail, 3, 2) == ((3,), (0, 1, 2))
    assert sides(tail, 0, 1) == ((0, 1, 2, 3),) * 2  # a ring stays in one piece


@given(st.integers(2, 7), st.randoms(use_true_random=False))
def test_a_tree_falls_in_two_at_every_bond(n_atoms: int, random) -> None:
    tree = Chem.RWMol()
    for k in range(n_atoms):
        tree.AddAtom(Chem.Atom("C"))
        if k:
            tree.AddBond(random.randrange(k), k, Chem.BondType.SINGLE)
    for i, j in bond_pairs(tree).tolist():
        first, second = sides(tree, i, j)
        assert i in first
        assert j in second
        assert sorted(first + second) == list(range(n_atoms))


def test_cutting_leaves_the_molecule_as_it_was() -> None:
    ethane = parse_smiles("CC")
    assert cut(ethane, 0, 1).GetNumBonds() == 6
    assert ethane.GetNumBonds() == 7
