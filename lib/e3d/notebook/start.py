"""The first call of every notebook: where it works, and where its results go."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from e3d.paths import ROOT, RUNS


def start(name: str, output_dir: str = "") -> str:
    """Make the root of the checkout the working directory; returns the folder for results.

    name: of the notebook, without `.ipynb`; output_dir: its parameter of that name, which
    `e3d stage` and `e3d run` set. In JupyterLab it is empty: then results go into a new folder
    `runs/<name>/<date and time>/`, never over those of the pipeline, with the parameters of the
    notebook, `parameters.json`.
    """
    os.chdir(ROOT)
    if output_dir:
        return output_dir
    folder = new_folder(name)
    folder.mkdir(parents=True)
    values = _literals(vars(sys.modules["__main__"]))  # in a kernel, the notebook
    (folder / "parameters.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    print(f"results go into {folder.relative_to(ROOT)}/")
    return str(folder.relative_to(ROOT))


def _literals(names: dict[str, Any]) -> dict[str, Any]:
    """Plain values that a notebook has defined: before its first call, its parameters."""

    def plain(value: Any) -> bool:
        match value:
            case list():
                return all(map(plain, value))
            case dict():
                return all(isinstance(key, str) and plain(value[key]) for key in value)
        return value is None or isinstance(value, bool | int | float | str)

    own = {"In", "Out", "output_dir"}  # of IPython, and where the folder is
    return {name: value for name, value in names.items()
            if not name.startswith("_") and name not in own and plain(value)}  # fmt: skip


def new_folder(name: str) -> Path:
    """A folder below `runs/<name>/` that does not exist yet, named after the time."""
    moment = datetime.now().strftime("%Y-%m-%dT%H%M%S")
    names = [moment, *(f"{moment}-{k}" for k in range(2, 100))]
    return next(RUNS / name / last for last in names if not (RUNS / name / last).exists())
