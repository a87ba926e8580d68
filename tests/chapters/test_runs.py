"""One benchmark for many models: the same molecules for all, none of them trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from chapters import runs
from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.models.allegro import load_model
from e3d.training.evaluation import predict

DFT = "data/dft-small.h5"
RUNS = ["checkpoints/tune/tune-base", "checkpoints/tune/tune-width-32"]


@pytest.fixture(scope="module")
def measured() -> runs.Measured:
    benchmark = runs.Benchmark(DFT, n_test=5, parents=("CC", "[H][H]"))
    return runs.measure([(run, None) for run in RUNS], benchmark, n_workers=1, progress=False)


def test_errors_are_those_of_the_models_on_unseen_molecules(measured: runs.Measured) -> None:
    errors = measured.errors
    assert len(errors) == errors["molecule"].nunique() == 5
    assert {fold(smiles) for smiles in errors["smiles"]} == {"test"}
    model = load_model(RUNS[0])
    with Dataset(DFT) as dataset:
        for row in errors.to_dict("records"):
            molecule = dataset[row["molecule"]]
            frames = [Atoms(molecule.atomic_numbers, geometry) for geometry in molecule.positions]
            energies, forces = predict(model, frames)
            found = 1000 * np.abs(energies - molecule.energies) / len(frames[0])
            k = int(np.argmin(np.abs(found - row["energy:tune-base"])))
            assert row["energy:tune-base"] == pytest.approx(found[k], rel=1e-3)
            deviation = 1000 * np.abs(forces[k] - molecule.forces[k]).mean()
            assert row["forces:tune-base"] == pytest.approx(deviation, rel=1e-3)


def test_bonds_are_those_of_unseen_molecules_and_of_the_parents(measured: runs.Measured) -> None:
    bonds = measured.bonds
    trained_on = set(bonds.loc[bonds["fold"] == "train", "smiles"])
    assert trained_on <= {"CC", "[H][H]"}
    assert "CC" in set(bonds["smiles"])
    for run in RUNS:
        assert bonds[[f"bare:{Path(run).name}", f"dressed:{Path(run).name}"]].notna().all(axis=None)


def test_models_evaluated_in_separate_processes_give_the_same_tables(
    measured: runs.Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHUNK", 1)
    benchmark = runs.Benchmark(DFT, n_test=5, parents=("CC", "[H][H]"))
    apart = runs.measure([(run, None) for run in RUNS], benchmark, n_workers=2, progress=False)
    pd.testing.assert_frame_equal(apart.bonds, measured.bonds)
    pd.testing.assert_frame_equal(apart.errors, measured.errors)


def test_names_identify_the_weights() -> None:
    assert runs.run_name("checkpoints/study/n100-s0") == "n100-s0"
    assert runs.run_name(Path("n100-s0"), 30) == "n100-s0@30"
