"""Training data: the conformations of one part of the split, a draw from them, and their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from ase import Atoms
from nequip.data import AtomicDataDict, from_dict
from nequip.data.dataset import AtomicDataset
from nequip.data.transforms import NeighborListTransform
from torch.utils.data import DataLoader, Sampler

from e3d.data.dataset import TYPE_NAMES, read_molecules
from e3d.data.molecule import Molecule
from e3d.data.split import Fold, HeldOut, select
from e3d.errors import E3DError


class SpiceSplit(AtomicDataset):
    """One part of SPICE-schema data sets in memory, with neighbour lists computed once.

    paths: files of one level of theory; elements: symbols of the only elements that molecules may
    contain (none: all). n_conformations: how many are drawn at random (0: all); per_molecule: how
    many of each molecule (0: any number), from as few molecules as possible. With the same seed, a
    smaller draw is a subset of a larger one. labels: `shuffled` permutes the binding energies per
    atom among conformations and the forces among atoms of the same element, which preserves their
    scale and distribution and destroys their relation to the geometry.

    Raises E3DError when there are too few conformations, or when the files differ in their atomic
    energies.
    """

    def __init__(
        self,
        paths: Sequence[str],
        part: Fold,
        cutoff_A: float,
        held_out: HeldOut = "conformations",
        n_conformations: int = 0,
        per_molecule: int = 0,
        elements: Sequence[str] = (),
        seed: int = 0,
        labels: str = "true",
    ):
        super().__init__()
        self._frames = _frames(
            tuple(paths), part, cutoff_A, held_out, n_conformations, per_molecule, tuple(elements),
            seed, labels,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._frames)

    def _get_data_list(self, indices: Any) -> list[AtomicDataDict.Type]:
        if isinstance(indices, slice):
            return self._frames[indices]
        return [self._frames[int(k)] for k in indices]


class FixedLengthSampler(Sampler):  # type: ignore[misc]
    """Random passes over `size` items, cut into epochs of `length` items.

    An epoch is thus a fixed number of steps, whatever the size of the data set.
    """

    def __init__(self, size: int, length: int, generator: torch.Generator | None = None):
        self.size, self.length, self.generator = size, length, generator
        self._left: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        while len(self._left) < self.length:
            self._left += torch.randperm(self.size, generator=self.generator).tolist()
        epoch, self._left = self._left[: self.length], self._left[self.length :]
        return iter(epoch)


def loader(
    dataset: AtomicDataset,
    *,
    steps_per_epoch: int,
    batch_size: int,
    generator: torch.Generator | None = None,
    **options: Any,
) -> DataLoader:
    """A torch DataLoader whose epoch has `steps_per_epoch` batches (0: one pass over the data)."""
    if steps_per_epoch:
        passes = FixedLengthSampler(len(dataset), steps_per_epoch * batch_size, generator)
        options |= {"sampler": passes, "shuffle": None}
    return DataLoader(dataset, batch_size=batch_size, generator=generator, **options)


_read = lru_cache(read_molecules)  # once for all parts of the split


@lru_cache  # nequip instantiates every data set twice: for its statistics, and to train
def _frames(
    paths: tuple[str, ...], part: Fold, cutoff_A: float, held_out: HeldOut, n_conformations: int,
    per_molecule: int, elements: tuple[str, ...], seed: int, labels: str,
) -> list[AtomicDataDict.Type]:  # fmt: skip
    molecules, zero = _read(paths)
    wanted = set(elements) or set(TYPE_NAMES)
    names, structures = [], []
    for molecule in select((m for m in molecules if set(m.symbols) <= wanted), part, held_out):
        structures += list(_structures(molecule))
        names += [molecule.canonical_smiles] * len(molecule)
    if labels == "shuffled":
        _shuffle(structures, zero, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(structures))
    if per_molecule:
        order = _grouped(order, names, per_molecule, rng)
    if n_conformations > len(order):
        by = f" in molecules that have {per_molecule}" if per_molecule else ""
        raise E3DError(
            f"{', '.join(paths)}: {len(order)} conformations{by} in the fold {part!r}, "
            f"{n_conformations} were asked for"
        )
    chosen = sorted(order[: n_conformations or len(order)])
    neighbours = NeighborListTransform(r_max=cutoff_A)
    return [neighbours(_to_frame(structures[k])) for k in chosen]


def _grouped(
    order: np.ndarray, names: list[str], size: int, rng: np.random.Generator
) -> np.ndarray:
    """The first `size` places in `order` of each molecule with that many, molecules shuffled."""
    places: dict[str, list[int]] = {}
    for k in order:
        places.setdefault(names[k], []).append(int(k))
    full = np.array([found[:size] for found in places.values() if len(found) >= size], dtype=int)
    return rng.permutation(full).reshape(-1)


def _structures(molecule: Molecule) -> Iterator[Atoms]:
    """Conformations as ASE atoms, the labels in `info` (eV) and `arrays` (eV/Å)."""
    for positions, energy, forces in zip(
        molecule.positions, molecule.energies, molecule.forces, strict=True
    ):
        atoms = Atoms(numbers=molecule.atomic_numbers, positions=positions)
        atoms.info["energy"] = float(energy)
        atoms.arrays["forces"] = forces
        yield atoms


def _shuffle(structures: list[Atoms], zero: dict[str, float], seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    zeros = np.array([sum(zero[s] for s in atoms.symbols) for atoms in structures])
    sizes = np.array([len(atoms) for atoms in structures])
    binding = (np.array([atoms.info["energy"] for atoms in structures]) - zeros) / sizes
    for atoms, value, offset in zip(structures, rng.permutation(binding), zeros, strict=True):
        atoms.info["energy"] = float(value * len(atoms) + offset)
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    forces = np.concatenate([atoms.arrays["forces"] for atoms in structures])
    for number in np.unique(numbers):
        forces[numbers == number] = rng.permutation(forces[numbers == number])
    starts = np.cumsum(sizes)[:-1]
    for atoms, shuffled in zip(structures, np.split(forces, starts), strict=True):
        atoms.arrays["forces"] = shuffled


def _to_frame(atoms: Atoms) -> AtomicDataDict.Type:
    types = [TYPE_NAMES.index(symbol) for symbol in atoms.symbols]
    return from_dict(
        {
            AtomicDataDict.POSITIONS_KEY: torch.as_tensor(atoms.positions),
            AtomicDataDict.ATOM_TYPE_KEY: torch.as_tensor(types),
            AtomicDataDict.TOTAL_ENERGY_KEY: torch.tensor(
                [[atoms.info["energy"]]], dtype=torch.float64
            ),
            AtomicDataDict.FORCE_KEY: torch.as_tensor(atoms.arrays["forces"]),
        }
    )
