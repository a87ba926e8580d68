"""Total energy alignment: a known shift per element comes back, held-out molecules have no say."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from examples import labelled

from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.split import fold
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels import alignment
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

#: eV; isolated atoms of DFT and of the cheap method, and by how much the latter are wrong.
DFT = {"H": -13.0, "C": -1030.0, "N": -1480.0, "O": -2040.0}
CHEAP = {"H": -11.0, "C": -50.0, "N": -70.0, "O": -100.0}
SHIFTS = {"H": 0.7, "C": -2.3, "N": 1.1, "O": -0.4}
TRAINING = ("C", "CCO", "C#N", "N", "O", "CC=O")
HELD_OUT = ("NN", "CNC")


def binding(positions: np.ndarray) -> float:
    """A binding energy in eV that tells geometries apart; positions (N, 3) in Å."""
    return -float(np.linalg.norm(positions - positions.mean(axis=0)))


def atoms(numbers: Iterable[int], energies: dict[str, float]) -> float:
    return sum(energies[chemical_symbols[z]] for z in numbers)


def molecule(smiles: str) -> Molecule:
    """A hot conformation, whose energy is absurd, before the relaxed one."""
    entry = labelled(smiles)
    bohr = (entry.positions[0] / ANGSTROM_PER_BOHR).astype(np.float32).astype(float)
    relaxed = bohr * ANGSTROM_PER_BOHR
    energy = binding(relaxed) + atoms(entry.atomic_numbers, DFT)
    return replace(
        entry, positions=np.stack([1.1 * relaxed, relaxed]), energies=np.array([999.0, energy]),
        formation_energies=np.zeros(2), forces=np.zeros((2, len(relaxed), 3)),
        temperatures=np.array([300, 0]),
    )  # fmt: skip


def write(path: Path, molecules: Sequence[Molecule]) -> Path:
    elements = {symbol for entry in molecules for symbol in entry.symbols}
    write_dataset(path, molecules, level_of_theory="made up", provenance="a test",
                  atomic_energies={e: DFT[e] for e in DFT if e in elements})  # fmt: skip
    return path


@pytest.fixture
def geometries(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The cheap method: exact, but for its atoms. What it was called with, in Å."""
    seen = []

    def cheap(numbers: np.ndarray, bohr: np.ndarray) -> tuple[float, np.ndarray]:
        seen.append(bohr * ANGSTROM_PER_BOHR)
        wrong = atoms(numbers, CHEAP) + atoms(numbers, SHIFTS)
        return (wrong + binding(seen[-1])) / EV_PER_HARTREE, np.zeros((len(numbers), 3))

    monkeypatch.setitem(alignment.METHODS, "cheap", cheap)
    monkeypatch.setattr(
        alignment, "isolated_atoms", lambda method, elements: {e: CHEAP[e] for e in elements}
    )
    return seen


def test_the_shift_of_every_element_is_recovered(tmp_path: Path, geometries: list) -> None:
    path = write(tmp_path / "dft.h5", [molecule(s) for s in TRAINING])
    found = alignment.fit_alignment([path], "cheap")
    assert found.shifts == pytest.approx(SHIFTS, abs=1e-7)
    assert found.energies == pytest.approx({e: CHEAP[e] + SHIFTS[e] for e in CHEAP}, abs=1e-7)
    np.testing.assert_allclose(found.residuals["residual_meV_per_atom"], 0, atol=1e-4)
    shifted = [atoms(molecule(s).atomic_numbers, SHIFTS) for s in found.residuals["molecule"]]
    excess = found.residuals["isolated_eV"] - found.residuals["dft_eV"]
    np.testing.assert_allclose(excess, shifted, atol=1e-7)


def test_relaxed_frames_alone_are_used(tmp_path: Path, geometries: list) -> None:
    entries = [molecule(s) for s in TRAINING]
    hot = replace(molecule("OO"), temperatures=np.array([300, 600]))  # has no relaxed frame
    found = alignment.fit_alignment([write(tmp_path / "dft.h5", [*entries, hot])], "cheap")
    assert set(found.residuals["molecule"]) == set(TRAINING)
    by_name = {entry.name: entry for entry in entries}
    for name, used in zip(found.residuals["molecule"], geometries, strict=True):
        np.testing.assert_allclose(used, by_name[name].positions[1], atol=1e-12)


