"""The table of the study: which runs are in it, in which order, and what it says of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chapters import runs, study
from e3d.bde.references import KINDS
from e3d.errors import E3DError

RUNS = ["checkpoints/tune/tune-base", "checkpoints/tune/tune-width-32"]


def _folders(parent: Path, *names: str) -> Path:
    for name in names:
        (parent / name).mkdir(parents=True)
        (parent / name / "model.yaml").touch()
    return parent


def test_runs_of_several_folders_come_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    first = _folders(tmp_path / "study", "n10-s1", "n10-s0", "n10-s2", "n9-s0")
    more = _folders(tmp_path / "seeds", "n10-s10", "n10-s3")
    (more / "unfinished-s0").mkdir()
    found = study.checkpoint_folders([first, more])
    assert list(found) == ["n10-s0", "n10-s1", "n10-s2", "n10-s3", "n10-s10", "n9-s0"]
    assert found["n10-s10"] == more / "n10-s10"


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    parents = [_folders(tmp_path / name, "n10-s0") for name in ("a", "b")]
    with pytest.raises(E3DError, match="two runs are called n10-s0"):
        study.checkpoint_folders(parents)


def test_the_seed_is_no_part_of_the_family() -> None:
    assert study.family_and_seed("width-64-n10000-s12") == ("width-64-n10000", 12)
    assert study.family_and_seed("tune-base") == ("tune-base", 0)


def test_settings_are_listed_with_the_number_of_weights() -> None:
    table = study.settings_table(RUNS)
    assert table.loc["tune-base", "n_scalar_features"] == 64
    assert table.loc["tune-base", "n_weights"] > table.loc["tune-width-32", "n_weights"] > 1000


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
    settings = pd.DataFrame({**dict.fromkeys(study.SETTINGS, 1), "steps": 6000}, index=["a-s0"])
    table = study.study_table(
        models, runs.Measured(errors, pd.DataFrame(), known), broken, settings
    )
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
