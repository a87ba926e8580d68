"""One side of compare_layouts.py: what the library on PYTHONPATH computes, as JSON.

The task comes as JSON on standard input; its `places` say in which module each name is.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.units import Bohr, Hartree
from safetensors.numpy import load_file

TASK = json.load(sys.stdin)
GOT = {
    name: getattr(importlib.import_module(place), name) for name, place in TASK["places"].items()
}


def settings(values: dict[str, Any]) -> Any:
    return GOT["Settings"](**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def gfn2(smiles: str) -> float:
    graph = GOT["parse_smiles"](smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    positions = GOT["relax"](numbers, GOT["embed"](graph, seed=0))
    return float(GOT["METHODS"]["gfn2"](numbers, positions / Bohr)[0])


def dft(molecule: Any) -> tuple[float, float]:
    """Energy in hartree of the first stored geometry, computed and as stored."""
    method = GOT["METHODS"]["wb97m-d3bj/def2-tzvp"]
    energy = method(molecule.atomic_numbers, molecule.positions[0] / Bohr)[0]
    return float(energy), float(molecule.energies[0]) / Hartree


def weights() -> dict[str, list]:
    torch.set_num_threads(1)
    out = Path(TASK["out"])
    GOT["train"](settings(TASK["train"]), out / "run", work=out / "work")
    return {k: v.tolist() for k, v in load_file(out / "run" / "weights.safetensors").items()}


molecules = GOT["bulk_molecules"](
    400, ["data/dft-small.h5"], max_heavy_atoms=5, minor_fraction=0.2, seed=0)  # fmt: skip
small = sorted(GOT["read_molecules"](["data/dft-small.h5"])[0], key=lambda m: len(m.atomic_numbers))
found = {
    "configurations": {
        name: GOT["configuration"](settings(values), Path("/folder"))
        for name, values in TASK["runs"].items()
    },
    "molecules": molecules,
    "drawn": GOT["draw_for_training"](molecules, 60, ["labels/alignment.h5"], seed=0),
    "gfn2": {smiles: gfn2(smiles) for smiles in TASK["smiles"]},
    "dft": {molecule.name: dft(molecule) for molecule in small[1:4]},
}
if TASK["train"]:
    found["weights"] = weights()
Path(TASK["answer"]).write_text(json.dumps(found))
