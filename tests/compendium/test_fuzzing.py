"""Fuzzing: what it calls a fault, some cases of every kind, and the table of all of them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from e3d.paths import RESULTS, ROOT

#: Cases of each kind here; the table has far more, so these begin where it ends.
CASES, FIRST = 16, 10_000
KINDS = ("checkpoints", "structure files", "SMILES", "parameters", "tables")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_some_cases(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    done = subprocess.run(
        [sys.executable, "bench/fuzz.py", "--only", kind, "--first", str(FIRST), "--cases",
         str(CASES), "--out", str(out)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(out).to_dict("records")
    assert row["cases"] == CASES
    assert row["faults"] == 0, done.stderr


@pytest.mark.skipif(
    not (RESULTS / "fuzzing.csv").exists(), reason="no table is recorded; make fuzz measures one"
)
def test_the_recorded_table_has_cases_enough_and_no_fault() -> None:
    table = pd.read_csv(RESULTS / "fuzzing.csv").set_index("input")
    assert {"data sets", *KINDS} == set(table.index)
    assert table.cases.sum() >= 2000
    assert (table.faults == 0).all()
    assert (table["refused in a line"] > 0).all()
    assert table.loc["checkpoints", "read as another"] == 0


def endless() -> None:
    while True:
        time.sleep(0.01)


def greedy() -> None:
    bytearray(2**40)


def talkative() -> None:
    print("\x1b[2J", file=sys.stderr)


def crashing() -> None:
    os.abort()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (endless, "no end within 1 s"),
        (greedy, "a traceback"),
        (talkative, "a control character"),
        (crashing, "ended by SIGABRT"),
    ],
)
@pytest.mark.usefixtures("bench")
def test_how_calls_can_end_badly(function, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import watched

    monkeypatch.setattr(watched, "PATIENCE_S", 1.0)
    assert watched.called(function).why == why


@pytest.mark.usefixtures("bench")
def test_how_calls_end_well() -> None:
    import watched

    outcome = watched.called(lambda: print("1.5"))
    assert (outcome.code, outcome.printed, outcome.errors, outcome.why) == (0, "1.5\n", "", "")
    refused = watched.called(lambda: sys.exit(3))
    assert refused.code == 3
