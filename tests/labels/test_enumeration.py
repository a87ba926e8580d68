"""The molecules of the bulk data set: valid, neutral, distinct, repeatable."""

import pytest
from rdkit import Chem

from e3d.errors import E3DError
from e3d.labels.enumeration import _FORBIDDEN, MINOR, attachments, closures, enumerate_molecules

KNOWN = {
    "C", "N", "O", "CC", "C=C", "C#C", "CO", "C=O", "CN", "C=N", "C#N", "NN", "OO", "NO", "CCO",
    "COC", "CC=O", "C=C=C", "C1CC1", "CC#N", "CCC", "C=CC", "C#CC", "N=C=O", "NC=O", "O=CO",
}  # fmt: skip


@pytest.fixture(scope="module")
def molecules() -> list[str]:
    return enumerate_molecules(80, max_heavy_atoms=3, minor_fraction=0.25, seed=5)


def test_small_molecules_are_all_there() -> None:
    found = enumerate_molecules(66, max_heavy_atoms=3, minor_fraction=0.0, seed=0)
    assert set(found) >= KNOWN, sorted(KNOWN - set(found))


def test_molecules_are_distinct_canonical_neutral_and_closed_shell(molecules: list[str]) -> None:
    assert len(molecules) == len(set(molecules)) == 80
    for smiles in molecules:
        molecule = Chem.MolFromSmiles(smiles)
        assert Chem.MolToSmiles(molecule) == smiles
        assert all(a.GetFormalCharge() == 0 for a in molecule.GetAtoms())
        assert all(a.GetNumRadicalElectrons() == 0 for a in molecule.GetAtoms())
        assert molecule.GetNumAtoms() <= 3
        assert len(Chem.GetMolFrags(molecule)) == 1
        assert not any(molecule.HasSubstructMatch(pattern) for pattern in _FORBIDDEN)


def test_minor_elements_have_their_share(molecules: list[str]) -> None:
    minor = [s for s in molecules
             if any(a.GetSymbol() in MINOR for a in Chem.MolFromSmiles(s).GetAtoms())]  # fmt: skip
    assert len(minor) == 20


def test_small_molecules_come_first(molecules: list[str]) -> None:
    sizes = [Chem.MolFromSmiles(s).GetNumAtoms() for s in molecules]
    assert sizes == sorted(sizes)


def test_the_list_depends_on_the_seed_alone(molecules: list[str]) -> None:
    again = enumerate_molecules(80, max_heavy_atoms=3, minor_fraction=0.25, seed=5)
    assert again == molecules
    other = enumerate_molecules(80, max_heavy_atoms=3, minor_fraction=0.25, seed=6)
    assert other != molecules


def test_moves_add_one_atom_or_remove_two_hydrogens() -> None:
    assert set(attachments("CO", ("C",))) == {"CCO", "COC"}
    assert set(closures("CCC")) == {"C=CC", "C1CC1"}
    assert set(closures("C#C")) <= {"C$C"}


def test_asking_for_too_many_is_refused() -> None:
    with pytest.raises(E3DError, match="raise max_heavy_atoms or beam"):
        enumerate_molecules(10_000, max_heavy_atoms=2, minor_fraction=0.1, seed=0)
