"""Data cards and model cards: what a file or checkpoint is, read from itself and its record.

Nothing in a card is typed: contents come from attributes, from `model.yaml` and from `history.csv`,
origin from the record of the run that made it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from e3d import files
from e3d.compendium.harmless import code, plain
from e3d.models.checkpoint import read_metadata


def card(path: Path, record: dict[str, Any] | None) -> str:
    """The card of a data file or checkpoint folder as Markdown.

    record: of the run that made it, None for what came from elsewhere. Raises E3DError when a
    checkpoint is malformed, OSError when a file cannot be read.
    """
    about = _checkpoint(path) if path.is_dir() else _file(path)
    sections = {"Content": about, "Origin": _origin(record)}
    lines = [f"# {plain(path.name)}", "", f"SHA-256: {code(files.digest(path))}", ""]
    for title, entries in sections.items():
        lines += [f"## {title}", "", "| what | value |", "|---|---|"]
        lines += [f"| {plain(key)} | {_cell(value)} |" for key, value in entries.items()] + [""]
    return "\n".join(lines)


def _checkpoint(folder: Path) -> dict[str, Any]:
    metadata = read_metadata(folder)
    architecture, dataset = metadata["architecture"], metadata["dataset"]
    end = pd.read_csv(folder / "history.csv").ffill().iloc[-1].dropna()
    return {
        "kind": "interatomic potential (Allegro): energies in eV, forces in eV/Å",
        "elements": ", ".join(architecture["type_names"]),
        "cutoff (Å)": architecture["r_max"],
        "layers": architecture.get("num_layers"),
        "trained on": [dataset["path"], *dataset.get("more", {})],
        "level of theory": dataset["level_of_theory"],
        "seed": metadata["training"].get("seed"),
        "training": {k: v for k, v in metadata["training"].items() if v not in ("", [], None)},
        "at the end of training": {name: float(f"{value:.3g}") for name, value in end.items()},
        "valid for": "closed-shell molecules of these elements, near the geometries trained on",
        "licence": "CC0-1.0",
    }


def _file(path: Path) -> dict[str, Any]:
    if path.suffix == ".h5":
        with h5py.File(path) as stored:
            attributes = {key: str(value) for key, value in stored.attrs.items()}
            size = path.stat().st_size
            return {"kind": "HDF5", "groups": len(stored), "bytes": size, **attributes}
    if path.suffix == ".csv":
        table = pd.read_csv(path, comment="#")
        return {"kind": "table", "rows": len(table), "columns": list(table.columns)}
    return {"kind": path.suffix.lstrip(".") or "text", "bytes": path.stat().st_size}


def _origin(record: dict[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {"made by": "not made here; see the chapter on data"}
    return {
        "stage": record["name"],
        "notebook": record["notebook"],
        "code revision": record["code"],
        "parameters": record["parameters"],
        "inputs (SHA-256)": record["inputs"],
        "requirements.lock (SHA-256)": record["requirements_lock_sha256"],
        "hardware": record["machine"],
        "wall time (s)": record["wall_time_s"],
    }


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return code(text).replace("|", "\\|")
