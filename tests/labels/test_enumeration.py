"""The molecules of the bulk data sets: valid, neutral, distinct, repeatable, none held out."""

from pathlib import Path

import pytest
from examples import labelled
from rdkit import Chem

from e3d.data.split import fold
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels.enumeration import (
    _FORBIDDEN,
    MINOR,
    attachments,
    bulk_molecules,
    closures,
    draw_for_training,
    enumerate_molecules,
)

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


POOL = ["C", "CC", "CCO", "O", "N", "C#N", "CNC", "NN", "N#N", "NO"]


def test_training_draws_keep_held_out_molecules_out() -> None:
    held_out = [smiles for smiles in POOL if fold(smiles) != "train"]
    assert len(held_out) == 4, "or the draw of all others shows nothing"
    drawn = draw_for_training(POOL, len(POOL) - len(held_out), [], seed=0)
    assert set(drawn) == set(POOL) - set(held_out)
    assert drawn == sorted(drawn, key=lambda s: (len(s), s))
    with pytest.raises(E3DError, match="asked for 7 molecules of the training fold, 6 remain"):
        draw_for_training(POOL, 7, [], seed=0)


def test_training_draws_leave_out_what_files_hold(tmp_path: Path) -> None:
    table, data = tmp_path / "known.csv", tmp_path / "known.h5"
    table.write_text("smiles\nOCC\n")  # not canonical
    write_dataset(data, [labelled("C")], level_of_theory="made up", provenance="a test",
                  atomic_energies={"H": 0.0, "C": 0.0})  # fmt: skip
    drawn = draw_for_training(POOL, 4, [table, data], seed=0)
    assert set(drawn) == {"CC", "O", "N", "C#N"}
    with pytest.raises(E3DError, match="4 remain"):
        draw_for_training(POOL, 5, [table, data], seed=0)


def test_training_draws_depend_on_the_seed_alone() -> None:
    draws = [draw_for_training(pool, 3, [], seed=seed)
             for pool, seed in ((POOL, 1), (POOL[::-1], 1), (POOL, 2))]  # fmt: skip
    assert draws[0] == draws[1] != draws[2]


def test_bulk_molecules_hold_the_required_ones(tmp_path: Path) -> None:
    table = tmp_path / "reference.csv"
    table.write_text("smiles\nOCCO\nC\n")
    found = bulk_molecules(15, [table], max_heavy_atoms=2, minor_fraction=0.0, seed=0)
    assert len(found) == 16
    assert found[-1] == "OCCO"
    assert found == sorted(found, key=lambda s: (len(s), s))
