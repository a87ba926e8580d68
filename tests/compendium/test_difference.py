"""`e3d diff`: what differs is found, what is equal is not, and trouble is no difference."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from e3d.cli import app
from e3d.compendium.difference import comparison, page, runs, shown
from e3d.compendium.difference.tables import Tolerance, compare_tables
from e3d.notebook import start as starting
from e3d.paths import ROOT

EXACT = Tolerance()
TABLE = pd.DataFrame({"class": ["C-C", "C-H", "H-O"], "bits": [1.0, 2.0, None], "n": [3, 4, 5]})


def changed(before: pd.DataFrame, after: pd.DataFrame, tolerance: Tolerance = EXACT) -> list:
    found = compare_tables("t.csv", before, after, tolerance)
    return [(c.row, c.column, c.before, c.after) for c in found.changes]


@settings(deadline=None)
@given(st.permutations(range(3)))
def test_a_table_in_another_order_is_equal(order: list[int]) -> None:
    found = compare_tables("t.csv", TABLE, TABLE.iloc[order].reset_index(drop=True), EXACT)
    assert not found.differs
    assert found.n_values == 8  # without the one that is missing in both


@settings(deadline=None)
@given(
    value=st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3),
    relative=st.floats(1e-6, 0.5),
    inside=st.booleans(),
)
def test_numbers_are_equal_within_the_tolerance_alone(
    value: float, relative: float, inside: bool
) -> None:
    moved = value * (1 + relative * (0.99 if inside else 1.01))
    before, after = pd.DataFrame({"x": [value]}), pd.DataFrame({"x": [moved]})
    assert bool(changed(before, after, Tolerance(relative=relative))) is not inside


def test_values_rows_and_columns_that_differ_are_told_apart() -> None:
    after = pd.DataFrame({"class": ["C-H", "N-N", "H-O"], "bits": [2.5, 1.0, 0.0], "m": [1, 2, 3]})
    found = compare_tables("t.csv", TABLE, after, EXACT)
    assert changed(TABLE, after) == [("C-H", "bits", 2.0, 2.5), ("H-O", "bits", None, 0.0)]
    assert (found.rows_before, found.rows_after) == (["C-C"], ["N-N"])
    assert (found.columns_before, found.columns_after) == (["n"], ["m"])


def test_rows_that_no_text_tells_apart_are_told_apart_by_their_numbers() -> None:
    before = pd.DataFrame({"source": ["a", "a", "a"], "width": [0.1, 0.2, 0.4], "y": [1.0, 2, 3]})
    after = pd.DataFrame({"source": ["a", "a"], "width": [0.1, 0.4], "y": [1.0, 9.0]})
    assert changed(before, after) == [("a · 0.4", "y", 3.0, 9.0)]


def test_a_number_that_becomes_text_or_missing_differs() -> None:
    before = pd.DataFrame({"name": ["a", "b"], "x": [1.0, 2.0]})
    assert changed(before, pd.DataFrame({"name": ["a", "b"], "x": ["1.0", "none"]}))
    assert changed(before, pd.DataFrame({"name": ["a", "b"], "x": [1.0, None]}))


def write_run(folder: Path, *, bits: float = 1.0, width: float = 0.1) -> Path:
    """A run as `e3d run 05_entropy` leaves it."""
    folder.mkdir(parents=True)
    TABLE.assign(bits=bits).to_csv(folder / "entropy.csv", index=False)
    metric = {"entropy.bits": {"value": bits, "low": None, "n": 3}, "verdicts": {"order": "<less>"}}
    (folder / "entropy.json").write_text(json.dumps(metric))
    parameters = {"bin_width_eV": width, "output_dir": str(folder)}
    record = {
        "name": "05_entropy", "notebook": "notebooks/05_entropy.ipynb", "parameters": parameters,
        "inputs": {}, "code": "0" * 40, "requirements_lock_sha256": "0" * 64, "versions": {},
        "python": "3.11", "machine": "any", "wall_time_s": 1.0,
    }  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(record))
    return folder


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        app, ["diff", *map(str, arguments)], env={"COLUMNS": "100"}, catch_exceptions=False
    )
    return result.exit_code, result.stdout, result.stderr


def test_exit_codes_are_those_of_diff(tmp_path: Path) -> None:
    first, same = write_run(tmp_path / "1"), write_run(tmp_path / "2")
    other = write_run(tmp_path / "3", bits=1.01, width=0.05)
    assert call(first, same)[0] == 0
    code, text, _ = call(first, other)
    assert code == 1
    assert "bin_width_eV" in text
    assert "+1.0 %" in text
    assert call(first, other, "--rtol", 0.02)[1].count("%") == 1  # of the parameter
    for wrong in ([first, tmp_path / "none"], [first, same, "--rtol", -1], [tmp_path]):
        code, _, said = call(*wrong)
        assert code == 2, wrong
        assert said.count("\n") == 1


def test_scripts_and_browsers_get_every_change(tmp_path: Path) -> None:
    first, other = write_run(tmp_path / "1"), write_run(tmp_path / "<b>3", bits=1.5)
    code, text, _ = call(first, other, "--json", "--html", tmp_path / "d.html")
    found = json.loads(text)
    assert (code, found["differs"]) == (1, True)
    assert [len(table["changes"]) for table in found["tables"]] == [3, 1]
    html = (tmp_path / "d.html").read_text()
    assert html.count("<tr>") == 2 + 3 + 1
    assert "&lt;b&gt;3" in html
    assert "<b>3" not in html
    assert "://" not in html


def test_a_run_by_hand_keeps_the_parameters_of_its_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ROOT / "runs" / "tests" / tmp_path.name
    monkeypatch.setattr(starting, "RUNS", folder)
    monkeypatch.chdir(tmp_path)
    notebook = ModuleType("__main__")
    vars(notebook).update(bin_width_eV=0.05, n_bins=32, theme=print)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    written = ROOT / starting.start("05_entropy")
    try:
        TABLE.to_csv(written / "entropy.csv", index=False)
        with runs.opened(str(written), None, like=None) as (published, run):
            assert run.parameters == {"bin_width_eV": 0.05, "n_bins": 32}
            assert published.title == "entropy, published"
            found = comparison.compare(published, run)
        changes = {c.column: (c.before, c.after) for c in found.parameters}
        assert changes["bin_width_eV"] == (0.1, 0.05)
        assert "n_bins" not in changes
        assert "bin_width_eV" in page.body(found)
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()


def test_a_stage_is_compared_with_the_last_commit() -> None:
    try:
        subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", "HEAD:params.yaml"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    with runs.opened("HEAD:scaling", "HEAD:scaling", like=None) as pair:
        found = comparison.compare(*pair)
    assert not found.differs
    assert "scaling.csv" in {table.name for table in found.tables}
    assert shown.verdict(found) == "no difference"