def test_held_out_molecules_do_not_enter_the_zero(tmp_path: Path, geometries: list) -> None:
    """Their labels are wrong by 1 eV per atom, which only their residuals may show."""
    assert {fold(s) for s in HELD_OUT} == {"test"}
    assert {fold(s) for s in TRAINING} == {"train"}
    wrong = [
        replace(entry, energies=entry.energies - len(entry.atomic_numbers))
        for entry in map(molecule, HELD_OUT)
    ]
    path = write(tmp_path / "dft.h5", [*wrong, *map(molecule, TRAINING)])
    found = alignment.fit_alignment([path], "cheap")
    assert found.shifts == pytest.approx(SHIFTS, abs=1e-7)
    residuals = found.residuals.set_index("smiles")["residual_meV_per_atom"]
    np.testing.assert_allclose(residuals[list(HELD_OUT)], 1000, atol=1e-4)
    np.testing.assert_allclose(residuals[list(TRAINING)], 0, atol=1e-4)
    summary = alignment.residual_summary(found.residuals).set_index("fold")
    assert summary["n_molecules"].to_dict() == {"held out": len(HELD_OUT), "train": len(TRAINING)}
    assert summary.loc["held out", ["rmse", "median_abs"]].tolist() == pytest.approx([1000, 1000])
    assert summary.loc["train", "rmse"] == pytest.approx(0, abs=1e-4)


def test_a_molecule_of_several_files_counts_once_as_in_the_first(
    tmp_path: Path, geometries: list
) -> None:
    first = write(tmp_path / "first.h5", [molecule(s) for s in TRAINING])
    wrong = replace(molecule("CCO"), energies=np.zeros(2))
    second = write(tmp_path / "second.h5", [wrong, molecule("CC")])
    found = alignment.fit_alignment([first, second], "cheap")
    assert found.shifts == pytest.approx(SHIFTS, abs=1e-7)
    assert found.residuals["data_set"].tolist() == ["first"] * len(TRAINING) + ["second"]


@pytest.mark.parametrize("names", [
    ("C", "CC=O"),  # two compositions for three elements
    ("C", "CC", "C=C", "CNC"),  # nitrogen occurs in a held-out molecule alone
])  # fmt: skip
def test_shifts_that_are_not_determined_are_refused(
    tmp_path: Path, geometries: list, names: tuple[str, ...]
) -> None:
    path = write(tmp_path / "dft.h5", [molecule(s) for s in names])
    with pytest.raises(E3DError, match="do not determine a shift for each of"):
        alignment.fit_alignment([path], "cheap")


def test_the_summary_is_that_of_the_textbook() -> None:
    residuals = alignment.pd.DataFrame({
        "fold": ["train", "train", "train", "test"], "n_atoms": [2, 2, 2, 4],
        "dft_eV": [0.0, 0.0, 0.0, 0.0], "isolated_eV": [0.002, -0.002, 0.004, 0.008],
        "residual_meV_per_atom": [3.0, -4.0, 0.0, -5.0],
    })  # fmt: skip
    summary = alignment.residual_summary(residuals).set_index("fold")
    assert summary.loc["train"].tolist() == pytest.approx([3, np.sqrt(25 / 3), 3, np.sqrt(2)])
    assert summary.loc["held out"].tolist() == pytest.approx([1, 5, 5, 2])


def test_the_aligned_zero_is_stored_beside_the_isolated_atoms(tmp_path: Path) -> None:
    path = write(tmp_path / "cheap.h5", [molecule("C"), molecule("O")])
    with Dataset(path) as dataset:
        assert dataset.atomic_energies("aligned") == dataset.atomic_energies()
        before = {entry.name: entry.energies.tolist() for entry in dataset}
    alignment.write_alignment(path, CHEAP)
    with Dataset(path) as dataset:
        assert dataset.atomic_energies("aligned") == pytest.approx(CHEAP)
        isolated = {symbol: DFT[symbol] for symbol in ("H", "C", "O")}
        assert dataset.atomic_energies() == pytest.approx(isolated)
        assert {entry.name: entry.energies.tolist() for entry in dataset} == before
        stored = json.loads(dataset.attributes["atomic_energies_aligned"])
    assert stored["H"] == pytest.approx(CHEAP["H"] / EV_PER_HARTREE)


def test_an_element_without_aligned_energy_is_refused_and_nothing_written(tmp_path: Path) -> None:
    path = write(tmp_path / "cheap.h5", [molecule("CCO")])
    before = path.read_bytes()
    with pytest.raises(E3DError, match="no aligned energy for O;"):
        alignment.write_alignment(path, {"H": -11.0, "C": -50.0})
    assert path.read_bytes() == before
