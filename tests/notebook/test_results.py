"""Results of a chapter: rounded, written as a whole or not at all, and read again by key."""

import json
from pathlib import Path

import pandas as pd
import pytest

from e3d.errors import E3DError
from e3d.notebook import results

FOUND = {
    "x.accuracy": {"value": 0.123456789, "low": 0.1, "high": None, "n": 3},
    "verdicts": {"x": "better"},
}


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    table = pd.DataFrame({"bond": ["C-H"], "energy_eV": [-4.3219876]})
    results.save(tmp_path, tables={"bonds": table}, metrics={"x": FOUND}, digits=3)
    assert pd.read_csv(tmp_path / "bonds.csv")["energy_eV"].item() == -4.32
    metrics, verdicts = results.read(tmp_path, "x")
    assert metrics == {"x.accuracy": {"value": 0.123, "low": 0.1, "high": None, "n": 3}}
    assert verdicts == {"x": {"x": "better"}}


def test_decimals_decide_what_counts_as_zero(tmp_path: Path) -> None:
    table = pd.DataFrame({"error_eV": [4.56e-7]})
    results.save(tmp_path, tables={"few": table})
    results.save(tmp_path, tables={"many": table}, decimals=9)
    assert pd.read_csv(tmp_path / "few.csv")["error_eV"].item() == 0
    assert pd.read_csv(tmp_path / "many.csv")["error_eV"].item() == 4.56e-7


def test_a_metric_that_is_no_number_writes_nothing(tmp_path: Path) -> None:
    wrong = FOUND | {"x.gain": {"value": float("nan"), "low": None, "high": None, "n": 0}}
    with pytest.raises(E3DError, match=r"x\.json: not a finite number in x\.gain"):
        results.save(tmp_path, tables={"t": pd.DataFrame({"a": [1]})}, metrics={"x": wrong})
    assert not list(tmp_path.iterdir())


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match=r"bde\.json is missing; `make book`"):
        results.read(tmp_path, "bde")


def test_files_are_valid_json(tmp_path: Path) -> None:
    results.save(tmp_path, metrics={"x": FOUND})
    assert json.loads((tmp_path / "x.json").read_text())["x.accuracy"]["n"] == 3
