"""A data set holds what was labelled, each molecule and stereoisomer with its own geometry."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from label_runs import FEW

from e3d.chemistry.bonding import from_mapped_smiles, keeps_its_configuration
from e3d.chemistry.levels import METHODS
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.labels.label import label, label_molecules, read_sources
from e3d.labels.sampling import Sampling, sample
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE


def test_what_is_stored_is_what_was_labelled() -> None:
    molecule = label(sample("O", FEW), "gfn2")
    for frame, energy in zip(molecule.positions, molecule.energies, strict=True):
        bohr = (frame / ANGSTROM_PER_BOHR).astype(np.float32).astype(float)
        again, _ = METHODS["gfn2"](molecule.atomic_numbers, bohr)
        assert energy == pytest.approx(again * EV_PER_HARTREE, abs=1e-7)


def test_a_labelled_data_set_is_complete(labelled: Path) -> None:
    with Dataset(labelled) as dataset:
        molecules = list(dataset.usable())
        atoms = dataset.atomic_energies()
    assert [m.name for m in molecules] == ["C", "N", "O"]
    zero = atoms["O"] + 2 * atoms["H"]
    assert molecules[2].formation_energies[0] == pytest.approx(molecules[2].energies[0] - zero)
    assert [path.name for path in labelled.parent.iterdir()] == [labelled.name]


def test_a_data_set_is_labelled_anew_at_its_stored_geometries(
    labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again.h5"
    sources = read_sources(labelled)
    label_molecules(sources, "gfn2", out, n_workers=1, progress=False)
    with Dataset(labelled) as one, Dataset(out) as two:
        for first, second in zip(one, two, strict=True):
            np.testing.assert_allclose(first.energies, second.energies, atol=1e-7)
            np.testing.assert_array_equal(first.positions, second.positions)
        assert "taken as stored" in two.attributes["provenance"]


def torsion(molecule: Molecule) -> float:
    """Angle C-C=C-C of 2-butene in degrees, 0 to 180."""
    backbone = Atoms("C4", molecule.positions[0][:4])
    angle = backbone.get_dihedral(0, 1, 2, 3)
    return min(angle, 360 - angle)


def test_stereoisomers_are_two_molecules_each_with_its_geometry(tmp_path: Path) -> None:
    sources = read_sources("tests/cases/cis_trans.smi")
    assert sources == ["C/C=C\\C", "C/C=C/C"]
    assert read_sources("tests/cases/cis.smi") == sources[:1]
    out, still = tmp_path / "both.h5", Sampling(frames_per_temperature=0)
    label_molecules(["CO", *sources], "gfn2", out, settings=still, n_workers=1, progress=False)
    with Dataset(out) as dataset:
        found = {molecule.name: molecule for molecule in dataset.usable()}
    assert sorted(found) == ["C%2FC=C%2FC", "C%2FC=C\\C", "CO"]
    assert torsion(found["C%2FC=C\\C"]) == pytest.approx(0, abs=5)
    assert torsion(found["C%2FC=C%2FC"]) == pytest.approx(180, abs=5)
    assert found["C%2FC=C%2FC"].canonical_smiles == "CC=CC", "the split knows no stereoisomers"


def test_a_centre_keeps_its_hand() -> None:
    """Right- and left-handed: the sign of the volume that the four ligands span."""
    still, volumes = Sampling(frames_per_temperature=0), []
    for smiles in ("N[C@](F)(Cl)C", "N[C@@](F)(Cl)C"):
        molecule = sample(smiles, still)
        graph = from_mapped_smiles(molecule.smiles)
        (centre,) = (a for a in graph.GetAtoms() if a.GetDegree() == 4 and a.GetSymbol() == "C"
                     and {n.GetSymbol() for n in a.GetNeighbors()} >= {"F", "Cl"})  # fmt: skip
        ligands = {n.GetSymbol(): n.GetIdx() for n in centre.GetNeighbors()}
        at = molecule.positions[0] - molecule.positions[0][centre.GetIdx()]
        volumes.append(np.linalg.det(at[[ligands[e] for e in ("N", "F", "Cl")]]))
    assert np.sign(volumes[0]) == -np.sign(volumes[1])
    mirrored = molecule.positions[0] * [1, 1, -1]
    assert keeps_its_configuration(graph, molecule.positions[0])
    assert not keeps_its_configuration(graph, mirrored)
