"""`e3d run`: names and types of parameters, byte-identical copies, and what a failure leaves."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import DeadKernelError
from zmq import ZMQError

from e3d import paths
from e3d.compendium import execute, kernel, parameters
from e3d.errors import E3DError

CELL = """
n_bins = 10
bin_width_eV = 0.1  # eV
use_bonds = True
temperatures_K = [300.0, 600.0]  # K
pattern = "C=C"
zero = None
seeds = [1]
labels = ["a"]
extra = []
limits = {"low": 1.0, "names": ["a"]}
output_dir = "results"
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "01_tiny.ipynb", "print(n_bins, bin_width_eV, use_bonds)")


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the checkout is written."""
    monkeypatch.setattr(execute, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(execute, "EXECUTED", tmp_path / "executed")
    monkeypatch.setattr(execute, "PROVENANCE", tmp_path / "provenance")


def write_notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(CELL.strip(), metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_defaults_are_the_literals_of_the_cell(notebook: Path) -> None:
    known = parameters.defaults(notebook)
    assert known["pattern"] == "C=C"
    assert known["temperatures_K"] == [300.0, 600.0]
    assert next(iter(known)) == "n_bins"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("use_bonds", "false", False),
        ("use_bonds", "True", True),
        ("bin_width_eV", "1e-3", 1e-3),
        ("bin_width_eV", "2", 2.0),
        ("n_bins", "1e3", 1000),
        ("pattern", "1e-3", "1e-3"),
        ("pattern", "C=O", "C=O"),
        ("temperatures_K", "[1e-3, 5]", [1e-3, 5.0]),
        ("temperatures_K", "300 1000", [300.0, 1000.0]),
        ("zero", "null", None),
        ("zero", "None", None),
        ("zero", "3", 3),
        ("zero", "1e-3", 1e-3),
        ("zero", "no", False),
        ("n_bins", str(2**60 + 1), 2**60 + 1),
        ("n_bins", "1e23", 10**23),
        ("zero", str(2**70 + 1), 2**70 + 1),
        ("zero", "1e3", 1e3),
        ("zero", "2026-01-02", "2026-01-02"),
        ("zero", "1:30", "1:30"),
        ("zero", "[1, no, x]", [1, False, "x"]),
        ("seeds", "1 2", [1, 2]),
        ("labels", "[no, 1e-3]", ["no", "1e-3"]),
        ("extra", "1,2.5", [1, 2.5]),
        ("limits", "{low: 1e-3, names: [no]}", {"low": 1e-3, "names": ["no"]}),
    ],
)
def test_values_take_the_type_of_the_default(
    notebook: Path, name: str, text: str, expected: object
) -> None:
    given = parameters.split([f"{name}={text}"])
    value = parameters.coerce(given, parameters.defaults(notebook))[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("bin_width=0.1", "did you mean 'bin_width_eV'"),
        ("use_bonds=perhaps", "expected true or false"),
        ("n_bins=2.5", "expected a whole number"),
        ("n_bins=inf", "expected a whole number"),
        ("temperatures_K=[null]", "expected a list"),
        ("bin_width_eV=wide", "expected a number"),
        ("bin_width_eV=nan", "expected a number"),
        ("n_bins=None", "expected a whole number"),
        ("n_bins=1e999999999", "expected a whole number"),
        (f"n_bins={'9' * 5000}", "expected a whole number"),
        ("zero=nan", "expected a finite number"),
        (f"zero={'9' * 5000}", "expected a finite number"),
        ("zero=[1, -inf]", "expected a finite number"),
        ("temperatures_K=[.nan]", "expected a list"),
        ("temperatures_K=[nan]", "expected a list"),
        ("seeds=[true]", "expected a list"),
        ("limits={low: nan}", "expected a mapping"),
        (f"zero={'[' * 3000}", "expected a finite number"),
        ("n_bins", "expected name=value"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(
    notebook: Path, tmp_path: Path, assignment: str, said: str
) -> None:
    with pytest.raises(E3DError, match=said) as caught:
        execute.run_here(notebook, [assignment], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [float("nan"), [1.0, float("inf")], {"low": float("nan")}])
def test_what_is_no_number_is_refused_in_params_yaml_too(value: object) -> None:
    with pytest.raises(E3DError, match="expected"):
        parameters.typed({"x": value}, {"x": None})


def test_a_binary_file_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "data.h5").write_bytes(b"\x89HDF")
    with pytest.raises(E3DError, match="is not a notebook"):
        parameters.defaults(tmp_path / "data.h5")


def test_cells_that_lack_an_id_are_no_matter(notebook: Path) -> None:
    content = json.loads(notebook.read_text())
    for cell in content["cells"]:
        del cell["id"]
    notebook.write_text(json.dumps(content))
    out = execute.run_here(notebook, ["n_bins=3"])
    executed = nbformat.read(out / notebook.name, as_version=4)
    assert executed.cells[-1].outputs[0].text.startswith("3 ")


@pytest.mark.parametrize("cell", ["x = open('y')", "x, y = 1, 2", "x =", "x[0] = 1"])
def test_only_plain_literals_are_parameters(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "bad.ipynb"
    tagged = nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[tagged]), path)
    with pytest.raises(E3DError, match="literal"):
        parameters.defaults(path)


def test_a_run_uses_this_interpreter_in_the_root_and_keeps_its_record(tmp_path: Path) -> None:
    source = "import os, sys; print(sys.executable); print(os.getcwd()); print(output_dir)"
    path = write_notebook(tmp_path / "01_where.ipynb", source)
    out = execute.run_here(path, ["bin_width_eV=1e-3"])
    executed = nbformat.read(out / path.name, as_version=4)
    said = executed.cells[-1].outputs[0].text.split("\n")
    assert said[:2] == [sys.executable, str(paths.ROOT)]
    assert Path(said[2]).resolve() == out
    record = json.loads((out / "provenance.json").read_text())
    assert record["parameters"]["bin_width_eV"] == 1e-3
    assert record["parameters"]["n_bins"] == 10
    assert record["requirements_lock_sha256"]
    assert not list((tmp_path / "runs" / "failed").glob("*.ipynb"))


def test_equal_runs_give_byte_identical_notebooks(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "01_same.ipynb",
        "import sys; print(n_bins); print(id(object()), file=sys.stderr)",
        "print(1, flush=True); print(2, flush=True)",
        "import pandas as pd; pd.DataFrame({'x': [1]}).style",
    )
    copies = []
    for k in range(2):
        target = tmp_path / f"copy-{k}" / path.name
        execute.execute(path, {"n_bins": 3}, target, name=f"same-{k}")
        copies.append(target.read_bytes())
    assert copies[0] == copies[1]
    assert b"papermill" not in copies[0]
    assert b"iopub" not in copies[0]


def test_a_failing_notebook_is_kept_aside_and_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "executed" / "01_fails.ipynb"
    target.parent.mkdir()
    target.write_text("the good one")
    path = write_notebook(tmp_path / "01_fails.ipynb", "1 + 1", "raise ValueError('no\\nbonds')")
    with pytest.raises(E3DError, match=r"01_fails\.ipynb, cell 3: ValueError: no bonds") as caught:
        execute.execute(path, {}, target, name="fails")
    assert "\n" not in str(caught.value)
    assert target.read_text() == "the good one"
    assert (tmp_path / "runs" / "failed" / "fails.ipynb").exists()


def test_a_missing_input_is_one_line_that_says_make_pull(notebook: Path, tmp_path: Path) -> None:
    missing = paths.ROOT / "data" / "nowhere.h5"
    with pytest.raises(E3DError, match=r"data/nowhere\.h5 is missing; `make pull`"):
        execute.execute(notebook, {}, None, name="missing", inputs=[missing])


@pytest.mark.parametrize(
    "folder",
    ["results/mine", "checkpoints", "notebooks", "book/executed", ".git", ".git/hooks", "lib/e3d",
     "remote", ".venv", ".", "..", "/", "/etc", "~", "runs/../lib", "data/../.dvc"],
)  # fmt: skip
def test_folders_of_others_are_never_written(notebook: Path, folder: str) -> None:
    with pytest.raises(E3DError, match=r"belongs to the pipeline|more than one run"):
        execute.run_here(notebook, [], paths.ROOT / Path(folder).expanduser())


@pytest.mark.parametrize(
    "target", ["emergence@/../../../x", "emergence@", "study@../../x", "study", "../emergence", "",
               "data/../../x"]
)  # fmt: skip
def test_a_stage_is_one_of_the_pipeline_or_nothing_is_written(target: str, tmp_path: Path) -> None:
    with pytest.raises(E3DError):
        execute.run_stage(target)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device; free space"),
        (OSError(errno.EMFILE, "x"), "Too many open files; .*ulimit"),
        (ZMQError(errno.EMFILE), "Too many open files; .*ulimit"),
        (RuntimeError("Kernel died before replying to kernel_info"), "could not be started"),
        (MemoryError(), "could not be started"),
        (DeadKernelError("x"), "its process died"),
        (nbformat.ValidationError("a\nb"), "cannot be executed"),
    ],
)
def test_what_happens_to_a_kernel_is_one_line(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(kernel.papermill, "execute_notebook", fails)
    with pytest.raises(E3DError, match=told) as caught:
        execute.run_here(notebook, [], tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"nbformat": 99}, {"nbformat": "x"}, {"cells": {}}, {"cells": [3]}, {"metadata": []}, None],
)
def test_other_formats_of_notebooks_are_one_line(notebook: Path, change: dict | None) -> None:
    content = json.loads(notebook.read_text())
    notebook.write_text(json.dumps([1] if change is None else content | change))
    with pytest.raises(E3DError, match="is not a notebook") as caught:
        execute.run_here(notebook)
    assert "\n" not in str(caught.value)


def test_a_kernel_that_ends_at_once_without_a_home(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = "import os, sys\nif 'ipykernel_launcher' in sys.orig_argv: os._exit(3)\n"
    (tmp_path / "sitecustomize.py").write_text(stops)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HOME", "/proc/1/nowhere")
    with pytest.raises(E3DError, match="could not be started: Kernel died"):
        execute.run_here(notebook, [], tmp_path / "out")


def test_make_run_hands_names_and_parameters_over_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "e3d").write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
    (tmp_path / "e3d").chmod(0o755)
    evil = ["x; echo ran", "$(shell echo ran)", "`echo ran`", "x' y", "--help", "*"]
    for name in evil:
        values = f"a=1 b={name.replace(' ', '')}"
        done = subprocess.run(
            ["make", "run", "-s", "-o", "pull", f"BIN={tmp_path}", f"NB={name}", f"P={values}"],
            cwd=paths.ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == f"[run][-p][a=1][-p][{values.split()[1]}][--][{name}]"


def test_a_notebook_is_never_replaced_by_its_executed_copy(notebook: Path) -> None:
    before = notebook.read_bytes()
    with pytest.raises(E3DError, match="belongs to the pipeline or the notebook"):
        execute.run_here(notebook, [], notebook.parent)
    assert notebook.read_bytes() == before


def test_an_output_folder_that_cannot_be_written_is_one_line(
    notebook: Path, tmp_path: Path
) -> None:
    # a file in the way fails for root too, who may write into read-only folders
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(E3DError, match="cannot write") as caught:
        execute.run_here(notebook, [], tmp_path / "taken" / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_unknown_notebook_or_stage_names_those_there_are() -> None:
    with pytest.raises(E3DError, match="does not exist; there are"):
        execute.find("99_nothing")
    with pytest.raises(E3DError, match="no stage 'nothing'"):
        execute.run_stage("nothing")


def test_too_few_handles_are_said_before_anything_runs(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel.resource, "getrlimit", lambda _: (24, 24))
    with pytest.raises(E3DError, match="allows 24 open files, a run needs 256"):
        execute.run_here(notebook, [], tmp_path / "out")
