"""Radicals as training data: which there are, what they are called, and how they are drawn."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import labelled

from e3d.chemistry import bonding
from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels import broken, radicals
from e3d.labels.fragments import unpaired_electrons
from e3d.labels.label import label
from e3d.labels.sampling import Sampling

SPECIES = [("[H]", 1), ("C", 0), ("[CH3]", 1), ("C[O]", 1)]


def species_file(path):
    images = []
    for smiles, unpaired in SPECIES:
        graph = bonding.parse_smiles(smiles)
        numbers = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
        positions = bonding.embed(graph, seed=0) if len(numbers) > 1 else np.zeros((1, 3))
        info = {"smiles": smiles, "unpaired": unpaired, "energy_eV": -1.0, "spin_square": 0.75}
        images.append(Atoms(numbers, positions, info=info))
    ase.io.write(path, images, format="extxyz")
    return path


def test_relaxed_radicals_are_the_doublets_besides_the_hydrogen_atom(tmp_path):
    found = radicals.relaxed_radicals(species_file(tmp_path / "species.xyz"))
    assert [entry.name for entry in found] == ["[CH3]", "C[O]"]
    for entry in found:
        assert entry.subset == "relaxed"
        assert unpaired_electrons(entry.smiles) == 1
        graph = bonding.from_mapped_smiles(entry.smiles)
        assert bonding.keeps_its_bonds(graph, entry.positions[0])
    with pytest.raises(E3DError, match="make pull"):
        radicals.relaxed_radicals(tmp_path / "none.xyz")


def test_displaced_radicals_keep_their_bonds_and_differ_from_the_minimum(tmp_path):
    methyl = radicals.relaxed_radicals(species_file(tmp_path / "species.xyz"))[0]
    moved = radicals.displaced(methyl, Sampling((300, 600), 2, 5))
    assert moved is not None
    assert moved.subset == "displaced"
    assert moved.temperatures.tolist() == [300, 300, 600, 600]
    assert (np.abs(moved.positions - methyl.positions).max(axis=(1, 2)) > 1e-3).all()


def test_labels_of_a_radical_have_the_spin_of_its_smiles():
    methyl = labelled("[CH3]")
    assert label(methyl, "gfn2").energies[0] > label(labelled("C"), "gfn2").energies[0]
    assert unpaired_electrons(methyl.smiles) == 1


def test_frozen_radicals_stand_where_they_stand_in_the_molecule():
    assert fold("CCO") == "train"
    ethanol = labelled("CCO")
    found = list(radicals.frozen_radicals([ethanol]))
    names = ("[CH3]", "[CH2]O", "[CH2]C", "[OH]", "[CH2]CO", "C[CH]O", "CC[O]")
    assert {entry.name for entry in found} == {f"{name} in CCO" for name in names}
    for entry in found:
        distances = np.linalg.norm(ethanol.positions[0][:, None] - entry.positions[0], axis=-1)
        assert np.allclose(distances.min(axis=0), 0)
        assert (ethanol.atomic_numbers[distances.argmin(axis=0)] == entry.atomic_numbers).all()


def test_no_radical_of_a_held_out_molecule_is_made():
    held_out = next(s for s in ("CCCO", "CCN", "CNC", "COC", "CC=O", "CCC", "CC#N", "CCCN", "OCCO")
                    if fold(s) != "train")  # fmt: skip
    assert list(radicals.frozen_radicals([labelled(held_out)])) == []


def radical_set(path):
    entries = [
        replace(labelled(smiles), subset=kind, name=name)
        for smiles, kind, name in (
            ("[CH3]", "relaxed", "[CH3]"),
            ("C[O]", "relaxed", "C[O]"),
            ("[CH3]", "frozen", "[CH3] in CC"),
        )
    ]
    write_dataset(path, entries, level_of_theory="test", provenance="test",
                  atomic_energies={"H": -13.6, "C": -1030.0, "O": -2042.0})  # fmt: skip
    return path


def test_a_training_set_holds_the_kinds_asked_for_of_the_training_fold(tmp_path):
    source = radical_set(tmp_path / "all.h5")
    expected = sum(fold(s) == "train" for s in ("[CH3]", "C[O]"))
    assert broken.write_set(tmp_path / "relaxed.h5", [source], ["relaxed"]) == expected
    with Dataset(tmp_path / "relaxed.h5") as dataset:
        assert all(fold(entry.smiles) == "train" for entry in dataset)
        assert dataset.atomic_energies()["C"] == pytest.approx(-1030.0)
    with pytest.raises(E3DError, match="no radical of the training fold"):
        broken.write_set(tmp_path / "none.h5", [source], ["displaced"])
    assert not (tmp_path / "none.h5").exists()


@given(st.integers(1, 5), st.integers(0, 100))
def test_a_smaller_draw_is_a_part_of_a_larger_one(n, seed):
    entries = [
        replace(
            MANY, name=f"radical {k}", positions=np.repeat(MANY.positions, 2, axis=0) + k,
            energies=np.array([2.0 * k, 2.0 * k + 1]), formation_energies=np.zeros(2),
            forces=np.zeros((2, *MANY.positions.shape[1:])), temperatures=np.zeros(2, dtype=int),
        )
        for k in range(3)
    ]  # fmt: skip

    def drawn(count):
        return {
            energy for entry in broken.draw(entries, count, seed=seed) for energy in entry.energies
        }

    assert len(drawn(n)) == n
    assert drawn(n) < drawn(n + 1)
    assert len(drawn(0)) == 6
    with pytest.raises(E3DError, match="7 conformations of radicals wanted, 6 there"):
        drawn(7)


MANY = labelled("[CH3]")
