"""Edge-wise decomposition of an Allegro energy: edge, pair and bond energies in eV.

Allegro sums directed edges. With e_ij the raw readout of the edge from centre i to neighbour j,

    E_ij = σ_t(i) · e_ij / √(2 N̄_t(i)) + V_ij / 2        E = Σ_ij E_ij + Σ_i μ_t(i)

σ and μ are the per-type scales and shifts, N̄ the average neighbour number and V the pair potential,
where the model has one. ε_ij = E_ij + E_ji is negative when bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from tqdm import tqdm

from e3d.chemistry.topology import path_shares
from e3d.errors import E3DError
from e3d.models import batches as batches_
from e3d.models.allegro import Model
from e3d.models.batches import Batch

#: Largest deviation of the sum of the parts from the total energy, in eV per atom, by precision.
SUM_RULE_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
_Network = Any  # a torch module; its submodules are found by name, which no type checker can follow


@dataclass(frozen=True)
class Decomposition:
    """One structure's energy as a sum over directed edges and atoms.

    edge_index: row 0 centre i, row 1 neighbour j; edge_shifts: cell of the neighbour's image, zero
    in a molecule; edge_lengths in Å; edge_energies E_ij in eV; atomic_energies μ_t(i) in eV;
    energy: the model's total in eV, equal to the sum of both up to rounding.
    """

    atomic_numbers: Int[np.ndarray, " n_atoms"]
    edge_index: Int[np.ndarray, "2 n_edges"]
    edge_shifts: Int[np.ndarray, "n_edges 3"]
    edge_lengths: Float[np.ndarray, " n_edges"]
    edge_energies: Float[np.ndarray, " n_edges"]
    atomic_energies: Float[np.ndarray, " n_atoms"]
    energy: float

    @property
    def sum_rule_error(self) -> float:
        """Σ_ij E_ij + Σ_i μ_t(i) − E in eV."""
        return float(self.edge_energies.sum() + self.atomic_energies.sum() - self.energy)


class Pairs(NamedTuple):
    """Undirected pairs i ≤ j within the cutoff; j is the image in the cell of the shift.

    lengths in Å; energies ε_ij = E_ij + E_ji in eV, negative when bound.
    """

    pairs: Int[np.ndarray, "n_pairs 2"]
    shifts: Int[np.ndarray, "n_pairs 3"]
    lengths: Float[np.ndarray, " n_pairs"]
    energies: Float[np.ndarray, " n_pairs"]


def decompose(
    model: Model,
    structures: Iterable[Atoms],
    *,
    batch_size: int | None = None,
    progress: bool = False,
) -> Iterator[Decomposition]:
    """Decompose structures one batch at a time, in their order: energies only, no gradients.

    Cells and periodic boundary conditions are used as given; calculators are ignored.
    Raises E3DError for an element that the model does not know, a structure without atoms, a
    position that is not finite, a periodic direction without a cell vector, and when a sum rule is
    broken: then the model has an energy term that is no sum over edges.
    """
    batches = batches_.batches(model, structures, batch_size)
    with tqdm(unit="structure", desc=model.name, disable=not progress) as bar:
        for decomposition in decompose_batches(model, batches):
            bar.update()
            yield decomposition


def decompose_batches(model: Model, batches: Iterable[Batch]) -> Iterator[Decomposition]:
    """`decompose` for the `batches` of this model, or of another one of the same `kind`."""
    network = _energy_network(model)
    index = 0
    for batch in batches:
        for decomposition in _decompose_batch(model, network, batch):
            _assert_sum_rule(decomposition, model, index)
            index += 1
            yield decomposition


def _energy_network(model: Model) -> _Network:
    """The part of the model that maps positions to the total energy, without derivatives."""
    for child in model.module.modules():
        if hasattr(child, "edge_eng_sum") and hasattr(child, "per_type_energy_scale_shift"):
            return child
    raise E3DError(
        f"model {model.name} has no sum over edge energies; expected an Allegro model of the "
        "nequip framework"
    )


def _decompose_batch(model: Model, network: _Network, batch: Batch) -> Iterator[Decomposition]:
    from nequip.data import AtomicDataDict as Keys

    with torch.no_grad():
        fields: Any = model.module.model_input_fields
        out = network({key: batch[key] for key in fields if key in batch})
        edge_energies = _edge_energies(network, out).cpu().numpy()
    shifts = network.per_type_energy_scale_shift.shifts
    atomic = _per_type(shifts, out[Keys.ATOM_TYPE_KEY], 0.0).cpu().numpy()
    index, cells, lengths, energies = (
        out[key].detach().cpu().numpy()
        for key in (Keys.EDGE_INDEX_KEY, Keys.EDGE_CELL_SHIFT_KEY, Keys.EDGE_LENGTH_KEY,
                    Keys.TOTAL_ENERGY_KEY)
    )  # fmt: skip
    numbers = batch[Keys.ATOMIC_NUMBERS_KEY].cpu().numpy()
    frames = batch[Keys.BATCH_KEY].cpu().numpy()  # ascending, one per atom
    bounds = np.arange(len(energies) + 1)
    first_atom = np.searchsorted(frames, bounds)
    first_edge = np.searchsorted(frames[index[0]], bounds)
    for k in range(len(energies)):
        atom = slice(first_atom[k], first_atom[k + 1])
        edge = slice(first_edge[k], first_edge[k + 1])
        yield Decomposition(
            atomic_numbers=numbers[atom],
            edge_index=index[:, edge] - first_atom[k],
            edge_shifts=cells[edge].round().astype(np.int64),
            edge_lengths=lengths[edge].astype(float).reshape(-1),
            edge_energies=edge_energies[edge],
            atomic_energies=atomic[atom],
            energy=float(energies[k, 0]),
        )


def _per_type(
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


def _edge_energies(
    network: _Network, out: dict[str, torch.Tensor]
) -> Float[torch.Tensor, " n_edges"]:
    """E_ij in eV from the output of the energy network."""
    from nequip.data import AtomicDataDict as Keys

    centres = out[Keys.EDGE_INDEX_KEY][0]
    types = out[Keys.ATOM_TYPE_KEY].view(-1)[centres]
    raw = out[Keys.EDGE_ENERGY_KEY].double().view(-1)
    # norm_const is 1/√N̄, the square root already taken
    norms = _per_type(network.edge_eng_sum.norm_module.norm_const, types, 1.0)
    scales = _per_type(network.per_type_energy_scale_shift.scales, types, 1.0)
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


def _assert_sum_rule(decomposition: Decomposition, model: Model, index: int) -> None:
    """Raise E3DError, naming the structure, when its parts do not sum to its energy."""
    error = abs(decomposition.sum_rule_error) / len(decomposition.atomic_energies)
    tolerance = SUM_RULE_TOLERANCE.get(model.dtype, 1e-5)
    if not np.isfinite(error) or (decomposition.edge_lengths == 0).any():
        problem = f"two atoms coincide, or the energy of {model.name} overflows"
    elif error > tolerance:
        problem = (
            f"edge and atomic energies of {model.name} miss its energy by {error:.1e} eV per atom, "
            f"at most {tolerance:.0e} expected; does it have an energy term besides its edges?"
        )
    else:
        return
    formula = Atoms(decomposition.atomic_numbers).get_chemical_formula()
    raise E3DError(f"structure {index} ({formula}): {problem}")


def pair_energies(decomposition: Decomposition) -> Pairs:
    """Pair energies ε_ij = E_ij + E_ji of a structure, pairs in lexicographic order.

    An atom and its own image are a pair with i = j.
    """
    (i, j), shifts = decomposition.edge_index, decomposition.edge_shifts
    leading = shifts[np.arange(len(shifts)), np.argmax(shifts != 0, axis=1)]  # first non-zero
    flip = (i > j) | ((i == j) & (leading < 0))
    sign = np.where(flip, -1, 1)[:, None]
    keys = np.column_stack([np.where(flip, j, i), np.where(flip, i, j), sign * shifts])
    unique, first, pair = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return Pairs(
        unique[:, :2],
        unique[:, 2:],
        decomposition.edge_lengths[first],
        np.bincount(pair.reshape(-1), decomposition.edge_energies, minlength=len(unique)),
    )


def bond_energies(
    decomposition: Decomposition,
    bonds: Int[np.ndarray, "n_bonds 2"],
    shifts: Int[np.ndarray, "n_bonds 3"] | None = None,
) -> Float[np.ndarray, " n_bonds"]:
    """ε in eV of bonds i ≤ j, negative when bound; zero beyond the cutoff.

    shifts: cells of the images of j in a crystal; without them, j is the atom in the home cell.
    """
    if shifts is None:
        shifts = np.zeros((len(bonds), 3), dtype=np.int64)
    pairs = pair_energies(decomposition)
    keys = map(tuple, np.column_stack([pairs.pairs, pairs.shifts]).tolist())
    energy_of = dict(zip(keys, pairs.energies.tolist(), strict=True))
    wanted = map(tuple, np.column_stack([bonds, shifts]).tolist())
    return np.array([energy_of.get(key, 0.0) for key in wanted])


def dressed_bond_energies(
    decomposition: Decomposition,
    bonds: Int[np.ndarray, "n_bonds 2"],
    shifts: Int[np.ndarray, "n_bonds 3"] | None = None,
) -> tuple[Float[np.ndarray, " n_bonds"], float]:
    """Dressed ε of bonds and the energy between fragments, both in eV, negative when bound.

    Every pair's ε is shared equally over the bonds of its shortest paths (`topology.path_shares`),
    so that the two results together are exactly Σε.
    """
    pairs = pair_energies(decomposition)
    apart, shares = path_shares(bonds, pairs.pairs, bond_shifts=shifts, pair_shifts=pairs.shifts)
    return shares @ pairs.energies, float(pairs.energies[apart == 0].sum())
