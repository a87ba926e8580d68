"""Faults on purpose: the trials see what they are for, and commands stand them."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from e3d.paths import CHECKPOINTS, RESULTS

KILLS = 6
RECORDED = RESULTS / "faults.csv"


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.slow
@pytest.mark.usefixtures("bench")
@pytest.mark.skipif(not (CHECKPOINTS / "finetuned-s0").is_dir(), reason="not pulled: make pull")
def test_kills_and_shortages_leave_nothing_behind(tmp_path: Path) -> None:
    faults = module("faults")
    rows = list(faults.trials(tmp_path, ["label"], KILLS, seed=1, others=True, known=[]))
    for row in rows:
        assert not [what for what, held in row.items() if held is False], row
    assert sum(row["fault"] == "killed" for row in rows) == KILLS
    assert {"full disk", "24 file handles", "two at once"} <= {row["fault"] for row in rows}


@pytest.mark.usefixtures("bench")
def test_a_trial_that_is_known_is_not_made_again(tmp_path: Path) -> None:
    faults = module("faults")
    known = [{"command": "book", "fault": "killed", "trial": 0}]
    assert list(faults.trials(tmp_path, ["book"], 1, seed=1, others=False, known=known)) == []


@pytest.mark.usefixtures("bench")
def test_a_process_that_left_its_session_is_found_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = module("trials")
    monkeypatch.setattr(trials, "PATIENCE", 0.3)
    code = "import os, time; os.setsid() if os.fork() == 0 else os._exit(0); time.sleep(60)"
    environment = os.environ | {"E3D_TRIAL": "test-mark"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert len(trials.living("test-mark")) == 1
    assert not trials.ended("test-mark")
    deadline = time.monotonic() + 10
    while trials.living("test-mark"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert trials.ended("test-mark")


@pytest.mark.usefixtures("bench")
def test_permissions_bind_where_a_trial_needs_them(tmp_path: Path) -> None:
    trials = module("trials")
    try:
        trials._require_permissions_to_bind()
    except trials.Unfit as reason:
        pytest.skip(str(reason))
    trials._permit(tmp_path, 0o555)
    refused = subprocess.run(["touch", tmp_path / "x"], preexec_fn=trials._bound_by_permissions,
                             capture_output=True, check=False)  # fmt: skip
    trials._permit(tmp_path, 0o755)
    assert refused.returncode != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("e3d: the disk is full\n", True),
        ("", False),
        ("Traceback (most recent call last):\n  x\nOSError: x\n", False),
        ("OSError: [Errno 28]\n", False),
        ("line\n" * 30, False),
    ],
)
@pytest.mark.usefixtures("bench")
def test_what_counts_as_said(text: str, told: bool) -> None:
    assert module("trials").is_said(text) is told


@pytest.mark.usefixtures("bench")
def test_rows_of_other_commands_stay(tmp_path: Path) -> None:
    faults = module("faults")
    held = dict.fromkeys(module("trials").CHECKS, True)
    row = {"command": "label", "fault": "killed", "trial": 0}
    new = faults.summary([row | held, row | held | {"trial": 1, "same result": False}])
    assert new.iloc[0].to_dict() | {"same result": 1, "trials": 2} == new.iloc[0].to_dict()
    old = faults.summary([row | held, row | held | {"command": "book"}])
    both = faults.merged(old, new)
    assert list(both.command) == ["label", "book"]
    assert list(both.trials) == [2, 1]


def test_the_recorded_table_has_kills_enough_and_no_fault() -> None:
    table = pd.read_csv(RECORDED).set_index(["command", "fault"])
    kills = table.xs("killed", level="fault").trials
    assert {"decompose", "label", "train", "stage", "book", "dvc repro"} <= set(kills.index)
    assert kills.drop("run").sum() >= 60
    faults = ("killed", "full disk", "24 file handles", "400 MB of memory", "read-only folder",
              "two at once")  # fmt: skip
    assert set(table.index) == {(command, fault) for command in kills.index for fault in faults}
    for column in table.columns.drop("trials"):
        tried = table[table[column].notna()]
        assert (tried[column] == tried.trials).all(), column
