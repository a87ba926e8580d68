"""Reading and writing data sets: units, refusals, laziness, and what is passed over."""

import dataclasses
import json
import re
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.units import Bohr, Hartree

from e3d.chemistry.bonding import canonical_smiles
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.errors import E3DError

DFT = Path("data/dft-small.h5")
ATOMS = {"H": -13.6, "C": -1030.0, "O": -2044.0}


def water(name: str = "water", n_conformations: int = 3) -> Molecule:
    """Molecule with random labels, for reading and writing only."""
    rng = np.random.default_rng(7)
    geometry = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    return Molecule(
        name=name,
        subset="test",
        smiles="[O:1]([H:2])[H:3]",
        atomic_numbers=np.array([8, 1, 1]),
        positions=geometry + 0.05 * rng.normal(size=(n_conformations, 3, 3)),
        energies=-2080.0 + rng.normal(size=n_conformations),
        formation_energies=np.zeros(n_conformations),
        forces=rng.normal(size=(n_conformations, 3, 3)),
        temperatures=np.array([0, 300, 600] * n_conformations)[:n_conformations],
    )


def write(path: Path, *molecules: Molecule) -> Path:
    write_dataset(
        path, molecules, level_of_theory="test", atomic_energies=ATOMS, provenance="a test"
    )
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "data.h5", water())


def test_units_are_converted_once_on_reading(file: Path) -> None:
    with h5py.File(file) as raw, Dataset(file) as dataset:
        molecule, group = dataset["water"], raw["water"]
        np.testing.assert_allclose(molecule.positions, group["conformations"][:] * Bohr)
        np.testing.assert_allclose(molecule.energies, group["dft_total_energy"][:] * Hartree)
        np.testing.assert_allclose(
            molecule.forces, -group["dft_total_gradient"][:] * (Hartree / Bohr), rtol=1e-6
        )


