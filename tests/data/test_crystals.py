"""Periodic structures as data: cells are kept, bonds cross faces, training sees every neighbour."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from tests.examples import random_model

from e3d.chemistry import bonding
from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule, conformations
from e3d.data.writing import write_dataset
from e3d.decomposition.tables import bond_table
from e3d.errors import E3DError
from e3d.labels import silica
from e3d.labels.alignment import isolated_atoms
from e3d.models.pair import design_rows, spline_knots
from e3d.training.data import SpiceSplit

CUTOFF_A = 4.0


def crystal(name: str = "sodalite", n: int = 2) -> Molecule:
    """A structure of silica with labels that are not those of any method, wrapped into its cell."""
    atoms = silica.STRUCTURES[name]()
    graph, _ = silica.bonded(atoms)
    atoms.wrap()
    rng = np.random.default_rng(0)
    positions = atoms.positions + rng.normal(scale=0.02, size=(n, len(atoms), 3))
    per_atom = isolated_atoms("gfn2", ["H", "O", "Si"])
    energies = np.full(n, sum(per_atom[symbol] for symbol in atoms.symbols) - 5.0 * len(atoms))
    return Molecule(
        name, "inorganic", bonding.mapped_smiles(graph), atoms.numbers, positions, energies,
        energies, rng.normal(scale=0.1, size=positions.shape), np.array([0, 300] * n)[:n],
        np.array([(1 + 0.01 * k) * atoms.cell.array for k in range(n)]),
    )  # fmt: skip


def written(path: Path, *entries: Molecule) -> Path:
    write_dataset(path, entries, level_of_theory="GFN2-xTB", provenance="a test",
                  atomic_energies=isolated_atoms("gfn2", ["C", "H", "O", "Si"]))  # fmt: skip
    return path


def water() -> Molecule:
    positions = np.array([[[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]]])
    atoms = isolated_atoms("gfn2", ["H", "O"])
    energies = np.array([2 * atoms["H"] + atoms["O"] - 10.0])
    return Molecule("water", "", "[O:1]([H:2])[H:3]", np.array([8, 1, 1]), positions, energies,
                    energies, np.zeros((1, 3, 3)), np.array([0]))  # fmt: skip


def test_cells_are_kept_and_bonds_across_a_face_fit(tmp_path):
    stored = crystal()
    path = written(tmp_path / "silica.h5", stored)
    with Dataset(path) as dataset:
        found = list(dataset.usable())
        assert not dataset.left_out.reasons
    np.testing.assert_allclose(found[0].cells, stored.cells)
    assert found[0].select(np.array([1])).cells.shape == (1, 3, 3)
    images = list(conformations(found))
    assert images[0].pbc.all()
    np.testing.assert_allclose(images[1].cell.array, stored.cells[1])
    report = check_dataset(path)
    assert report.ok, report
    # without its cell the same structure is torn at the faces
    with h5py.File(path, "a") as file:
        del file["sodalite/cell"]
    with Dataset(path) as dataset:
        assert not list(dataset.usable())


def test_a_cell_of_another_shape_or_unit_is_refused(tmp_path):
    path = written(tmp_path / "silica.h5", crystal())
    with h5py.File(path, "a") as file:
        file["sodalite/cell"].attrs["units"] = "angstrom"
    with Dataset(path) as dataset, pytest.raises(E3DError, match=r"'cell'.*expected 'bohr'"):
        dataset["sodalite"]
    with h5py.File(path, "a") as file:
        del file["sodalite/cell"]
        file["sodalite/cell"] = np.eye(3)
        file["sodalite/cell"].attrs["units"] = "bohr"
    with Dataset(path) as dataset, pytest.raises(E3DError, match=r"'cell'.*expected \(2, 3, 3\)"):
        dataset["sodalite"]


def test_training_sees_the_neighbours_of_crystals_and_molecules_together(tmp_path):
    solid, molecule = crystal(), water()
    path = written(tmp_path / "both.h5", solid, molecule)
    frames = SpiceSplit([str(path)], "train", CUTOFF_A)
    assert len(frames) >= 2
    sizes = set()
    for frame in frames[:]:
        assert {"cell", "pbc", "edge_cell_shift"} <= set(frame)
        positions = frame["pos"].numpy()
        atoms = Atoms(np.ones(len(positions)), positions, cell=frame["cell"].numpy()[0],
                      pbc=frame["pbc"].numpy().ravel().tolist())  # fmt: skip
        assert frame["edge_index"].shape[1] == len(neighbor_list("i", atoms, CUTOFF_A))
        sizes.add(len(atoms))
    assert sizes == {3, 36}
    alone = SpiceSplit([str(written(tmp_path / "one.h5", molecule))], "train", CUTOFF_A)
    assert "cell" not in alone[0]


def test_bond_energies_of_a_crystal_do_not_depend_on_where_it_is_cut(tmp_path):
    model = random_model(type_names=["H", "O", "Si"], avg_num_neighbors=10.0,
                         per_type_energy_scales=1.0, per_type_energy_shifts=0.0)  # fmt: skip
    solid = crystal(n=1)
    moved = replace(solid, positions=solid.positions + np.array([1.3, 2.1, -0.7]))
    wrapped = next(conformations([moved]))
    wrapped.wrap()
    tables = [bond_table({"a": model}, [one])
              for one in (solid, replace(moved, positions=wrapped.positions[None]))]  # fmt: skip
    assert len(tables[0]) == 48
    for column in ("length_A", "bare:a", "dressed:a"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], atol=1e-9)
    assert tables[0]["length_A"].max() < 1.8


def test_the_pair_potential_refuses_a_crystal():
    with pytest.raises(E3DError, match="sodalite: the pair potential"):
        design_rows(crystal(), spline_knots(0.5, 4.0, 0.2))
