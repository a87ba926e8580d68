"""One benchmark for many models: the same molecules for all, none of them trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from chapters import runs
from e3d.bde.references import KINDS
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


def test_settings_are_listed_with_the_number_of_weights() -> None:
    table = runs.settings_table(RUNS)
    assert table.loc["tune-base", "n_scalar_features"] == 64
    assert table.loc["tune-base", "n_weights"] > table.loc["tune-width-32", "n_weights"] > 1000


def test_names_identify_the_weights() -> None:
    assert runs.run_name("checkpoints/study/n100-s0") == "n100-s0"
    assert runs.run_name(Path("n100-s0"), 30) == "n100-s0@30"


def test_the_study_table_has_results_of_every_step_and_settings_of_its_run() -> None:
    models = {"a-s0": ("checkpoints/a-s0", None), "a-s0@10": ("checkpoints/a-s0", 10)}
    errors = pd.DataFrame({
        "molecule": ["A", "B"], "energy:a-s0": [1.0, 3.0], "energy:a-s0@10": [5.0, 7.0],
        "forces:a-s0": [10.0, 20.0], "forces:a-s0@10": [30.0, 50.0],
    })  # fmt: skip
    known = pd.DataFrame({"order_bits": [0.4, 0.3, 0.5]}, index=["a-s0", "a-s0@10", "length"])
    reference = np.array([80.0, 100.0, 110.0])
    broken = pd.DataFrame({
        KINDS["De"]: reference, "a-s0": reference - 4.0, "a-s0@10": 100.0 - 0.5 * reference,
    })  # fmt: skip
    settings = pd.DataFrame({**dict.fromkeys(runs.SETTINGS, 1), "steps": 6000}, index=["a-s0"])
    table = runs.study_table(models, runs.Measured(errors, pd.DataFrame(), known), broken, settings)
    assert table.index.to_list() == ["a-s0", "a-s0@10"]
    assert table["run"].eq("a-s0").all()
    assert table["step"].to_list() == [6000, 10]
    assert table["energy_mae_meV_per_atom"].to_list() == [2.0, 6.0]
    assert table["forces_mae_meV_per_A"].to_list() == [15.0, 40.0]
    assert table["bde_mae_kcal_per_mol"].iloc[0] == pytest.approx(4.0)
    assert table["bde_deviation_kcal_per_mol"].iloc[0] == pytest.approx(-4.0)
    assert table["bde_spearman"].to_list() == pytest.approx([1.0, -1.0])
    assert table["bde_slope"].to_list() == pytest.approx([1.0, -0.5])
    assert table["order_bits"].to_list() == [0.4, 0.3]
