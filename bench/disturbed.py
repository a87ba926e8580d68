"""What `faults.py` disturbs: commands in a small checkout of their own, and what they must leave.

The checkout has a copy of `lib`, so that `e3d stage`, `e3d book` and `dvc repro` work in it as they
do in the real one, and nothing that is disturbed can harm that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import nbformat
import yaml

from e3d import files
from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.paths import CHECKPOINTS, DATA, LOCK, NOTEBOOKS, ROOT

BIN = Path(sys.executable).parent
_E3D = (sys.executable, "-m", "e3d")
#: What a copy leaves behind.
_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")
#: Names of what is there while a command runs, and must not be afterwards.
_UNFINISHED = {".lock", ".tmp", ".partial", ".parts", ".new", ".old"}
_CHAPTER = "30_tables"
#: A model that learns a little in seconds, as `params.yaml` states it.
_TINY = {
    "output_dir": "checkpoints", "dataset": "data/few.h5", "cutoff_A": 4.0, "l_max": 1,
    "n_layers": 1, "n_scalar_features": 8, "n_tensor_features": 2, "steps": 60,
    "steps_per_epoch": 6, "batch_size": 8, "compile": False,
}  # fmt: skip
_PIPELINE = """
stages:
  labels:
    cmd: e3d label molecules.smi --method gfn2 --workers 1 --out labels.h5
    deps: [molecules.smi]
    outs: [labels.h5]
  tables:
    cmd: e3d stage tables
    deps: [notebooks/30_tables.ipynb, labels.h5]
    params: [tables]
    outs: [results/t0.csv, book/executed/30_tables.ipynb]
  train:
    foreach: ${train.runs}
    do:
      cmd: e3d stage train@${key}
      deps: [notebooks/make/train.ipynb, data/few.h5]
      params: [train.defaults]
      outs: ["checkpoints/${key}"]
