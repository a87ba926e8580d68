"""Training data: a draw from one part of the split, read conformation by conformation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
import torch
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from nequip.data import AtomicDataDict, from_dict
from nequip.data.dataset import AtomicDataset
from nequip.data.transforms import NeighborListTransform
from nequip.utils.dtype import torch_default_dtype
from torch.utils.data import get_worker_info

from e3d.data.dataset import GRADIENT_LIMIT, TYPE_NAMES
from e3d.data.hdf5 import DAMAGED
from e3d.data.left_out import LeftOut
from e3d.data.split import Fold, HeldOut
from e3d.errors import E3DError
from e3d.training.index import Index, Selection
from e3d.training.indexing import index
from e3d.training.zero import stored_zero
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

#: Data sets up to so many bytes are kept in memory once read, with their neighbour lists.
KEPT_BYTES = 2_000_000_000
#: Memory per atom of a conformation with its neighbour list, in bytes, rounded up.
_BYTES_PER_ATOM = 1_200


class SpiceSplit(AtomicDataset):
    """One part of SPICE-schema data sets, read from the files when asked for.

    Only an index lies in memory; geometries and labels are read, and neighbour lists made, in the
    process that asks, which can be a worker of a DataLoader. Small data sets are kept once read.

    paths: files of one level of theory; type_names: elements of the model, in the order of its type
    indices; elements: symbols of the only elements that molecules may contain (none: all types);
    charges, subsets, without_subsets, gradient_limit and radicals as in `Selection`.
    n_conformations: how many are drawn at random (0: all); per_molecule: how many of each molecule
    (0: any number), from as few molecules as possible. With the same seed, a smaller draw is a
    subset of a larger one.
    labels: `shuffled` permutes the binding energies per atom among conformations and the forces
    among atoms of the same element, which preserves their scale and distribution and destroys their
    relation to the geometry; shuffled labels lie in memory, 24 bytes for each atom of the part.
    atomic_energies: isolated atoms in eV, for files that do not bring their own.

    Raises E3DError when there are too few conformations, and as `index`.
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
        type_names: Sequence[str] = TYPE_NAMES,
        charges: Sequence[int] = (0,),
        subsets: Sequence[str] = (),
        without_subsets: Sequence[str] = (),
        gradient_limit: float = GRADIENT_LIMIT,
        radicals: bool = False,
        atomic_energies: Mapping[str, float] | None = None,
    ):
        super().__init__()
        known = set(type_names)
        wanted = tuple(symbol for symbol in elements or type_names if symbol in known)
        selection = Selection(
            wanted,
            tuple(charges),
            tuple(subsets),
            tuple(without_subsets),
            gradient_limit,
            radicals,
        )
        atoms = tuple(sorted(atomic_energies.items())) if atomic_energies else None
        self._frames = _frames(
            tuple(paths), selection, atoms, part, held_out, n_conformations, per_molecule, seed,
            labels, cutoff_A, tuple(type_names),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def left_out(self) -> LeftOut:
        """What is not usable or not asked for, whatever the part of the split."""
        return self._frames.index.left_out

    @property
    def elements(self) -> list[str]:
        """Symbols of the elements in the conformations of this part."""
        return self._frames.index.elements_of(self._frames.rows)

    def _get_data_list(self, indices: Any) -> list[AtomicDataDict.Type]:
        if isinstance(indices, slice):
            indices = range(len(self))[indices]
        return [self._frames[int(k)] for k in indices]


class _Frames:
    """The conformations `rows` of an index as nequip's graphs."""

    def __init__(
        self,
        found: Index,
        rows: np.ndarray,
        shuffled: _ShuffledLabels | None,
        cutoff_A: float,
        type_names: Sequence[str],
    ):
        self.index, self.rows, self.shuffled = found, rows, shuffled
        self.neighbours = NeighborListTransform(r_max=cutoff_A)
        self.types = np.full(256, -1)
        self.types[[NUMBER_OF_SYMBOL[symbol] for symbol in type_names]] = range(len(type_names))
        self.reader = _Reader(found)
        self.periodic = bool(found.periodic[found.molecule[rows]].any())
        kept = found.n_atoms[rows].sum() * _BYTES_PER_ATOM <= KEPT_BYTES
        self.kept: dict[int, AtomicDataDict.Type] | None = {} if kept else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> AtomicDataDict.Type:
        if self.kept is None or get_worker_info() is not None:
            return self._read(int(self.rows[k]))
        if k not in self.kept:
            self.kept[k] = self._read(int(self.rows[k]))
        return self.kept[k]

    def _read(self, row: int) -> AtomicDataDict.Type:
        if self.shuffled is None:
            energy, forces = float(self.index.energy[row]), self.reader.forces(row)
        else:
            energy, forces = self.shuffled.of(row)
        frame = {
            AtomicDataDict.POSITIONS_KEY: torch.as_tensor(self.reader.positions(row)),
            AtomicDataDict.ATOM_TYPE_KEY: torch.as_tensor(self.types[self.index.numbers_of(row)]),
            AtomicDataDict.TOTAL_ENERGY_KEY: torch.tensor([[energy]], dtype=torch.float64),
            AtomicDataDict.FORCE_KEY: torch.as_tensor(forces),
        }
        if self.periodic:  # either all graphs of a batch have a cell, or none
            is_crystal = bool(self.index.periodic[self.index.molecule[row]])
            cell = self.reader.cell(row) if is_crystal else np.zeros((3, 3))
            frame[AtomicDataDict.CELL_KEY] = torch.as_tensor(cell)
            frame[AtomicDataDict.PBC_KEY] = torch.tensor([is_crystal] * 3)
        with torch_default_dtype(torch.float64):  # which cells are converted to
            return self.neighbours(from_dict(frame))


class _Reader:
    """Reads single conformations; every process opens the files for itself."""

    def __init__(self, found: Index):
        self.index, self.process = found, -1
        self.files: list[h5py.File] = []

    def positions(self, row: int) -> np.ndarray:
        """(N, 3) in Å."""
        return self._field(row, "conformations") * ANGSTROM_PER_BOHR

    def forces(self, row: int) -> np.ndarray:
        """(N, 3) in eV/Å."""
        return -self._field(row, "dft_total_gradient") * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

    def cell(self, row: int) -> np.ndarray:
        """Lattice vectors (3, 3) in Å, one a row."""
        return self._field(row, "cell", 3) * ANGSTROM_PER_BOHR

    def _field(self, row: int, key: str, n_rows: int | None = None) -> np.ndarray:
        """One conformation of a field (M, n_rows, 3), by default N rows, as float64; h5py's own
        slicing takes thrice as long."""
        if self.process != os.getpid():  # HDF5 files cannot be shared after a fork
            self.files = [h5py.File(path, "r") for path in self.index.paths]
            self.process = os.getpid()
        molecule = self.index.molecule[row]
        file, name = self.files[self.index.source[molecule]], self.index.names[molecule]
        n_atoms = self.index.atoms[molecule + 1] - self.index.atoms[molecule]
        size = (1, n_atoms if n_rows is None else n_rows, 3)
        values = np.empty(size)
        try:
            stored = h5py.h5d.open(file.id, f"{name}/{key}".encode())
            space = stored.get_space()
            space.select_hyperslab((int(self.index.conformation[row]), 0, 0), size)
            stored.read(h5py.h5s.create_simple(size), space, values)
        except DAMAGED as error:
            raise E3DError(
                f"{file.filename}, molecule {name!r}: unreadable ({error}); has the file changed "
                "since the training began?"
            ) from error
        return values[0]


class _ShuffledLabels:
    """Labels of the conformations `rows`, permuted among them."""

    def __init__(self, found: Index, rows: np.ndarray, zero: Mapping[str, float], seed: int):
        rng = np.random.default_rng([seed, 1])
        places = rows.tolist()
        self.place = {row: k for k, row in enumerate(places)}
        by_number = {NUMBER_OF_SYMBOL[symbol]: value for symbol, value in zero.items()}
        numbers = [found.numbers_of(row) for row in places]
        zeros = np.array([sum(by_number[z] for z in of_one.tolist()) for of_one in numbers])
        sizes = found.n_atoms[rows]
        binding = (found.energy[rows] - zeros) / sizes
        self.energies = rng.permutation(binding) * sizes + zeros
        reader = _Reader(found)
        self.forces = np.concatenate([reader.forces(row) for row in places])
        atoms = np.concatenate(numbers)
        for number in np.unique(atoms):
            self.forces[atoms == number] = rng.permutation(self.forces[atoms == number])
        self.starts = np.concatenate([[0], np.cumsum(sizes)])

    def of(self, row: int) -> tuple[float, np.ndarray]:
        """Energy in eV and forces (N, 3) in eV/Å."""
        k = self.place[row]
        return float(self.energies[k]), self.forces[self.starts[k] : self.starts[k + 1]]


_index = lru_cache(
    lambda paths, selection, atoms: index(paths, selection, dict(atoms or {}) or None)
)


@lru_cache  # nequip instantiates every data set twice: for its statistics, and to train
def _frames(
    paths: tuple[str, ...], selection: Selection, atoms: tuple[tuple[str, float], ...] | None,
    part: Fold, held_out: HeldOut, n_conformations: int, per_molecule: int, seed: int, labels: str,
    cutoff_A: float, type_names: tuple[str, ...],
) -> _Frames:  # fmt: skip
    zero = dict(atoms) if atoms else stored_zero(paths)
    found = _index(paths, selection, atoms)
    rows = found.part(part, held_out)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    if per_molecule:
        order = _grouped(order, found, rows, per_molecule, rng)
    if n_conformations > len(order):
        by = f" in molecules that have {per_molecule}" if per_molecule else ""
        raise E3DError(
            f"{', '.join(paths)}: {len(order)} conformations{by} in the fold {part!r}, "
            f"{n_conformations} were asked for"
        )
    shuffled = _ShuffledLabels(found, rows, zero, seed) if labels == "shuffled" else None
    chosen = rows[np.sort(order[: n_conformations or len(order)])]
    return _Frames(found, chosen, shuffled, cutoff_A, type_names)


def _grouped(
    order: np.ndarray, found: Index, rows: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """The first `size` places in `order` of each molecule with that many, molecules shuffled."""
    places: dict[str, list[int]] = {}
    for k in order:
        places.setdefault(found.smiles[found.molecule[rows[k]]], []).append(int(k))
    full = np.array([some[:size] for some in places.values() if len(some) >= size], dtype=int)
    return rng.permutation(full).reshape(-1)
