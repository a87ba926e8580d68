"""Stages as `dvc.yaml` and `params.yaml` declare them: the notebook, typed parameters, inputs.

The first dependency that ends in `.ipynb` is the notebook. Its parameters are the entries of
`params.yaml` that the stage lists under `params`, later ones over earlier ones: the defaults of a
group, then what the one run says. Results go to `results/` unless they say otherwise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from e3d.compendium import parameters
from e3d.errors import E3DError, said
from e3d.paths import PARAMS, PIPELINE, ROOT

#: Folders whose files a run reads, and whose contents its record names by hash.
INPUT_FOLDERS = ("data", "labels", "checkpoints", "simulations", "results")
_REFERENCE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Stage:
    """One stage, or one instance NAME@KEY of a group of stages (`foreach`).

    notebook: its path; values: parameters that differ from those of the notebook, with their types;
    inputs, outputs: what it reads of data, and all that it writes, as `dvc.yaml` lists them.
    """

    name: str
    notebook: Path
    values: dict[str, Any]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...] = ()


def read_stage(target: str, root: Path = ROOT) -> Stage:
    """The stage NAME, or NAME@KEY of a group, in the checkout `root`.

    Raises E3DError, with the nearest names that exist, when there is none, when it runs no
    notebook, or when a parameter is unknown to its notebook or has another type.
    """
    stages, params = _declared(root)
    name, at, key = target.partition("@")
    entry = _pick(name, stages, "stage", PIPELINE.name)
    fields: dict[str, Any] = {}
    if "foreach" in entry:
        runs = _look_up(_REFERENCE.fullmatch(entry["foreach"])[1], params)  # type: ignore[index]
        fields = {"key": key, "item": _pick(key, runs, f"run of {name}", PARAMS.name) or {}}
        entry = entry["do"]
    elif at:
        raise E3DError(f"{name} in {PIPELINE.name} is no group of runs: leave out @{key}")
    dependencies = [_filled(text, fields) for text in entry["deps"]]
    notebooks = [text for text in dependencies if text.endswith(".ipynb")]
    if not notebooks:
        raise E3DError(f"stage {name} of {PIPELINE.name} runs no notebook; use `dvc repro {name}`")
    notebook = root / notebooks[0]
    known = parameters.defaults(notebook)
    given: dict[str, Any] = {}
    for path in entry.get("params", []):
        entries = _look_up(_filled(path, fields), params) or {}
        if not isinstance(entries, Mapping):
            raise E3DError(f"{PARAMS.name}: {path} is {entries!r:.60}, expected name: value")
        given |= entries
    given.setdefault("output_dir", "results")
    if key and "run" in known:
        given["run"] = key
    inputs = [root / text for text in dependencies if text.split("/")[0] in INPUT_FOLDERS]
    names = [_filled(text, fields) for out in entry.get("outs", ())
             for text in ([out] if isinstance(out, str) else out)]  # fmt: skip
    outputs = tuple(root / text for text in names)
    return Stage(target, notebook, parameters.typed(given, known), tuple(inputs), outputs)


def stages_of(notebook: Path) -> list[str]:
    """Names of the stages, groups included, that run this notebook."""
    stages, _ = _declared(ROOT)
    relative = str(notebook.relative_to(ROOT)) if notebook.is_relative_to(ROOT) else ""
    return [name for name, entry in stages.items()
            if relative in entry.get("do", entry).get("deps", [])]  # fmt: skip


def _declared(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    found = []
    for path in (root / PIPELINE.name, root / PARAMS.name):
        try:
            found.append(yaml.load(path.read_text(encoding="utf-8"), Loader=loader))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise E3DError(f"{path.name} cannot be read: {said(error)}") from None
        if not isinstance(found[-1], dict):
            raise E3DError(f"{path.name} holds {found[-1]!r:.60}, expected name: value")
    stages = found[0].get("stages")
    if not isinstance(stages, dict):
        raise E3DError(f"{PIPELINE.name} has no stages")
    for name, entry in stages.items():
        if not _is_stage(entry):
            raise E3DError(f"stage {name!r:.60} of {PIPELINE.name} is not what DVC expects")
    return stages, found[1]


def _is_stage(entry: Any) -> bool:
    """Whether a stage has what is read of it; DVC checks the rest."""
    if isinstance(entry, dict) and "foreach" in entry:
        each = entry["foreach"]
        return isinstance(each, str) and bool(_REFERENCE.fullmatch(each)) \
            and "foreach" not in (entry.get("do") or {}) and _is_stage(entry.get("do"))  # fmt: skip
    if not isinstance(entry, dict) or "deps" not in entry:
        return False
    texts, outs = [entry["deps"], entry.get("params", [])], entry.get("outs", [])
    return all(isinstance(each, list) for each in (*texts, outs)) and all(
        isinstance(text, str) for each in texts for text in each
    ) and all(isinstance(out, str | dict) for out in outs)  # fmt: skip


def _pick(name: str, entries: Mapping[str, Any], kind: str, file: str) -> Any:
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=3) or list(entries)
    raise E3DError(f"{file} has no {kind} {name!r}; there are {', '.join(near)}")


def _look_up(path: str, tree: Mapping[str, Any]) -> Any:
    try:
        return reduce(lambda node, part: node[part], path.split("."), tree)
    except (KeyError, TypeError):
        raise E3DError(f"{PARAMS.name} has no entry {path}, which {PIPELINE.name} names") from None


def _filled(text: str, fields: Mapping[str, Any]) -> str:
    """A text of `dvc.yaml` with `${key}` and `${item.…}` replaced."""
    return _REFERENCE.sub(lambda match: str(_look_up(match[1], fields)), text)
