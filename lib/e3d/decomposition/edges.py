"""Edge-wise decomposition of an Allegro energy: edge, pair and bond energies in eV.

Allegro sums directed edges. With e_ij the raw readout of the edge from centre i to neighbour j,

    E_ij = σ_t(i) · e_ij / √(2 N̄_t(i)) + V_ij / 2        E = Σ_ij E_ij + Σ_i μ_t(i)

σ and μ are the per-type scales and shifts, N̄ the average neighbour number and V the pair potential,
where the model has one. ε_ij = E_ij + E_ji is negative when bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int
from tqdm import tqdm

from e3d.chemistry.topology import path_shares
from e3d.decomposition.forward import Forward, Network, energy_network, evaluate, per_type
from e3d.errors import E3DError
from e3d.models import batches as batches_
from e3d.models.allegro import Model
from e3d.models.batches import Batch

#: Largest deviation of the sum of the parts from the total energy, in eV per atom, by precision.
SUM_RULE_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


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


def decompose_batches(
    model: Model,
    batches: Iterable[Batch],
    *,
    forward: Forward | None = None,
    strict: bool = True,
) -> Iterator[Decomposition]:
    """`decompose` for the `batches` of this model, or of another one of the same `kind`.

    forward: `energy_network(model)`, compiled. strict: raise E3DError for a decomposition with a
    `flaw`; without, it is for the caller to look.
    """
    network = energy_network(model)
    index = 0
    for batch in batches:
        for decomposition in _decompose_batch(model, network, forward or network, batch):
            if strict and (problem := flaw(decomposition, model)):
                formula = Atoms(decomposition.atomic_numbers).get_chemical_formula()
                raise E3DError(f"structure {index} ({formula}): {problem}")
            index += 1
            yield decomposition


def _decompose_batch(
    model: Model, network: Network, forward: Forward, batch: Batch
) -> Iterator[Decomposition]:
    from nequip.data import AtomicDataDict as Keys

    fields: Any = model.module.model_input_fields
    out = evaluate(network, forward, {key: batch[key] for key in fields if key in batch})
    shifts = network.per_type_energy_scale_shift.shifts
    atomic = per_type(shifts, batch[Keys.ATOM_TYPE_KEY], 0.0).cpu().numpy()
    edge_energies = out.edge_energies.cpu().numpy()
    energies = out.energies.cpu().numpy()
    lengths = out.lengths.cpu().numpy()
    index = batch[Keys.EDGE_INDEX_KEY].cpu().numpy()
    if Keys.EDGE_CELL_SHIFT_KEY in batch:
        cells = batch[Keys.EDGE_CELL_SHIFT_KEY].cpu().numpy()
    else:
        cells = np.zeros((index.shape[1], 3))
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
            energy=float(energies[k]),
        )


def flaw(decomposition: Decomposition, model: Model) -> str | None:
    """Why a decomposition cannot be used: a broken sum rule, or energies that are not finite."""
    error = abs(decomposition.sum_rule_error) / len(decomposition.atomic_energies)
    tolerance = SUM_RULE_TOLERANCE.get(model.dtype, 1e-5)
    if not np.isfinite(error) or (decomposition.edge_lengths == 0).any():
        return f"two atoms coincide, or the energy of {model.name} overflows"
    if error > tolerance:
        return (
            f"edge and atomic energies of {model.name} miss its energy by {error:.1e} eV per atom, "
            f"at most {tolerance:.0e} expected; does it have an energy term besides its edges?"
        )
    return None


def pair_energies(decomposition: Decomposition) -> Pairs:
    """Pair energies ε_ij = E_ij + E_ji of a structure, pairs in lexicographic order.

    An atom and its own image are a pair with i = j.
    """
    return pair_energies_of_all([decomposition])


def pair_energies_of_all(decompositions: Sequence[Decomposition]) -> Pairs:
    """`pair_energies` of several structures, one after the other; at once, which is faster."""
    i, j = np.concatenate([one.edge_index for one in decompositions], axis=1)
    shifts = np.concatenate([one.edge_shifts for one in decompositions])
    lengths = np.concatenate([one.edge_lengths for one in decompositions])
    energies = np.concatenate([one.edge_energies for one in decompositions])
    sizes = [len(one.edge_energies) for one in decompositions]
    structure = np.repeat(np.arange(len(decompositions)), sizes)
    leading = shifts[np.arange(len(shifts)), np.argmax(shifts != 0, axis=1)]  # first non-zero
    flip = (i > j) | ((i == j) & (leading < 0))
    sign = np.where(flip, -1, 1)[:, None]
    keys = np.column_stack([structure, np.where(flip, j, i), np.where(flip, i, j), sign * shifts])
    _, first, pair = np.unique(_ranks(keys), return_index=True, return_inverse=True)
    unique = keys[first]
    sums = np.bincount(pair, energies, minlength=len(unique))
    return Pairs(unique[:, 1:3], unique[:, 3:], lengths[first], sums)


def _ranks(keys: Int[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """One number for each row, ordered as the rows are: sorting numbers is much faster."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    low = keys.min(axis=0)
    sizes = keys.max(axis=0) - low + 1
    return np.ravel_multi_index(tuple((keys - low).T), tuple(sizes))


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
