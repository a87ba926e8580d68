"""Batched graphs of ASE structures, the input of nequip models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols

from e3d.errors import E3DError
from e3d.models.allegro import Model

#: nequip's AtomicDataDict of several structures.
Batch = dict[str, torch.Tensor]
#: Structures per batch on a CPU, few enough that their graphs stay in the cache of a core.
CPU_BATCH = 16
#: Directed edges per batch, which memory is proportional to, on a GPU. The shipped models take
#: about 50 kB for each.
GPU_EDGES = 100_000
#: Directed edges of the graphs that are made ahead on a CPU, some ten megabytes.
_GATHERED_EDGES = 50_000


def batches(
    model: Model,
    structures: Iterable[Atoms],
    batch_size: int | None = None,
    *,
    max_edges: int | None = None,
) -> Iterator[Batch]:
    """Graphs of several structures at a time, preprocessed as the model requires.

    A batch is full with `batch_size` structures, or before it would have more than `max_edges`
    directed edges; a larger structure is a batch of its own. Without either, `CPU_BATCH` or
    `GPU_EDGES` counts. The batches lie on the device of the model.

    Raises E3DError for a structure that the model cannot evaluate, see `edges.decompose`.
    """
    if batch_size is None and max_edges is None:
        batch_size = CPU_BATCH if model.device.type == "cpu" else None
        max_edges = None if model.device.type == "cpu" else GPU_EDGES
    found = _batches(model, structures, batch_size, max_edges)
    return _gathered(found) if model.device.type == "cpu" else _ahead(found)


def _batches(
    model: Model, structures: Iterable[Atoms], batch_size: int | None, max_edges: int | None
) -> Iterator[Batch]:
    prepare = transforms(model)
    waiting: list[Batch] = []
    n_edges = 0
    for atoms in structures:
        graph = _graph(model, prepare, atoms)
        own = graph["edge_index"].shape[1]
        full = batch_size is not None and len(waiting) >= batch_size
        if waiting and (full or (max_edges is not None and n_edges + own > max_edges)):
            yield _together(model, waiting)
            waiting, n_edges = [], 0
        waiting.append(graph)
        n_edges += own
    if waiting:
        yield _together(model, waiting)


def _gathered(items: Iterator[Batch]) -> Iterator[Batch]:
    """The same items, several made before the first is used: graphs and network compete for the
    cache of a core, and turn about they are slower by a tenth."""
    waiting: list[Batch] = []
    n_edges = 0
    try:
        for batch in items:
            waiting.append(batch)
            n_edges += batch["edge_index"].shape[1]
            if n_edges >= _GATHERED_EDGES:
                yield from waiting
                waiting, n_edges = [], 0
    except E3DError:  # what was before a bad structure comes before its error
        yield from waiting
        raise
    yield from waiting


def _ahead(items: Iterator[Batch]) -> Iterator[Batch]:
    """The same items, the next one made in a thread while the last one is in use: a CPU builds
    graphs while the GPU computes."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


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
    if unknown := set(atoms.numbers.tolist()) - _numbers_of(model.type_names):
        listed = ", ".join(sorted(chemical_symbols[number] for number in unknown))
        problem = (
            f"model {model.name} does not know {listed}; its elements are "
            f"{', '.join(model.type_names)}"
        )
    elif len(atoms) == 0 or not np.isfinite(atoms.positions).all():
        problem = "expected at least one atom and finite positions"
    elif atoms.pbc.any() and any(atoms.pbc & (atoms.cell.lengths() == 0)):
        problem = "periodic along a direction that has no cell vector"
    else:
        return
    raise E3DError(f"{atoms.get_chemical_formula() or 'structure without atoms'}: {problem}")


@lru_cache
def _numbers_of(symbols: tuple[str, ...]) -> frozenset[int]:
    return frozenset(NUMBER_OF_SYMBOL[symbol] for symbol in symbols)


def batched(model: Model, prepare: list[Callable], structures: list[Atoms]) -> Batch:
    """One graph of several structures; `prepare` as of `transforms`."""
    return _together(model, [_graph(model, prepare, atoms) for atoms in structures])


def _graph(model: Model, prepare: list[Callable], atoms: Atoms) -> Batch:
    """The graph of one structure. Raises E3DError when the model cannot evaluate it."""
    from nequip.data import AtomicDataDict as Keys
    from nequip.data import from_dict
    from nequip.utils.dtype import torch_default_dtype

    _check(model, atoms)
    fields = {Keys.POSITIONS_KEY: atoms.positions, Keys.ATOMIC_NUMBERS_KEY: atoms.numbers,
              Keys.PBC_KEY: tuple(atoms.pbc.tolist()), Keys.CELL_KEY: atoms.cell.array}  # fmt: skip
    with torch_default_dtype(torch.float64):
        graph = from_dict(fields)
    for transform in prepare:
        graph = transform(graph)
    return graph


def _together(model: Model, graphs: list[Batch]) -> Batch:
    """One graph of several, on the device of the model."""
    from nequip.data import AtomicDataDict

    batch = AtomicDataDict.batched_from_list(graphs)
    if model.device.type == "cuda":  # pinned memory is copied while the GPU computes
        return {
            key: value.pin_memory().to(model.device, non_blocking=True)
            for key, value in batch.items()
        }
    return AtomicDataDict.to_(batch, model.device)
