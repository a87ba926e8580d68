"""The first call of every notebook: where it works, and where its results go."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from e3d.paths import ROOT, RUNS


def start(name: str, output_dir: str = "") -> str:
    """Make the root of the checkout the working directory; returns the folder for results.

    name: of the notebook, without `.ipynb`; output_dir: its parameter of that name, which
    `e3d stage` and `e3d run` set. In JupyterLab it is empty: then results go into a new folder
    `runs/<name>/<date and time>/`, never over those of the pipeline.
    """
    os.chdir(ROOT)
    if output_dir:
        return output_dir
    folder = new_folder(name)
    folder.mkdir(parents=True)
    print(f"results go into {folder.relative_to(ROOT)}/")
    return str(folder.relative_to(ROOT))


def new_folder(name: str) -> Path:
    """A folder below `runs/<name>/` that does not exist yet, named after the time."""
    moment = datetime.now().strftime("%Y-%m-%dT%H%M%S")
    names = [moment, *(f"{moment}-{k}" for k in range(2, 100))]
    return next(RUNS / name / last for last in names if not (RUNS / name / last).exists())
