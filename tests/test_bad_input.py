"""Bad input through the real command line: one line that says why, and nothing is lost."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import h5py
import nbformat
import pytest
from ase import Atoms
from ase.build import molecule

from e3d.models import allegro
from e3d.models.checkpoint import save_checkpoint
from e3d.paths import DATA, ROOT

DFT = DATA / "dft-small.h5"
ENVIRONMENT = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
TYPES = ["H", "C", "N", "O"]


def quota(n_bytes: int | None) -> Callable[[], None] | None:
    """For a child process: no file may grow beyond `n_bytes`, as on a full disk."""
    if n_bytes is None:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def fails(*arguments: object, n_bytes: int | None = None) -> str:
    """Run `e3d` with arguments that must fail; returns its one line of explanation."""
    done = subprocess.run(
        [sys.executable, "-m", "e3d", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, env=ENVIRONMENT, timeout=300,
        preexec_fn=quota(n_bytes),
    )  # fmt: skip
    assert done.returncode > 0, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("e3d: ")]
    assert len(said) == 1, done.stderr
    if arguments[0] == "bonds":  # where RDKit would like to add warnings of its own
        assert done.stderr.splitlines() == said, "nothing but the explanation"
    return said[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small sound data set of a folder of its own."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "few.h5"
    with h5py.File(DFT) as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in ("C", "O"):
            source.copy(name, target)
    return path


@pytest.mark.parametrize("command", ["check", "label"])
def test_a_truncated_data_set(data: Path, command: str) -> None:
    with open(data, "r+b") as stream:
        stream.truncate(data.stat().st_size // 2)
    before = contents(data.parent)
    options = ["--method", "gfn2", "--out", data.parent / "new.h5"] if command == "label" else []
    assert "few.h5 is truncated or not HDF5" in fails(command, data, *options)
    assert contents(data.parent) == before


@pytest.mark.parametrize(
    ("path", "change", "cause"),
    [
        ("C/conformations", "unit", "has units 'angstrom', expected 'bohr'"),
        ("O/atomic_numbers", "element", "unknown element: atomic number 119"),
    ],
)
def test_a_data_set_in_the_wrong_unit_or_with_an_unknown_element(
    data: Path, path: str, change: str, cause: str
) -> None:
    with h5py.File(data, "r+") as raw:
        if change == "unit":
            raw[path].attrs["units"] = "angstrom"
        else:
            raw[path][0] = 119
    before = contents(data.parent)
    labelled = subprocess.run(
        [sys.executable, "-m", "e3d", "label", data, "--method", "gfn2", "--workers", "1", "--out",
         data.parent.parent / "new.h5"],
        capture_output=True, text=True, check=False, cwd=ROOT, env=ENVIRONMENT,
    )  # fmt: skip
    assert labelled.returncode == 0, "the other molecule is labelled"
    (said,) = [line for line in labelled.stderr.splitlines() if line.startswith("left out: ")]
    assert f"1 molecule, cannot be read: {path[0]}: " in said
    assert cause in said
    checked = subprocess.run(
        [sys.executable, "-m", "e3d", "check", data], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 1
    (problem,) = [line for line in checked.stdout.splitlines() if line.startswith("problem: ")]
    assert cause in problem
    assert contents(data.parent) == before


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    folder = tmp_path_factory.mktemp("checkpoints") / "random"
    architecture = {
        "seed": 1, "model_dtype": "float32", "type_names": TYPES, "r_max": 4.0, "l_max": 1,
        "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 8.0, "per_type_energy_scales": dict.fromkeys(TYPES, 2.0),
        "per_type_energy_shifts": dict.fromkeys(TYPES, -1.0),
    }  # fmt: skip
    built = allegro.build(architecture)
    save_checkpoint(folder, built, architecture, dataset={}, training={}, cost={}, history="")
    return folder


def test_a_smiles_that_cannot_be_parsed(checkpoint: Path, tmp_path: Path) -> None:
    assert "SMILES 'CC(=O' cannot be parsed" in fails("bonds", "CC(=O", "--model", checkpoint)
    listed = tmp_path / "list.smi"
    listed.write_text("CCO\nC1CC\n")
    said = fails("label", listed, "--method", "gfn2", "--out", tmp_path / "new.h5")
    assert "list.smi, line 2: SMILES 'C1CC' cannot be parsed" in said
    assert list(tmp_path.iterdir()) == [listed]


@pytest.mark.parametrize(
    ("option", "value", "cause"),
    [
        ("--seed", "-1", "seed is -1, expected 0 to"),
        ("--temperature", "-300", "temperatures are -300 K, expected 1 to"),
    ],
)
def test_settings_of_labels_that_make_no_sense(
    tmp_path: Path, option: str, value: str, cause: str
) -> None:
    (tmp_path / "list.smi").write_text("O\n")
    out = tmp_path / "new.h5"
    said = fails("label", tmp_path / "list.smi", "--method", "gfn2", "--out", out, option, value)
    assert cause in said
    assert not out.exists()


def test_a_full_disk_behind_standard_output() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "e3d", "check", "tests/cases/radical.h5"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT, env=ENVIRONMENT,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "e3d: cannot write the output: No space left on device\n"


def test_an_element_that_the_model_does_not_know(checkpoint: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "sulphide.xyz", molecule("SH2"))
    assert "does not know S" in fails("bonds", tmp_path / "sulphide.xyz", "--model", checkpoint)
    ase.io.write(tmp_path / "coinciding.xyz", Atoms("H2", [[0, 0, 0], [0, 0, 0]]))
    assert "0.00 Å apart" in fails("bonds", tmp_path / "coinciding.xyz", "--model", checkpoint)
    (tmp_path / "wrong.xyz").write_text("1\n\nQq 0 0 0\n")
    assert "cannot be read" in fails("bonds", tmp_path / "wrong.xyz", "--model", checkpoint)


def test_a_checkpoint_whose_weights_do_not_fit_its_yaml(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "misfit"
    shutil.copytree(checkpoint, folder)
    text = (folder / "model.yaml").read_text()
    changed = text.replace("num_tensor_features: 4", "num_tensor_features: 6")
    assert changed != text
    (folder / "model.yaml").write_text(changed)
    before = contents(folder)
    said = fails("bonds", "O", "--model", folder)
    assert "weights.safetensors" in said
    assert contents(folder) == before


def test_a_parameter_name_with_a_typo(tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = fails("run", "01_data", "-p", "bulk_label=labels/bulk.h5", "--out", out)
    assert "bulk_label" in said
    assert "bulk_labels" in said, "the line must name the right spelling"
    assert not out.exists()


def test_a_data_file_that_was_not_pulled(tmp_path: Path) -> None:
    said = fails("run", "01_data", "-p", "dft_labels=data/absent.h5", "--out", tmp_path / "out")
    assert "data/absent.h5 is missing; `make pull`" in said
    said = fails("bonds", "O", "--model", "checkpoints/absent-s0")
    assert "checkpoints/absent-s0 does not exist; `make pull`" in said


@pytest.mark.parametrize("command", ["label", "run"])
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, command: str) -> None:
    """A file in the place of the folder stops root too, whom permissions do not."""
    (tmp_path / "list.smi").write_text("O\n")
    (tmp_path / "taken").write_text("mine")
    before = contents(tmp_path)
    out = tmp_path / "taken" / "new.h5"
    arguments = {
        "label": ("label", tmp_path / "list.smi", "--method", "gfn2", "--out", out),
        "run": ("run", "01_data", "--out", out),
    }
    said = fails(*arguments[command])
    assert "cannot write" in said
    assert "hoose another" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("full_at", "kept"), [(1_000, 0), (6_000, 3)])
def test_a_full_disk_while_labelling(tmp_path: Path, full_at: int, kept: int) -> None:
    """Full for the first finished molecule, or only for the data set: no half one is left."""
    listed, out = tmp_path / "list.smi", tmp_path / "new.h5"
    listed.write_text("[H][H]\nO\nN\n")
    arguments = ["label", listed, "--method", "gfn2", "--out", out, "--frames", "0"]
    said = fails(*arguments, "--workers", "1", n_bytes=full_at)
    assert "cannot write" in said
    assert not out.exists()
    assert len(list(tmp_path.glob("new.h5.parts/*"))) == kept
    assert not list(tmp_path.rglob("*.tmp"))


SLOW = """
import os, time
from pathlib import Path
from e3d import files
with files.replacing(f"{output_dir}/table.csv") as path:
    path.write_text("half")
    Path(f"{output_dir}/pid").write_text(str(os.getpid()))
    time.sleep(300)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_keeps_what_was_there(tmp_path: Path, how: signal.Signals) -> None:
    notebook, out = tmp_path / "08_slow.ipynb", tmp_path / "out"
    cells = [
        nbformat.v4.new_code_cell('output_dir = "results"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(SLOW),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    out.mkdir()
    (out / "table.csv").write_text("what was there before")
    (out / "08_slow.ipynb").write_text("the good one")
    with subprocess.Popen(
        [sys.executable, "-m", "e3d", "run", str(notebook), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=ENVIRONMENT,
        # a shell's background jobs ignore Ctrl-C, and so would what they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: (out / "pid").exists() and (out / "pid").read_text().isdigit())
        finally:
            process.send_signal(how)
        said, _ = process.communicate(timeout=120)
    kernel = int((out / "pid").read_text())
    assert process.returncode != 0
    assert how != signal.SIGINT or said.splitlines()[-1].startswith("e3d: interrupted")
    assert "Traceback" not in re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert (out / "table.csv").read_text() == "what was there before"
    assert (out / "08_slow.ipynb").read_text() == "the good one"
    wait_for(lambda: not Path(f"/proc/{kernel}").exists())


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_a_file_that_is_no_notebook_and_one_that_fails(tmp_path: Path) -> None:
    assert "does not exist; there are" in fails("run", "99_absent")
    notebook = tmp_path / "09_fails.ipynb"
    cell = nbformat.v4.new_code_cell("int('x')")
    first = nbformat.v4.new_code_cell("n = 3", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[first, cell]), notebook)
    said = fails("run", notebook, "--out", tmp_path / "out")
    # as in the failing copy, whose second cell is that of the injected parameters
    assert "09_fails.ipynb, cell 3: ValueError" in said


def test_the_quota_bites(tmp_path: Path) -> None:
    """The full disk of these tests is real: writing beyond it fails."""
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(bytes(5000))"
    done = subprocess.run(
        [sys.executable, "-c", write, tmp_path / "file"],
        check=False, capture_output=True, preexec_fn=quota(1000),
    )  # fmt: skip
    assert b"File too large" in done.stderr
