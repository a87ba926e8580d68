"""Tables of the training chapter: trials, test errors, growth with data, what an aim takes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from chapters import training
from e3d.training import evaluation

SETTINGS = {
    "dataset": "data/some.h5", "optimizer": "muon", "learning_rate": 0.03, "energy_weight": 10.0,
    "batch_size": 16, "steps": 1000, "n_scalar_features": 64, "n_tensor_features": 16, "l_max": 1,
    "n_layers": 2, "cutoff_A": 4.0,
}  # fmt: skip


def run(error: float, **changes: object) -> training.Run:
    """A run whose last validation gives `error` (eV) for everything, the ones before twice that."""
    history = pd.DataFrame({"step": [10, 20, 30]} | {c: [2 * error, error, np.nan]
                                                     for c in training.VALIDATION})  # fmt: skip
    return training.Run(SETTINGS | changes, history)


def residuals(error: float, molecules: str = "aab") -> pd.DataFrame:
    return pd.DataFrame({"molecule": list(molecules)} | dict.fromkeys(evaluation.ERRORS, error))


def test_a_checkpoint_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"training": SETTINGS}))
    run(0.01).history.to_csv(tmp_path / "history.csv", index=False)
    found = training.read_run(tmp_path)
    assert found.settings == SETTINGS
    assert found.history["step"].tolist() == [10, 20, 30]


def test_trials_are_named_by_what_differs_and_judged_by_their_last_validation() -> None:
    adam = run(0.03, optimizer="adam", learning_rate=0.01)
    table = training.tuning_table([run(0.01), run(0.02, l_max=2), adam])
    assert list(table.index) == ["base", "l_max 2", "optimizer adam, learning_rate 0.01"]
    np.testing.assert_allclose(table["molecules meV/Å"], [10.0, 20.0, 30.0])


def test_validation_curves_leave_out_steps_without_validation() -> None:
    curves = training.validation_curves({"bulk-s0": run(0.01), "bulk-s1": run(0.02)})
    assert set(curves["kind"]) == {"bulk"}
    assert curves["step"].tolist() == [10, 20, 10, 20]
    assert curves["molecules_energy_mae"].tolist() == [20.0, 10.0, 40.0, 20.0]


def test_errors_name_their_data_and_count_molecules() -> None:
    runs = {"bulk-s0": run(0.01, more_datasets=["labels/other.h5"])}
    table = training.error_table({("bulk-s0", "molecules"): residuals(5.0)}, runs)
    assert table["error"].tolist() == list(evaluation.ERRORS)
    assert set(table["dataset"]) == {"some + other"}
    assert (table[["value", "n", "n_molecules"]] == [5.0, 3, 2]).all(axis=None)


def test_the_error_of_a_molecule_is_a_mean_over_its_conformations_and_all_runs() -> None:
    tables = {("s0", "molecules"): residuals(2.0), ("s1", "molecules"): residuals(4.0, "abb")}
    found = training.errors_by_molecule(tables, ["s0", "s1"])
    assert found.to_dict() == pytest.approx({"a": (2 + 2 + 4) / 3, "b": (2 + 4 + 4) / 3})


def growth() -> pd.DataFrame:
    """Errors that fall as size to the power of −½: a tenth at a hundred times the size."""
    tables = {(name, held_out): residuals(error)
              for name, error in (("few-s0", 10.0), ("many-s0", 1.0))
              for held_out in ("conformations", "molecules")}  # fmt: skip
    steps = training.Growth("gradient steps", "bulk", ["few-s0", "many-s0"], [100, 10_000])
    return training.growth_table([steps], tables)


def test_growth_finds_the_exponent_of_a_power_law() -> None:
    table = growth()
    assert len(table) == 2 * 2 * 2
    np.testing.assert_allclose(table["exponent_value"], 0.5)
    assert table["error"].tolist() == [10.0, 1.0] * 4


def test_aims_that_are_missed_say_what_would_meet_them() -> None:
    names = list(evaluation.ERRORS)
    means = {("bulk", "molecules", names[0]): 30.0, ("bulk", "molecules", names[1]): 90.0}
    table = training.against_aims(means, {"bulk molecules": [15, 120]}, growth())
    assert table["met"].tolist() == ["no", "yes"]
    assert table["needed"].tolist() == ["4.0 to 4.0 × the gradient steps", "met"]
    only = training.against_aims(means, {"bulk molecules": [None, 120]}, growth())
    assert only["test"].tolist() == ["bulk molecules, meV/Å"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.5, 1.0, "2.0 to 4.0 × the steps"), (-0.1, 1.0, "at least 2 × the steps"),
     (0.06, 0.26, "at least 14 × the steps"), (-0.2, -0.1, "no gain seen"),
     (-0.1, 0.05, "no gain seen")],
)  # fmt: skip
def test_the_factor_by_the_ends_of_the_interval(low: float, high: float, expected: str) -> None:
    assert training.more_needed(2.0, low, high, "steps") == expected
