"""Data cards and model cards: what a file or checkpoint is, read from itself and its record.

Nothing in a card is typed: contents come from attributes, from `model.yaml` and from `history.csv`,
origin from the record of the run that made it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
from ase.io import iread
from safetensors import safe_open

from e3d import files
from e3d.compendium.harmless import code, plain
from e3d.errors import E3DError, said
from e3d.models.checkpoint import read_metadata, weights_file

#: Of data and checkpoints that do not name another.
LICENCE = "CC0-1.0"
#: Settings that are not made use of, and those that say nothing where a training goes on from a
#: checkpoint.
_NONE: tuple[object, ...] = ("", [], None)
_ARCHITECTURE = frozenset(
    ["cutoff_A", "l_max", "n_layers", "n_scalar_features", "n_tensor_features", "type_names"]
)


def card(path: Path, record: dict[str, Any] | None, *, used_by: Collection[str] = ()) -> str:
    """The card of a data file or checkpoint folder as Markdown.

    record: of the run that made it, None for what came from elsewhere; used_by: names of the stages
    that read it. Raises E3DError when a checkpoint is malformed or the file is not what its suffix
    says.
    """
    try:
        about = _checkpoint(path) if path.is_dir() else _file(path)
    except (OSError, ValueError, KeyError) as error:
        raise E3DError(
            f"{path} cannot be described ({said(error)}); pull it again: `make pull`"
        ) from error
    sections = {"Content": about, "Origin": _origin(record)}
    if used_by:
        sections["Use"] = {"stages": ", ".join(sorted(used_by))}
    lines = [f"# {plain(path.name)}", "", f"SHA-256: {code(files.digest(path))}", ""]
    for title, entries in sections.items():
        lines += [f"## {title}", "", "| what | value |", "|---|---|"]
        lines += [f"| {plain(key)} | {_cell(value)} |" for key, value in entries.items()] + [""]
    return "\n".join(lines)


def _checkpoint(folder: Path) -> dict[str, Any]:
    metadata = read_metadata(folder)
    architecture, dataset = metadata["architecture"], metadata["dataset"]
    training = metadata["training"]
    end = pd.read_csv(folder / "history.csv").ffill().iloc[-1].dropna()
    molecules = "molecules and radicals" if training.get("radicals") else "closed-shell molecules"
    shuffled = training.get("labels") == "shuffled"
    # a model that goes on from another one keeps its architecture
    ignored = _ARCHITECTURE if training.get("initial_checkpoint") else frozenset()
    return {
        "kind": "interatomic potential (Allegro): energies in eV, forces in eV/Å",
        "elements": ", ".join(architecture["type_names"]),
        "cutoff (Å)": architecture["r_max"],
        "layers": architecture.get("num_layers"),
        "weights": _n_weights(folder),
        "trained on": [dataset["path"], *dataset.get("more", {})],
        "level of theory": dataset["level_of_theory"],
        "seed": training.get("seed"),
        "training": {k: v for k, v in training.items() if v not in _NONE and k not in ignored},
        "errors at its end (eV per atom, eV/Å; mse: their squares)": {
            name: float(f"{value:.3g}") for name, value in end.items()
        },
        "valid for": "nothing: its labels were permuted, as a null model" if shuffled
        else f"{molecules} of these elements, near the geometries trained on",
        "licence": LICENCE,
    }  # fmt: skip


def _n_weights(folder: Path) -> int:
    with safe_open(weights_file(folder), framework="numpy") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def _file(path: Path) -> dict[str, Any]:
    describe = {".h5": _hdf5, ".csv": _table, ".smi": _smiles, ".xyz": _structures, ".json": _json}
    about = describe.get(path.suffix, lambda path: {"kind": path.suffix.lstrip(".") or "text"})(
        path
    )
    return {**about, "bytes": path.stat().st_size} | (
        {} if "license" in about else {"licence": LICENCE}
    )


def _hdf5(path: Path) -> dict[str, Any]:
    with h5py.File(path) as stored:
        attributes = {key: str(value) for key, value in stored.attrs.items()}
        counts = [len(group["conformations"]) for group in stored.values()
                  if isinstance(group, h5py.Group) and "conformations" in group]  # fmt: skip
        if len(counts) < len(stored):
            return {"kind": "HDF5", "groups": len(stored), **attributes}
        return {"kind": "labelled conformations, HDF5 in the schema of SPICE",
                "molecules": len(counts), "conformations": sum(counts), **attributes}  # fmt: skip


def _table(path: Path) -> dict[str, Any]:
    table = pd.read_csv(path, comment="#")
    about = {"kind": "table", "rows": len(table), "columns": list(table.columns)}
    if "source" in table:
        about["sources"] = sorted(table["source"].dropna().unique())
    return about


def _smiles(path: Path) -> dict[str, Any]:
    lines = path.read_text(encoding="utf-8").splitlines()
    about = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    found = [line for line in lines if line.strip() and not line.startswith("#")]
    return {"kind": "SMILES", "molecules": len(found), "about": " ".join(about)}


def _structures(path: Path) -> dict[str, Any]:
    frames = [len(atoms) for atoms in iread(path, index=":", format="extxyz")]
    return {"kind": "structures, extended XYZ", "structures": len(frames), "atoms": sum(frames)}


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {"kind": "JSON", "entries": list(content) if isinstance(content, dict) else len(content)}


def _origin(record: dict[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {"made by": "not made here; see the chapter on data, 01_data"}
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
