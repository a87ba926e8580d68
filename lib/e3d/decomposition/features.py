"""What the layers of an Allegro network hold of every edge.

Allegro keeps a vector of scalars for every directed edge: first a function of the distance and the
two elements alone, then one more vector per layer, each of which has met the neighbours of the
centre. The readout maps all of them, side by side, to the energy of the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Int

from e3d.decomposition.edges import Decomposition, decompose_batches
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model

#: Places where features are read, beside `layer 1`, `layer 2`, …; see `edge_features`.
TWO_BODY, READOUT, HIDDEN, ENERGY = "two-body", "readout input", "readout hidden", "energy"


class Edges(NamedTuple):
    """Features of the directed edges of one structure: by place, (n_edges, n_features).

    decomposition: of the same structure, its edges in the same order.
    """

    edge_index: Int[np.ndarray, "2 n_edges"]
    features: dict[str, np.ndarray]
    decomposition: Decomposition


def edge_features(model: Model, structures: Iterable[Atoms]) -> Iterator[Edges]:
    """What a network holds of every directed edge, read off while it runs.

    Places: `two-body` (of the distance and the two elements), `layer 1`, … (the scalars after each
    Allegro layer), `readout input` (all of these side by side), `readout hidden` (the activations
    whose weighted sum is the energy) and `energy`, E_ij in eV. Features have no unit.

    Raises E3DError for a model that is no Allegro, and as `decompose` does.
    """
    width = _having(model, "num_scalar_features").num_scalar_features
    readout = _having(model, "edge_readout").edge_readout.mlp_module
    seen: dict[str, np.ndarray] = {}

    def keep(place: str) -> Any:
        return lambda _, inputs: seen.update({place: inputs[0].detach().cpu().double().numpy()})

    hooks = [
        part.register_forward_pre_hook(keep(place))
        for place, part in ((READOUT, readout), (HIDDEN, readout.mlp[-1]))
    ]
    try:
        for batch in batches.batches(model, structures):
            yield from _split(list(decompose_batches(model, [batch])), seen, width)
    finally:
        for hook in hooks:
            hook.remove()


def _having(model: Model, attribute: str) -> Any:
    """The part of a network that has an attribute; no type checker can follow torch's modules."""
    for child in model.module.modules():
        if hasattr(child, attribute):
            return child
    raise E3DError(
        f"model {model.name} has no {attribute!r}; expected an Allegro model of the nequip "
        "framework"
    )


def _split(found: list[Decomposition], seen: dict[str, np.ndarray], width: int) -> Iterator[Edges]:
    """One `Edges` per structure of a batch, the input of the readout cut into its layers."""
    parts = np.split(seen[READOUT], seen[READOUT].shape[1] // width, axis=1)
    names = [TWO_BODY, *(f"layer {k}" for k in range(1, len(parts)))]
    places = dict(zip(names, parts, strict=True)) | {
        place: seen[place] for place in (READOUT, HIDDEN)
    }
    start = 0
    for one in found:
        rows = slice(start, start := start + len(one.edge_energies))
        features = {place: values[rows] for place, values in places.items()}
        yield Edges(one.edge_index, features | {ENERGY: one.edge_energies[:, None]}, one)
