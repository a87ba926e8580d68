"""The contents of a data set: every usable conformation and bond is counted, in the right fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import labelled

from chapters import survey
from e3d.data.molecule import Molecule
from e3d.data.split import assert_no_leak, conformation_folds, fold, split_table
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels.alignment import Alignment

ISOLATED = {"H": -13.0, "C": -1030.0, "N": -1480.0, "O": -2040.0}
ALIGNED = {symbol: energy - 1.0 for symbol, energy in ISOLATED.items()}
HELD_OUT = "NN"


def molecule(smiles: str, n_frames: int = 3, binding: float = -4.0) -> Molecule:
    """Frames at `binding` eV per atom below the aligned zero; the first is the relaxed one."""
    entry = labelled(smiles)
    n_atoms = len(entry.atomic_numbers)
    zero = sum(ALIGNED[symbol] for symbol in entry.symbols)
    forces = np.zeros((n_frames, n_atoms, 3))
    forces[:, 0, 0] = np.arange(n_frames)  # eV/Å, on one component
    return replace(
        entry, positions=np.repeat(entry.positions, n_frames, axis=0),
        energies=np.full(n_frames, zero + binding * n_atoms), forces=forces,
        formation_energies=np.zeros(n_frames), temperatures=np.array([0, *[300] * (n_frames - 1)]),
    )  # fmt: skip


def write(path: Path, *molecules: Molecule) -> Path:
    write_dataset(path, molecules, level_of_theory="made up", provenance="a test",
                  atomic_energies=ISOLATED, aligned=ALIGNED)  # fmt: skip
    return path


@pytest.fixture
def tables(tmp_path: Path) -> survey.Survey:
    return survey.survey(
        write(tmp_path / "some.h5", molecule("CCO", 40), molecule("C"), molecule(HELD_OUT))
    )


def test_every_conformation_has_a_row_relative_to_the_aligned_zero(tables: survey.Survey) -> None:
    rows = tables.conformations
    assert rows["smiles"].value_counts().to_dict() == {"CCO": 40, "C": 3, HELD_OUT: 3}
    np.testing.assert_allclose(rows["binding_eV_per_atom"], -4)
    of_methane = rows[rows["smiles"] == "C"]
    assert of_methane["temperature_K"].tolist() == [0, 300, 300]
    assert set(of_methane["n_atoms"]) == {5}
    expected = np.arange(3) / np.sqrt(15)  # one of fifteen components
    np.testing.assert_allclose(of_methane["rms_force_eV_per_A"], expected, rtol=1e-6)


def test_parts_and_folds_are_those_of_the_split(tables: survey.Survey) -> None:
    rows = tables.conformations
    ethanol = rows[rows["smiles"] == "CCO"]
    assert set(ethanol["fold"]) == {"train"}
    assert ethanol["part"].tolist() == conformation_folds(molecule("CCO", 40))
    assert set(ethanol["part"]) == {"train", "validation", "test"}, "forty frames have them all"
    held_out = rows[rows["smiles"] == HELD_OUT]
    assert set(held_out["fold"]) == set(held_out["part"]) == {"test"}


def test_bonds_are_counted_by_class(tables: survey.Survey) -> None:
    bonds = tables.bonds.set_index("class")
    assert bonds.loc["C-H"].tolist() == [9, 2, 2]  # bonds, molecules, training molecules
    assert bonds.loc["C-C"].tolist() == [1, 1, 1]
    assert bonds.loc["N-N"].tolist() == [1, 1, 0]
    assert bonds.loc["H-N"].tolist() == [4, 1, 0]
    assert tables.bonds["n_molecules"].is_monotonic_decreasing


def test_a_missing_temperature_is_minus_one(tmp_path: Path) -> None:
    found = survey.survey(write(tmp_path / "x.h5", replace(molecule("C"), temperatures=None)))
    assert found.conformations["temperature_K"].tolist() == [-1, -1, -1]


def test_folds_in_use_reveal_a_leak(tables: survey.Survey) -> None:
    used = survey.folds_in_use(tables.conformations)
    assert used == {smiles: fold(smiles) for smiles in ("CCO", "C", HELD_OUT)}
    listed = split_table({"some": used})
    assert_no_leak(listed, {"some": used})
    trained = tables.conformations["smiles"].eq(HELD_OUT) & tables.conformations.index.isin([44])
    leaking = tables.conformations.assign(part=tables.conformations["part"].mask(trained, "train"))
    with pytest.raises(E3DError, match=f"leak: {HELD_OUT} of some is used for train"):
        assert_no_leak(listed, {"some": survey.folds_in_use(leaking)})


def test_residuals_are_those_of_the_molecules_with_a_class(tmp_path: Path) -> None:
    path = write(tmp_path / "dft.h5", molecule("CCO"), molecule("CC"), molecule("C"))
    residuals = pd.DataFrame({"smiles": ["CCO", "CC", "C"], "residual_meV_per_atom": [1.0, 3, 8]})
    found = survey.residuals_by_class(Alignment({}, {}, residuals), [path]).set_index("class")
    assert set(found.index) == {"C-C", "C-H", "C-O", "H-O"}
    assert found.loc["C-C"].tolist() == [2, 2.0, 8.0]
    assert found.loc["C-O"].tolist() == [1, 1.0, 5.5]
    assert found.loc["C-H", "n_molecules"] == 3
    assert np.isnan(found.loc["C-H", "median_without"])
