"""One side of compare_layouts.py: what the library on PYTHONPATH computes, as JSON.

The task comes as JSON on standard input; its `places` say in which module each name is.
"""

import functools
import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.units import Bohr, Hartree
from hydra.utils import instantiate
from nequip.data.transforms import NeighborListTransform
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


@functools.cache
def conformations(configuration: str) -> str:
    """Digest of the conformations of a data set with their labels, in their order."""
    found = hashlib.sha256()
    for frame in instantiate(json.loads(configuration))[:]:
        for key in ("pos", "atom_types", "total_energy", "forces"):
            found.update(frame[key].numpy().tobytes())
    return found.hexdigest()


def data(configuration: dict[str, Any]) -> list[str]:
    """Digests of the data sets of a run, and of the order of its first two epochs."""
    of_run = configuration["data"]
    sets = [of_run["train_dataset"], *of_run["val_dataset"]]
    digests = [conformations(json.dumps(one)) for one in sets]
    module = instantiate(of_run, _recursive_=False)
    module.setup("fit")
    order = [list(module.train_dataloader().batch_sampler) for _ in range(2)]
    return [*digests, hashlib.sha256(json.dumps(order).encode()).hexdigest()]


def weights() -> dict[str, list]:
    torch.set_num_threads(1)
    out = Path(TASK["out"])
    GOT["train"](settings(TASK["train"]), out / "run", work=out / "work")
    return {k: v.tolist() for k, v in load_file(out / "run" / "weights.safetensors").items()}


def labelling() -> dict[str, Any]:
    molecules = GOT["bulk_molecules"](
        400, ["data/dft-small.h5"], max_heavy_atoms=5, minor_fraction=0.2, seed=0)  # fmt: skip
    read, _ = GOT["read_molecules"](["data/dft-small.h5"])
    small = sorted(read, key=lambda m: len(m.atomic_numbers))
    return {
        "molecules": molecules,
        "drawn": GOT["draw_for_training"](molecules, 60, ["labels/alignment.h5"], seed=0),
        "gfn2": {smiles: gfn2(smiles) for smiles in TASK["smiles"]},
        "dft": {molecule.name: dft(molecule) for molecule in small[1:4]},
    }


configurations = {
    name: GOT["configuration"](settings(values), Path("/folder"))
    for name, values in TASK["runs"].items()
}
found: dict[str, Any] = {"configurations": configurations}
if TASK["labelling"]:
    found |= labelling()
if TASK["train"]:
    found["weights"] = weights()
# neighbours take most of the time, and follow from the positions
NeighborListTransform.forward = lambda self, frame: frame
found["data"] = {name: data(configurations[name]) for name in TASK["data"]}
Path(TASK["answer"]).write_text(json.dumps(found))
