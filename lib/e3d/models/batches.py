"""Batched graphs of ASE structures, the input of nequip models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from ase import Atoms

from e3d.errors import E3DError
from e3d.models.allegro import Model

#: nequip's AtomicDataDict of several structures.
Batch = dict[str, torch.Tensor]
#: Structures per batch; on a CPU few enough that their graphs stay in the cache of a core.
CPU_BATCH, GPU_BATCH = 16, 256


def batches(
    model: Model, structures: Iterable[Atoms], batch_size: int | None = None
) -> Iterator[Batch]:
    """Graphs of `batch_size` structures at a time, preprocessed as the model requires.

    They lie on the device of the model.

    Raises E3DError for a structure that the model cannot evaluate, see `edges.decompose`.
    """
    prepare = transforms(model)
    batch_size = batch_size or (CPU_BATCH if model.device.type == "cpu" else GPU_BATCH)
    remaining = iter(structures)
    while chunk := list(islice(remaining, batch_size)):
        yield batched(model, prepare, chunk)


def kind(model: Model) -> Hashable:
    """What the graphs of a model depend on; models of the same kind can share them."""
    from nequip.nn.graph_model import PER_EDGE_TYPE_CUTOFF_KEY

    metadata: Any = model.module.metadata
    return model.cutoff, model.type_names, model.device, metadata.get(PER_EDGE_TYPE_CUTOFF_KEY)


def transforms(model: Model) -> list[Callable]:
    """nequip's own preprocessing: atom types, then neighbours within the cutoff."""
    from nequip.integrations.utils import basic_transforms

    names = list(model.type_names)
    try:
        return basic_transforms(
            model.module.metadata, model.cutoff, names, {name: name for name in names}
        )
    except ValueError as error:
        raise E3DError(
            f"model {model.name} has types {names}, expected chemical symbols"
        ) from error


def _check(model: Model, atoms: Atoms) -> None:
    """Raise E3DError for a structure that the model cannot evaluate."""
    if unknown := sorted(set(atoms.symbols) - set(model.type_names)):
        problem = (
            f"model {model.name} does not know {', '.join(unknown)}; its elements are "
            f"{', '.join(model.type_names)}"
        )
    elif len(atoms) == 0 or not np.isfinite(atoms.positions).all():
        problem = "expected at least one atom and finite positions"
    elif any(atoms.pbc & (atoms.cell.lengths() == 0)):
        problem = "periodic along a direction that has no cell vector"
    else:
        return
    raise E3DError(f"{atoms.get_chemical_formula() or 'structure without atoms'}: {problem}")


def batched(model: Model, prepare: list[Callable], structures: list[Atoms]) -> Batch:
    """One graph of several structures; `prepare` as of `transforms`."""
    from nequip.data import AtomicDataDict, from_ase
    from nequip.utils.dtype import torch_default_dtype

    graphs = []
    for atoms in structures:
        _check(model, atoms)
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        with torch_default_dtype(torch.float64):
            graph = from_ase(bare)
        for transform in prepare:
            graph = transform(graph)
        graphs.append(graph)
    return AtomicDataDict.to_(AtomicDataDict.batched_from_list(graphs), model.device)
