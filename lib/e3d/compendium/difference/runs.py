"""Runs by name: folders that a notebook wrote, stages as they are, and as a commit has them."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e3d.compendium import parameters, pipeline, provenance
from e3d.errors import E3DError, said
from e3d.paths import NOTEBOOKS, ROOT, RUNS

#: Files that a run has about itself, not results.
RECORD, BY_HAND = "provenance.json", "parameters.json"
_NO_RESULTS = (".ipynb", ".html", ".svg", ".lock", ".tmp")
#: Files and folders of a commit that say what a stage is and what it found.
_OF_A_COMMIT = ("dvc.yaml", "params.yaml", "notebooks", "results")


@dataclass(frozen=True)
class Run:
    """A run of a notebook, on whatever day and with whatever parameters.

    parameters: None where no record of them is left; files: paths of results by their names within
    the run; origin: code, data and packages that it was made from, empty where unknown; absent:
    what the stage writes and its commit does not hold, so that it is not compared.
    """

    title: str
    notebook: str
    parameters: dict[str, Any] | None
    files: dict[str, Path]
    origin: dict[str, Any]
    absent: tuple[str, ...] = ()


@contextmanager
def opened(first: str, second: str | None, *, like: str | None) -> Iterator[tuple[Run, Run]]:
    """Two runs, the earlier one first. What a commit has lies in a temporary folder meanwhile.

    A run is a folder; the name of a stage, as the working tree has it; REVISION:STAGE, as a commit
    or an experiment of DVC has it; or the name of a notebook, for the last run in `runs/`. Without
    a second one the first is compared with what is published: a stage with that of the last
    commit, all others with the stage of their notebook, which `like` names where several are.

    Raises E3DError, saying what there is, for a name that is none of these.
    """
    with tempfile.TemporaryDirectory() as folder:
        if second is not None:
            yield _run(first, Path(folder, "1")), _run(second, Path(folder, "2"))
            return
        run = _run(first, Path(folder, "1"))
        if _is_stage(first):
            yield _run(f"HEAD:{first}", Path(folder, "2")), run
            return
        published = first.partition(":")[2] if _is_revision(first) else like or _stage_of(run)
        yield _of_stage(published, ROOT, f"{published}, published"), run


def _is_revision(text: str) -> bool:
    return ":" in text and not Path(text).exists()


def _run(text: str, temporary: Path) -> Run:
    folder = Path(text)
    if _is_stage(text):  # also where a folder has its name, which ./NAME is
        return _of_stage(text, ROOT, text)
    if folder.is_dir():
        return _of_folder(folder)
    if _is_revision(text):
        revision, _, stage = text.partition(":")
        _check_out(revision, temporary)
        return _of_stage(stage, temporary, text)
    runs = sorted(path for path in (RUNS / folder.stem).glob("*") if path.is_dir())
    if runs:
        return _of_folder(runs[-1])
    raise E3DError(
        f"{text} is no folder of a run, no stage of dvc.yaml, and no notebook with a run in runs/; "
        "`e3d run NOTEBOOK -p name=value` makes one"
    )


def _is_stage(text: str) -> bool:
    try:
        pipeline.read_stage(text)
    except E3DError:
        return False
    return True


def _stage_of(run: Run) -> str:
    """The only stage of a run's notebook."""
    stages = pipeline.stages_of(ROOT / run.notebook)
    if len(stages) == 1 and _is_stage(stages[0]):
        return stages[0]
    raise E3DError(
        f"{run.title}: nothing published is of {run.notebook or 'its notebook'} alone"
        + (f", several stages are ({', '.join(stages)})" if stages else "")
        + "; name a stage with --like, or give a second run"
    )


def _of_folder(folder: Path) -> Run:
    """A run that `e3d run` or JupyterLab left. Raises E3DError for a folder without results."""
    shown = str(folder.resolve().relative_to(ROOT)) if folder.resolve().is_relative_to(ROOT) \
        else str(folder)  # fmt: skip
    found = _results(folder, folder)
    if not found:
        raise E3DError(f"{folder} holds no results; give the folder that `e3d run` names")
    if (record := _record(folder / RECORD)) is not None:
        return Run(shown, record["notebook"], _own(record["parameters"]), found, _origin(record))
    by_hand = _json(folder / BY_HAND)
    notebook = NOTEBOOKS / f"{folder.resolve().parent.name}.ipynb"
    given = None
    if by_hand is not None and notebook.is_file():
        # a notebook has names of its own besides
        given = {k: v for k, v in by_hand.items() if k in parameters.defaults(notebook)}
    name = str(notebook.relative_to(ROOT)) if notebook.is_file() else ""
    return Run(shown, name, None if given is None else _own(given), found, {})


def _of_stage(name: str, root: Path, title: str) -> Run:
    """What a stage left in a checkout. Raises E3DError where nothing of it is there."""
    stage = pipeline.read_stage(name, root)
    base = root / stage.values.get("output_dir", "results")
    outputs = [output for output in stage.outputs if output.is_relative_to(base)]
    found = {
        file: path
        for output in outputs
        if output.exists()
        for file, path in _results(output, base).items()
    }
    if not found:
        where = "has none in git; `dvc pull` fetches what DVC keeps" if root != ROOT \
            else "`dvc pull` or `dvc repro` makes them"  # fmt: skip
        raise E3DError(f"{title}: no results are there; {where}")
    record = (_record(root / "provenance" / f"{name}.json") if root == ROOT else None) or {}
    values = record.get("parameters", stage.values)
    known = parameters.defaults(stage.notebook)
    notebook = str(stage.notebook.relative_to(root))
    absent = [str(out.relative_to(base)) for out in outputs if root != ROOT and not out.exists()]
    return Run(title, notebook, _own(known | values), found, _origin(record), tuple(absent))


def _results(place: Path, base: Path) -> dict[str, Path]:
    """Result files in a folder, or the one file that a place is, by their path from `base`."""
    paths = [place] if place.is_file() else sorted(place.rglob("*"))
    own = {base / RECORD, base / BY_HAND}
    return {
        str(path.relative_to(base)): path
        for path in paths
        if path.is_file()
        and path.suffix not in _NO_RESULTS
        and path not in own
        and not any(part.startswith(".") for part in path.relative_to(base).parts)
    }


def _own(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters without the folder of the run, in which any two differ."""
    return {name: value for name, value in values.items() if name != "output_dir"}


def _origin(record: dict[str, Any]) -> dict[str, Any]:
    inputs = {f"input {name}": digest for name, digest in record.get("inputs", {}).items()}
    found = {"code": record.get("code")} | inputs | record.get("versions", {})
    return {name: value for name, value in found.items() if value is not None}


def _record(path: Path) -> dict[str, Any] | None:
    return provenance.read(path) if path.exists() else None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise E3DError(f"{path} cannot be read: {said(error)}") from None


def _check_out(revision: str, folder: Path) -> None:
    """What a commit, or an experiment of DVC, has of the pipeline and its results."""
    name = _experiment(revision) or revision
    there = _git("ls-tree", "--name-only", "--end-of-options", name).decode().split()
    tar = _git("archive", "--format=tar", name, *(set(_OF_A_COMMIT) & set(there)))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        archive.extractall(folder, filter="data")


def _experiment(name: str) -> str | None:
    references = _git("for-each-ref", "--format=%(refname)", "refs/exps").decode().split()
    return next((ref for ref in references if ref.rpartition("/")[2] == name), None)


def _git(*arguments: str) -> bytes:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
        raise E3DError(f"git {arguments[0]}: {said[0]}")
    return done.stdout