def test_written_molecules_read_back_the_same(file: Path) -> None:
    original = water()
    with Dataset(file) as dataset:
        (molecule,) = dataset
    assert (molecule.name, molecule.subset, molecule.smiles) == ("water", "test", original.smiles)
    np.testing.assert_allclose(molecule.positions, original.positions, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(molecule.energies, original.energies, rtol=0, atol=1e-10)
    np.testing.assert_allclose(molecule.forces, original.forces, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(molecule.temperatures, original.temperatures)
    zero = ATOMS["O"] + 2 * ATOMS["H"]
    np.testing.assert_allclose(molecule.formation_energies, original.energies - zero, atol=1e-9)


def test_aligned_zero_falls_back_to_the_isolated_atoms(file: Path) -> None:
    with Dataset(file) as dataset:
        assert dataset.atomic_energies() == pytest.approx(ATOMS)
        assert dataset.atomic_energies("aligned") == pytest.approx(ATOMS)
        with pytest.raises(E3DError, match="unknown zero 'alinged'"):
            dataset.atomic_energies("alinged")


def test_the_projects_data_read_as_described() -> None:
    with Dataset(DFT) as dataset:
        molecules = list(dataset.usable())
        assert not dataset.skipped
    assert len(molecules) == 95
    assert sum(map(len, molecules)) == 922
    methane = next(m for m in molecules if m.name == "C")
    assert methane.temperatures is not None
    assert methane.temperatures[0] == 0
    # atomisation energy of methane: 420 kcal/mol = 18.2 eV, an experimental fact
    assert methane.formation_energies[0] == pytest.approx(-18.2, abs=0.2)


def damage(file: Path, key: str, values: np.ndarray | None, units: str | None = None) -> None:
    """Replace field `key` of water; keep its units unless others are given."""
    with h5py.File(file, "r+") as raw:
        group = raw["water"]
        units = units or group[key].attrs.get("units")
        del group[key]
        if values is not None:
            group[key] = values
            if units:
                group[key].attrs["units"] = units


BAD = np.full(3, -76.0)
BAD[1] = np.nan
REFUSALS = {
    "missing field": ("formation_energy", None, None, "field 'formation_energy' is missing"),
    "missing smiles": ("smiles", None, None, "field 'smiles' is missing"),
    "wrong unit": ("dft_total_energy", np.zeros(3), "eV", "has units 'eV', expected 'hartree'"),
    "wrong shape": (
        "dft_total_gradient",
        np.zeros((3, 2, 3)),
        None,
        "has shape (3, 2, 3), expected (3, 3, 3)",
    ),
    "too few energies": ("dft_total_energy", np.zeros(2), None, "shape (2,), expected (3,)"),
    "not finite": ("dft_total_energy", BAD, None, "not finite in 1 conformations, the first is"),
    "unknown element": ("atomic_numbers", np.array([8, 1, 119]), None, "atomic number 119"),
    "fractional element": ("atomic_numbers", np.array([8.0, 1, 1]), None, "expected integers"),
    "text for numbers": ("formation_energy", np.array([b"a"] * 3), None, "expected numbers"),
    "no temperatures": ("temperature", np.zeros(2), None, "field 'temperature' has shape (2,)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_name_file_molecule_and_cause(file: Path, case: str) -> None:
    key, values, units, message = REFUSALS[case]
    damage(file, key, values, units)
    with Dataset(file) as dataset, pytest.raises(E3DError, match=re.escape(message)) as caught:
        list(dataset)
    assert str(file) in str(caught.value)
    assert "'water'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_units_are_refused(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        del raw["water/conformations"].attrs["units"]
    with Dataset(file) as dataset, pytest.raises(E3DError, match="has no units, expected 'bohr'"):
        list(dataset)


def test_an_unparsable_smiles_is_refused_with_its_place(file: Path) -> None:
    damage(file, "smiles", np.array([b"[O:1"], dtype=object))
    with Dataset(file) as dataset, pytest.raises(E3DError, match=r"data\.h5, molecule 'water'"):
        list(dataset.usable())


def test_a_truncated_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(E3DError, match="truncated or not HDF5"):
        Dataset(file)


def test_a_file_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not HDF5")
    for path, message in {
        "text.h5": "not HDF5",
        "absent.h5": "does not exist",
        ".": "is a folder",
    }.items():
        with pytest.raises(E3DError, match=message):
            Dataset(tmp_path / path)


def test_charged_foreign_and_steep_conformations_are_skipped_and_counted(tmp_path: Path) -> None:
    ion = dataclasses.replace(water("ion"), smiles="[O:1]([H:2])[H:3].[Na+]")
    steep = water("steep")
    steep.forces[1, 0, 0] = 1.01 * Hartree / Bohr
    foreign = dataclasses.replace(water("foreign"), atomic_numbers=np.array([8, 1, 1]))
    path = write(tmp_path / "data.h5", ion, steep, foreign)
    with h5py.File(path, "r+") as raw:
        raw["foreign/atomic_numbers"][1] = 11
    with Dataset(path) as dataset:
        (molecule,) = dataset.usable()
        assert molecule.name == "steep"
        assert len(molecule) == 2
        expected = {
            "charged": 3,
            "element outside the model's types": 3,
            "gradient beyond 1 hartree/bohr": 1,
        }
        assert dataset.skipped == expected
        list(dataset.usable())
        assert dataset.skipped == expected, "a second pass must not count twice"


def test_reading_is_lazy(tmp_path: Path) -> None:
    """60 molecules of 2,000 conformations (26 MB as read): one or two at a time are held."""
    path = tmp_path / "large.h5"
    write(path, water("m0", 2000))
    with h5py.File(path, "r+") as raw:
        for k in range(1, 60):
            raw.copy("m0", f"m{k}")
    with Dataset(path) as dataset:
        arrays = vars(dataset["m0"]).values()
        size = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        tracemalloc.start()
        count = sum(len(molecule) for molecule in dataset.usable())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 120_000
    assert peak < 8 * size  # a molecule, the next one, and what converting it takes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energies": np.array([np.nan, 0, 0])}, "is not finite"),
        ({"atomic_numbers": np.array([8, 1, 9])}, "no isolated-atom energy for F"),
    ],
)
def test_writing_refuses_and_leaves_the_old_file(file: Path, change: dict, message: str) -> None:
    before = file.read_bytes()
    with pytest.raises(E3DError, match=message):
        write(file, water("good"), dataclasses.replace(water("bad"), **change))
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_writing_refuses_a_name_given_twice_and_nothing_at_all(file: Path) -> None:
    with pytest.raises(E3DError, match="'water' is given twice"):
        write(file, water(), water())
    with pytest.raises(E3DError, match="no molecule to write"):
        write(file)


def test_malformed_atomic_energies_are_refused(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw.attrs["atomic_energies"] = json.dumps([1, 2])
    with Dataset(file) as dataset, pytest.raises(E3DError, match="is not JSON of element symbol"):
        dataset.atomic_energies()


@pytest.mark.parametrize(
    "spellings",
    [
        ("CCO", "OCC", "[H]OC([H])([H])C([H])([H])[H]", "[CH3:3][CH2:1][OH:2]"),
        ("c1ccccc1", "C1=CC=CC=C1"),
        ("C/C=C/C", "C/C=C\\C", "CC=CC"),
        ("[H][H]", "[H:1][H:2]"),
    ],
)
def test_canonical_smiles_is_the_same_for_every_spelling(spellings: tuple[str, ...]) -> None:
    canonical = {canonical_smiles(s) for s in spellings}
    assert len(canonical) == 1
    assert canonical_smiles(*canonical) in canonical