"""


@dataclass(frozen=True)
class Command:
    """A command that works in the root of the checkout.

    arguments: of the process; contents: what it has written below a root, and two equal runs have
    in common, by name; piecewise: whether each of these may appear before the others.
    """

    arguments: tuple[str, ...]
    contents: Callable[[Path], dict[str, str]]
    piecewise: bool = False


def _digests(*patterns: str) -> Callable[[Path], dict[str, str]]:
    """SHA-256 of the files that match; of a run its tables, because its record has a time."""

    def contents(root: Path) -> dict[str, str]:
        found = (path for pattern in patterns for path in root.glob(pattern))
        return {str(path.relative_to(root)): files.sha256(path) for path in found}

    return contents


def _pages(root: Path) -> dict[str, str]:
    """The words of the pages of a book, and whether each is complete."""
    texts = {path.name: path.read_text() for path in root.glob("book/_build/html/*.html")}
    whole = {name: text.rstrip().endswith("</html>") for name, text in texts.items()}
    return {name: re.sub(r"\s*<[^>]*>\s*", " ", text) if whole[name] else "half"
            for name, text in texts.items()}  # fmt: skip


COMMANDS = {
    "label": Command((*_E3D, "label", "molecules.smi", "--method", "gfn2", "--workers", "1",
                      "--out", "labels.h5"), _digests("labels.h5")),
    "decompose": Command((*_E3D, "decompose", "data/few.h5", "--model", "model", "--workers", "1",
                          "--out", "sums.h5", "--compile", "no"), _digests("sums.h5")),
    "train": Command((*_E3D, "stage", "train@tiny"), _digests("checkpoints/tiny/*.safetensors")),
    "stage": Command((*_E3D, "stage", "tables"), _digests("results/*.csv"), piecewise=True),
    "run": Command((*_E3D, "run", _CHAPTER, "--out", "runs/mine"), _digests("runs/mine/*.csv"),
                   piecewise=True),
    "book": Command((*_E3D, "book"), _pages),
    "dvc repro": Command((str(BIN / "dvc"), "repro", "labels", "tables"),
                         _digests("labels.h5", "results/*.csv"), piecewise=True),
}  # fmt: skip


def environment(root: Path, mark: str) -> dict[str, str]:
    """Of a command in the checkout `root`: its copy of the library, and a name to find it by."""
    scratch = root.with_name(f"{root.name}-tmp")
    scratch.mkdir(exist_ok=True)
    return os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(root / "lib"),
        "TMPDIR": str(scratch), "DVC_NO_ANALYTICS": "1", "E3D_TRIAL": mark,
        "DVC_SITE_CACHE_DIR": str(root / ".dvc" / "tmp" / "site"),  # not the one of the machine
    }  # fmt: skip


def make_checkout(root: Path) -> None:
    """Write the checkout in which all commands can run."""
    shutil.copytree(ROOT / "lib", root / "lib", ignore=_CACHES)
    subprocess.run([sys.executable, "-m", "compileall", "-q", root / "lib"], check=True)
    shutil.copyfile(LOCK, root / LOCK.name)
    (root / "molecules.smi").write_text("C\nO\n")
    (root / "data").mkdir()
    _few_molecules(root / "data" / "few.h5")
    shutil.copytree(CHECKPOINTS / "finetuned-s0", root / "model")
    (root / "dvc.yaml").write_text(_PIPELINE)
    groups = {"tables": {"n_tables": 8}, "train": {"defaults": _TINY, "runs": {"tiny": {}}}}
    (root / "params.yaml").write_text(yaml.safe_dump(groups))
    (root / "notebooks" / "make").mkdir(parents=True)
    shutil.copyfile(NOTEBOOKS / "make" / "train.ipynb", root / "notebooks" / "make" / "train.ipynb")
    nbformat.write(_chapter(), root / "notebooks" / f"{_CHAPTER}.ipynb")
    _pages_of_a_book(root / "book")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")


def _few_molecules(path: Path) -> None:
    wanted = Counter(train=12, validation=2, test=2)
    source = DATA / "dft-small.h5"
    with Dataset(source) as dataset, h5py.File(source) as raw, h5py.File(path, "w") as new:
        new.attrs.update(raw.attrs)
        for molecule in dataset.usable():
            part = fold(molecule.canonical_smiles)
            if wanted[part]:
                raw.copy(molecule.name, new)
                wanted[part] -= 1


def _chapter() -> nbformat.NotebookNode:
    start = (
        "import pandas as pd\n\nfrom e3d.notebook import results\n"
        "from e3d.notebook.start import start\n\n"
        f'output_dir = start("{_CHAPTER}", output_dir)'
    )
    save = (
        "for k in range(n_tables):\n"
        '    table = pd.DataFrame({"k": range(1000)})\n'
        '    results.save(output_dir, tables={f"t{k}": table})'
    )
    return nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell("# Tables\nSome."),
        nbformat.v4.new_code_cell('n_tables = 8\noutput_dir = ""',
                                  metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(start), nbformat.v4.new_code_cell(save),
    ])  # fmt: skip


def _pages_of_a_book(book: Path) -> None:
    (book / "executed").mkdir(parents=True)
    for name in ("results", "provenance"):
        (book.parent / name).mkdir(exist_ok=True)
    (book / "_toc.yml").write_text("format: jb-book\nroot: a\nchapters: [file: b]\n")
    (book / "_config.yml").write_text("title: a\nexecute: {execute_notebooks: 'off'}\n")
    (book / "findings.yml").write_text("{}\n")
    (book / "a.md").write_text("# A\n\nText.\n")
    (book / "b.md").write_text("# B\n\nMore text.\n")


def left_over(root: Path) -> list[str]:
    """Locks and unfinished files in a checkout in which a command has run to its end."""
    inside = [path.relative_to(root) for path in root.rglob("*")]
    own = [path for path in inside if path.parts[0] not in {".dvc", "lib"}]
    return sorted(
        str(path) for path in own
        if (path.suffix in _UNFINISHED and path.name not in {"dvc.lock", LOCK.name})
        or (path.parts[:2] in {("runs", "failed"), ("runs", "training")} and len(path.parts) > 2)
    )  # fmt: skip
