"""Errors of runs on the same rows: units, who is compared with whom, and words for a plateau."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chapters import scaling
from e3d.bde import references
from e3d.errors import E3DError
from e3d.statistics.power_laws import Plateau
from e3d.units import KCAL_PER_MOL_PER_EV

RUNS = ["n10-s0", "n10-s1", "n100-s0", "n100-s1", "twice-n10-s1"]


@pytest.fixture
def errors(tmp_path: Path) -> scaling.StudyErrors:
    """Two sizes of two seeds each, and a run of twice the steps: their tables as chapter 06 has."""
    (tmp_path / "study").mkdir()
    study = pd.DataFrame({
        "model": [*RUNS, "n10-s0@0"],
        "run": [*RUNS, "n10-s0"],
        "family": ["n10", "n10", "n100", "n100", "twice-n10", "n10"],
        "seed": [0, 1, 0, 1, 1, 0],
    })  # fmt: skip
    study.to_csv(tmp_path / "study.csv", index=False)
    conformations = pd.DataFrame({"molecule": ["a", "b"]})
    bonds = pd.DataFrame({"molecule": ["a", "a", "b"], "fold": ["test", "test", "train"]})
    reactions = pd.DataFrame({"smiles": ["A", "B"], references.KINDS["De"]: [100.0, 80.0]})
    for k, run in enumerate(RUNS):
        conformations[[f"energy:{run}", f"forces:{run}"]] = [[k + 1.0, 10.0 * (k + 1)]] * 2
        bonds[f"bare:{run}"] = [-4.0 + k, -3.0 + k, 9.0]
        reactions[run] = [100.0 + k, 80.0 - k]
    for name, table in (("errors", conformations), ("bonds", bonds), ("reactions", reactions)):
        table.to_csv(tmp_path / "study" / f"{name}.csv", index=False)
    return scaling.read_errors(tmp_path / "study.csv", tmp_path / "study")


def test_snapshots_are_no_runs_and_families_are_the_seeds(errors: scaling.StudyErrors) -> None:
    assert errors.families["n10"] == ["n10-s0", "n10-s1"]
    assert errors.sizes == [10, 100]
    with pytest.raises(E3DError, match="n10-s0@0"):
        errors.of_run("energy", "n10-s0@0")


def test_deviations_from_the_reference_are_absolute(errors: scaling.StudyErrors) -> None:
    assert errors.of_run("bde", "n100-s1").tolist() == [3.0, 3.0]
    assert list(errors.groups("bde")) == ["A", "B"]


def test_the_distance_from_convergence_leaves_out_the_own_seed(errors: scaling.StudyErrors) -> None:
    """n10-s0 (run 0) against n100-s1 (run 3); n100-s1 itself against n100-s0 (run 2)."""
    far = errors.of_run("distance", "n10-s0")
    assert far == pytest.approx([3 * KCAL_PER_MOL_PER_EV] * 2)  # bonds of the test fold alone
    assert errors.of_run("distance", "n100-s1") == pytest.approx([KCAL_PER_MOL_PER_EV] * 2)


def test_errors_of_families_are_rows_by_sizes_by_seeds(errors: scaling.StudyErrors) -> None:
    found = errors.of_families("forces", ["n10", "n100"], n_seeds=2)
    assert found.shape == (2, 2, 2)
    np.testing.assert_array_equal(found[0], [[10.0, 20.0], [30.0, 40.0]])
    assert errors.of_families("forces", ["n10"], n_seeds=1).shape == (2, 1, 1)


def test_paired_runs_are_compared_by_seed(errors: scaling.StudyErrors) -> None:
    paired = errors.ratio("energy", ["twice-n10-s1"], errors.families["n10"], paired=True)
    assert paired["value"] == pytest.approx(5 / 2)  # against seed 1 alone
    apart = errors.ratio("energy", ["twice-n10-s1"], errors.families["n10"], paired=False)
    assert apart["value"] == pytest.approx(5 / 1.5)


@pytest.mark.parametrize(
    ("plateau", "words"),
    [
        (Plateau(3000.0, None), "it still falls at the largest"),
        (Plateau(100.0, 1000.0), "until 100 conformations and as good from 1,000 on"),
        (Plateau(None, 300.0), "at none and as good from 300 on"),
        (Plateau(300.0, None), "until 300 conformations, and from where on it is as good is not"),
    ],
)
def test_a_plateau_is_told_in_words(plateau: Plateau, words: str) -> None:
    assert words in scaling.plateau_text(plateau, [100, 300, 1000, 3000, 10_000])
