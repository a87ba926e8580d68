"""Execute a notebook with parameters: `e3d run` for people, `e3d stage` for the pipeline.

papermill executes; here names and types of parameters are checked first, what differs between two
equal runs is stripped afterwards, and a failing notebook never replaces a good one.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

from e3d import files
from e3d.compendium import harmless, kernel, parameters, pipeline, provenance
from e3d.errors import E3DError
from e3d.notebook.start import new_folder
from e3d.paths import EXECUTED, NOTEBOOKS, PROVENANCE, ROOT, RUNS, shown

#: Where an object lay in memory, in its text: `<Styler at 0x7f…>`.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+(?=>)")
#: The random id that pandas gives a styled table.
_TABLE_ID = re.compile(r"\bT_[0-9a-f]{5}(?![0-9a-f])")
#: Folders of the checkout that a run of one's own may not write into; nor into hidden ones.
RESERVED = (
    *pipeline.INPUT_FOLDERS,
    "bench",
    "book",
    "external",
    "lib",
    "notebooks",
    "provenance",
    "remote",
    "tests",
)


def run_stage(target: str) -> Path:
    """Run a stage of `dvc.yaml`, NAME or NAME@KEY, with the values of `params.yaml`.

    Writes what the notebook writes, `provenance/<target>.json` and, for the chapters of the book
    (the notebooks directly in `notebooks/`), the executed copy `book/executed/<notebook>.ipynb`.
    Returns the record's path.

    Raises E3DError as `pipeline.read_stage` and `execute` do.
    """
    stage = pipeline.read_stage(target)
    inputs = [*stage.inputs, *_named_inputs(stage.values)]
    executed = EXECUTED / stage.notebook.name if stage.notebook.parent == NOTEBOOKS else None
    record = PROVENANCE / f"{target}.json"
    files.clear_abandoned(record, *stage.outputs)
    seconds = execute(stage.notebook, stage.values, executed, name=target, inputs=inputs)
    provenance.write(
        record,
        provenance.record(target, stage.notebook, stage.values, inputs, wall_time_s=seconds),
    )
    return record


def run_here(
    notebook: str | Path,
    assignments: Sequence[str] = (),
    out: str | Path | None = None,
    *,
    like: str | None = None,
) -> Path:
    """Run a notebook with other parameters into a folder of its own; returns that folder.

    Parameters that are not assigned have the values that `params.yaml` gives them in the stage of
    this notebook; where several stages share it, in the one that `like` names, if any. The folder,
    `runs/<notebook>/<date and time>/` unless `out` is given, receives the executed notebook, its
    outputs and `provenance.json`.

    Raises E3DError as `execute` does, and when `out` is a folder of the pipeline or that of the
    notebook itself, whose source the executed copy would replace.
    """
    notebook = find(notebook)
    known = parameters.defaults(notebook)
    assigned = parameters.coerce(parameters.split(assignments), known)
    published = _published(notebook, like)
    out = Path(out or assigned.get("output_dir") or new_folder(notebook.stem)).resolve()
    _refuse_reserved(out, notebook)
    _make_writable(out)
    files.clear_abandoned(out)
    values = published | assigned | {"output_dir": shown(out)}
    inputs = _named_inputs({**known, **values})
    name = f"{notebook.stem}-{out.name}"
    seconds = execute(notebook, values, out / notebook.name, name=name, inputs=inputs)
    provenance.write(
        out / "provenance.json",
        provenance.record(name, notebook, {**known, **values}, inputs, wall_time_s=seconds),
    )
    return out


def _refuse_reserved(out: Path, notebook: Path) -> None:
    """Raise E3DError when a run into `out` would write among files that are not its own."""
    inside = out.relative_to(ROOT).parts[0] if out != ROOT and out.is_relative_to(ROOT) else ""
    if out == notebook.parent or inside in RESERVED or inside.startswith("."):
        raise E3DError(f"{out} belongs to the pipeline or the notebook; choose another folder")
    if ROOT.is_relative_to(out) or Path.home().is_relative_to(out) or len(out.parts) < 3:
        raise E3DError(f"{out} holds more than one run; choose a folder of its own, as runs/mine")


def _published(notebook: Path, like: str | None) -> dict[str, Any]:
    """Values of `params.yaml` for a notebook: those of `like`, or of its only stage."""
    stages = pipeline.stages_of(notebook)
    if like is None:
        return pipeline.read_stage(stages[0]).values if len(stages) == 1 else {}
    stage = pipeline.read_stage(like)
    if stage.notebook != notebook:
        raise E3DError(f"stage {like} runs {shown(stage.notebook)}, not {shown(notebook)}")
    return stage.values


def find(notebook: str | Path) -> Path:
    """A notebook by its path, or its place in `notebooks/` as in `make/train`, `.ipynb` or not."""
    path = Path(notebook)
    candidates = [
        path,
        ROOT / path,
        NOTEBOOKS / path,
        NOTEBOOKS / path.with_name(f"{path.name}.ipynb"),
    ]
    found = next((c for c in candidates if c.is_file()), None)
    if found is None:
        names = sorted(p.relative_to(NOTEBOOKS).with_suffix("") for p in NOTEBOOKS.rglob("*.ipynb"))
        there = ", ".join(map(str, names))
        raise E3DError(f"notebook {notebook} does not exist; there are: {there}")
    return found.resolve()


def execute(
    notebook: Path,
    values: dict[str, Any],
    target: Path | None,
    *,
    name: str,
    inputs: Sequence[Path] = (),
) -> float:
    """Execute a notebook in the root of the checkout; returns the wall time in s.

    `target` receives the executed, stripped notebook; only when every cell succeeded. While it runs
    and when it fails, the copy lies in `runs/failed/<name>.ipynb`.

    Raises E3DError when an input is missing, a cell raises, or `target` cannot be written.
    """
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise E3DError(
            f"{notebook.name}: {shown(missing[0])} is missing; `make pull` fetches data, "
            "labels and checkpoints, `make book` makes what follows from them"
        )
    if target is not None:
        _make_writable(target.parent)
    working = RUNS / "failed" / f"{name.replace(os.sep, '-')}.ipynb"
    _make_writable(working.parent)
    start = time.perf_counter()
    executed = kernel.executed(notebook, working, values)
    if target is not None:
        with files.replacing(target) as temporary:
            nbformat.write(strip_run_metadata(executed), temporary)
    working.unlink()
    return time.perf_counter() - start


def strip_run_metadata(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove what differs between two equal runs; what was written to stderr goes to ours.

    Timestamps, paths, random ids (of the injected cell, of styled tables), the interpreter's patch
    version and progress bars (on stderr) go; code, results and their order stay. What is displayed
    is made `harmless`.
    """
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        cell.id = "injected-parameters" if "injected-parameters" in tags else f"cell-{index:02d}"
        if cell.cell_type == "code":
            for output in cell.outputs:
                if output.get("name") == "stderr":
                    print(output.text, file=sys.stderr, end="")
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for position, output in enumerate(cell.outputs):
                if "text/plain" in output.get("data", {}):
                    output.data["text/plain"] = _ADDRESS.sub("", output.data["text/plain"])
                if "text/html" in output.get("data", {}):
                    html = output.data["text/html"]
                    output.data["text/html"] = _TABLE_ID.sub(f"T_{index}_{position}", html)
    return harmless.outputs(notebook)


def _named_inputs(values: dict[str, Any]) -> list[Path]:
    """Parameters that name a file or folder of data."""
    folders = tuple(f"{folder}/" for folder in pipeline.INPUT_FOLDERS)
    return [
        ROOT / text
        for name, value in values.items()
        for text in (value if isinstance(value, list) else [value])
        if name != "output_dir" and isinstance(text, str) and text.startswith(folders)
    ]


def _make_writable(folder: Path) -> None:
    """Create a folder, or raise E3DError in the words of every other failing write."""
    probe = folder / ".probe"
    with files.replacing(probe):
        pass
    probe.unlink()
