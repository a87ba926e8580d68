"""The forward pass of an Allegro model without derivatives: the energy of every directed edge.

    E_ij = σ_t(i) · e_ij / √(2 N̄_t(i)) + V_ij / 2

with e_ij the raw readout; see `e3d.decomposition.edges`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

import torch
from jaxtyping import Float

from e3d.errors import E3DError
from e3d.models.allegro import Model

#: Edges that are evaluated at a time. The shipped models take about 50 kB of memory for each.
MAX_EDGES = {"cpu": 16_384, "cuda": 200_000}
Network = Any  # a torch module; its submodules are found by name, which no type checker can follow
Forward = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def energy_network(model: Model) -> Network:
    """The part of the model that maps positions to the total energy, without derivatives."""
    for child in model.module.modules():
        if hasattr(child, "edge_eng_sum") and hasattr(child, "per_type_energy_scale_shift"):
            return child
    raise E3DError(
        f"model {model.name} has no sum over edge energies; expected an Allegro model of the "
        "nequip framework"
    )


class Evaluated(NamedTuple):
    """What a network says of a batch: E_ij (n_edges,) in eV, lengths (n_edges,) in Å, and the total
    energy of each structure (n_structures,) in eV."""

    edge_energies: torch.Tensor
    lengths: torch.Tensor
    energies: torch.Tensor


def evaluate(
    network: Network,
    forward: Forward,
    inputs: dict[str, torch.Tensor],
    max_edges: int | None = None,
) -> Evaluated:
    """Evaluate a batch, at most about `max_edges` edges at a time, so that memory is bounded.

    forward: the network itself, or compiled. An edge energy of Allegro depends on the edges of the
    same centre alone, however many layers there are, so that a batch may be cut between centres.
    """
    from nequip.data import AtomicDataDict as Keys

    centres = inputs[Keys.EDGE_INDEX_KEY][0]
    max_edges = max_edges or MAX_EDGES.get(centres.device.type, MAX_EDGES["cpu"])
    blocks = _blocks_of_centres(centres, max_edges)
    if len(blocks) == 1:
        return _evaluate(network, forward, inputs)
    edge_energies = torch.empty(len(centres), dtype=torch.float64, device=centres.device)
    lengths = torch.empty_like(edge_energies)
    # each block has the shifts of all atoms in its energy
    shifts = network.per_type_energy_scale_shift.shifts
    zero = torch.zeros(len(inputs[Keys.NUM_NODES_KEY])).to(edge_energies)
    zero.index_add_(0, inputs[Keys.BATCH_KEY], per_type(shifts, inputs[Keys.ATOM_TYPE_KEY], 0.0))
    energies = zero.clone()
    for edges in blocks:
        part = _evaluate(network, forward, _with_edges(inputs, edges))
        edge_energies[edges], lengths[edges] = part.edge_energies, part.lengths
        energies += part.energies - zero
    return Evaluated(edge_energies, lengths, energies)


def _evaluate(network: Network, forward: Forward, inputs: dict[str, torch.Tensor]) -> Evaluated:
    from nequip.data import AtomicDataDict as Keys

    with torch.no_grad():
        out = forward(inputs)
        return Evaluated(
            edge_energies(network, out),
            out[Keys.EDGE_LENGTH_KEY].double().view(-1),
            out[Keys.TOTAL_ENERGY_KEY].double().view(-1),
        )


def _blocks_of_centres(centres: torch.Tensor, max_edges: int) -> list[torch.Tensor]:
    """Indices of edges in blocks of at most `max_edges`, all edges of a centre in the same block.

    A centre with more edges than that is a block of its own.
    """
    if len(centres) <= max_edges:
        return [torch.arange(len(centres), device=centres.device)]
    order = torch.argsort(centres, stable=True)
    ends = torch.bincount(centres).cumsum(0).cpu().numpy()  # after the last edge of each centre
    blocks, begin = [], 0
    while begin < len(order):
        fitting = ends[(ends > begin) & (ends <= begin + max_edges)]
        end = int(fitting[-1] if len(fitting) else ends[ends > begin][0])
        blocks.append(order[begin:end])
        begin = end
    return blocks


def _with_edges(inputs: dict[str, torch.Tensor], edges: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch with some of its edges."""
    from nequip.data import AtomicDataDict as Keys

    kept = dict(inputs)
    kept.pop(Keys.EDGE_TRANSPOSE_PERM_KEY, None)  # tells of all edges
    kept[Keys.EDGE_INDEX_KEY] = inputs[Keys.EDGE_INDEX_KEY][:, edges]
    for key in (Keys.EDGE_CELL_SHIFT_KEY, Keys.EDGE_VECTORS_KEY):
        if key in inputs:
            kept[key] = inputs[key][edges]
    return kept


def per_type(
    values: torch.Tensor, types: torch.Tensor, default: float
) -> Float[torch.Tensor, " n"]:
    """Per-type constants of a module, in float64, for each of `types`.

    nequip stores none, one for all types, or one per type.
    """
    types = types.view(-1)
    flat = values.detach().double().view(-1)
    if flat.numel() == 0:
        return torch.full(types.shape, default, dtype=torch.float64, device=types.device)
    return flat.expand_as(types) if flat.numel() == 1 else flat[types]


def edge_energies(
    network: Network, out: dict[str, torch.Tensor]
) -> Float[torch.Tensor, " n_edges"]:
    """E_ij in eV from the output of the energy network."""
    from nequip.data import AtomicDataDict as Keys

    centres = out[Keys.EDGE_INDEX_KEY][0]
    types = out[Keys.ATOM_TYPE_KEY].view(-1)[centres]
    raw = out[Keys.EDGE_ENERGY_KEY].double().view(-1)
    # norm_const is 1/√N̄, the square root already taken
    norms = per_type(network.edge_eng_sum.norm_module.norm_const, types, 1.0)
    scales = per_type(network.per_type_energy_scale_shift.scales, types, 1.0)
    energies = scales * raw * norms / sqrt(2)
    if hasattr(network, "pair_potential"):
        energies = energies + _pair_potential(network.pair_potential, out)
    return energies


def _pair_potential(
    potential: torch.nn.Module, out: dict[str, torch.Tensor]
) -> Float[torch.Tensor, " n_edges"]:
    """Energy in eV that a nequip pair potential puts on each directed edge, V_ij / 2.

    These modules return only sums over a centre's edges. Here every edge becomes a dimer of its
    own, so that each sum has one term.
    """
    from nequip.data import AtomicDataDict as Keys

    edge_index = out[Keys.EDGE_INDEX_KEY]
    n_edges = edge_index.shape[1]
    order = torch.arange(2 * n_edges, device=edge_index.device)
    geometry = (Keys.EDGE_VECTORS_KEY, Keys.EDGE_LENGTH_KEY, Keys.NORM_LENGTH_KEY)
    dimers = {key: out[key] for key in geometry} | {
        Keys.POSITIONS_KEY: out[Keys.POSITIONS_KEY].new_zeros(2 * n_edges, 3),
        Keys.EDGE_INDEX_KEY: order.view(2, n_edges),
        Keys.ATOM_TYPE_KEY: out[Keys.ATOM_TYPE_KEY].view(-1)[edge_index].view(-1),
    }
    return potential(dimers)[Keys.PER_ATOM_ENERGY_KEY].double().view(-1)[:n_edges]
