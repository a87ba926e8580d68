"""Tables of the data chapter: thermal energies, conformations by temperature, counts by fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import units
from examples import labelled

from chapters import survey
from e3d.data.check import check_dataset
from e3d.data.writing import write_dataset
from e3d.files import sha256

KELVIN = 300


def conformations(n_atoms: int = 5) -> pd.DataFrame:
    """A molecule relaxed at −4 eV per atom, and a conformation of exactly ½ kT per mode above."""
    modes = 3 * n_atoms - 6
    excess = 0.5 * units.kB * KELVIN * modes / n_atoms
    rows = [("C", "train", "train", 0, -4.0), ("C", "train", "test", KELVIN, -4.0 + excess),
            ("O", "test", "test", 0, -3.0)]  # fmt: skip
    columns = ["smiles", "fold", "part", "temperature_K", "binding_eV_per_atom"]
    return pd.DataFrame(rows, columns=columns).assign(n_atoms=n_atoms)


def test_a_harmonic_oscillator_has_half_kt_per_mode() -> None:
    table = conformations()
    hot = survey.thermal_energies(table)
    assert hot["temperature_K"].tolist() == [KELVIN]
    assert hot["harmonic_fraction"].iloc[0] == pytest.approx(1.0)
    excess = 1000 * (table["binding_eV_per_atom"][1] - table["binding_eV_per_atom"][0])
    assert hot["meV_per_atom"].iloc[0] == pytest.approx(excess)


def test_two_atoms_have_no_share_per_mode() -> None:
    assert np.isnan(survey.thermal_energies(conformations(n_atoms=2))["harmonic_fraction"].iloc[0])


def test_conformations_by_temperature_begin_with_the_relaxed_ones() -> None:
    groups = survey.by_temperature(conformations().iloc[::-1], "binding_eV_per_atom")
    assert list(groups) == ["relaxed", "300 K"]
    assert sorted(groups["relaxed"]) == [-4.0, -3.0]


def test_folds_count_molecules_once_and_conformations_of_training_molecules_only() -> None:
    counts = survey.fold_counts(conformations())
    assert counts["molecules: train"] == counts["molecules: test"] == 1
    assert counts["molecules: validation"] == 0
    of = "conformations of training molecules"
    assert [counts[f"{of}: {part}"] for part in ("train", "validation", "test")] == [1, 0, 1]


def test_overview_names_the_file_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    water = labelled("O", energy=-10.0)
    two = replace(
        water,
        positions=np.repeat(water.positions, 2, axis=0),
        energies=np.repeat(water.energies, 2),
        forces=np.repeat(water.forces, 2, axis=0),
        formation_energies=np.repeat(water.formation_energies, 2),
        temperatures=np.array([0, KELVIN]),
    )
    zero = {"H": 0.0, "O": 0.0}
    write_dataset(path, [two], level_of_theory="none", atomic_energies=zero, provenance="a test")
    row = survey.overview(path, check_dataset(path))
    assert (row["molecules"], row["conformations"], row["passed over"]) == (1, 2, 0)
    assert row["license"] == "CC0-1.0"
    assert row["SHA-256"] == sha256(path)[:12]
