"""Radicals as training data: which there are, what they are called, and how they are drawn."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from tests.examples import labelled

from e3d.chemistry import bonding
from e3d.data.split import fold
from e3d.errors import E3DError
from e3d.labels import radicals
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
