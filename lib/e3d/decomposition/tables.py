"""Tables of decomposed molecules: one row per bond, and one per molecule and run."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, islice
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd
from ase import Atoms
from ase.data import chemical_symbols
from tqdm import tqdm

from e3d import parallel
from e3d.chemistry import bonding
from e3d.chemistry.topology import APART_COLUMNS, PathShares, path_shares
from e3d.data import split
from e3d.data.molecule import Molecule, conformations
from e3d.decomposition.edges import Decomposition, decompose_batches
from e3d.errors import E3DError
from e3d.models import batches as batches_
from e3d.models.allegro import Model, load_model, untrained
from e3d.models.batches import Batch

#: Molecules held in memory at a time.
_CHUNK = 256


class EdgeTables(NamedTuple):
    """bonds: one row per bond, two columns per run; molecules: one row per molecule and run."""

    bonds: pd.DataFrame
    molecules: pd.DataFrame


@dataclass(frozen=True)
class _Relaxed:
    """A molecule's relaxed geometry with its bonds, and the shares of all its atom pairs."""

    identity: dict[str, str]
    atoms: Atoms
    binding_energy: float
    bonds: np.ndarray
    classes: list[str]
    paths: PathShares

    @property
    def lengths(self) -> np.ndarray:
        """Bond lengths (n_bonds,) in Å."""
        cell = self.atoms.cell.array if self.atoms.pbc.any() else None
        return bonding.bond_lengths(self.atoms.positions, self.bonds, cell=cell)


def edge_tables(
    models: Mapping[str, Model],
    molecules: Iterable[Molecule],
    *,
    atomic_energies: Mapping[str, float],
    progress: bool = False,
) -> EdgeTables:
    """Decompose the relaxed geometries of a data set with several models.

    models by name of the run; atomic_energies: the zero of the labels' binding energies, in eV.

    Bond table: molecule, smiles (canonical), fold, i, j, class, length_A, and for each run
    `bare:<run>` and `dressed:<run>`, ε in eV, negative when bound. Molecule table: molecule,
    smiles, fold, n_atoms, run, label_eV (the labels' binding energy), model_eV (Σε), and Σε in eV
    by bonds apart, `APART_COLUMNS`.

    Raises E3DError as `decompose` does, and for a molecule without a relaxed geometry.
    """
    bonds, rows = [], []
    remaining = iter(molecules)
    with tqdm(unit="molecule", desc="decompose", disable=not progress) as bar:
        while chunk := list(islice(remaining, _CHUNK)):
            prepared = [_prepare(molecule, atomic_energies) for molecule in chunk]
            table = pd.concat([_bond_rows(relaxed) for relaxed in prepared], ignore_index=True)
            shared: dict[Hashable, list[Batch]] = {}
            for run, model in models.items():
                if (kind := batches_.kind(model)) not in shared:
                    structures = (relaxed.atoms for relaxed in prepared)
                    shared[kind] = list(batches_.batches(model, structures))
                bare, dressed, new = _decompose_chunk(model, run, prepared, shared[kind])
                table[f"bare:{run}"], table[f"dressed:{run}"] = bare, dressed
                rows += new
            bonds.append(table)
            bar.update(len(chunk))
    if not bonds:
        raise E3DError("no molecules to decompose; is the data set empty?")
    return EdgeTables(pd.concat(bonds, ignore_index=True), pd.DataFrame(rows))


@runtime_checkable
class Loadable(Protocol):
    """What a process can make a model of; hashable, so that it is loaded once."""

    def load(self) -> Model:
        """The model."""


class ModelSpec(NamedTuple):
    """What a process needs to load a model: its checkpoint folder, and the seed of fresh random
    weights if it is to have these."""

    checkpoint: str
    fresh_seed: int | None = None

    def load(self) -> Model:
        """The model. Raises E3DError as `load_model` does."""
        model = load_model(self.checkpoint)
        return model if self.fresh_seed is None else untrained(model, seed=self.fresh_seed)


def edge_tables_in_parallel(
    specs: Mapping[str, Loadable],
    molecules: Sequence[Molecule],
    *,
    atomic_energies: Mapping[str, float],
    n_workers: int | None = None,
    progress: bool = False,
) -> EdgeTables:
    """`edge_tables`, computed by a pool of processes, each of which loads the models itself."""
    if not len(molecules):
        raise E3DError("no molecules to decompose; is the data set empty?")
    chunks = [molecules[k : k + _CHUNK] for k in range(0, len(molecules), _CHUNK)]
    work = partial(_tables_of_chunk, tuple(specs.items()), dict(atomic_energies))
    parts = parallel.map_ordered(work, chunks, unit="chunk", n_workers=n_workers, progress=progress)
    bonds, rows = zip(*parts, strict=True)
    return EdgeTables(pd.concat(bonds, ignore_index=True), pd.concat(rows, ignore_index=True))


_Specs: TypeAlias = tuple[tuple[str, Loadable], ...]


@lru_cache(maxsize=1)
def _load_all(specs: _Specs) -> dict[str, Model]:
    return {name: spec.load() for name, spec in specs}


def _tables_of_chunk(
    specs: _Specs, atomic_energies: dict[str, float], molecules: Sequence[Molecule]
) -> EdgeTables:
    return edge_tables(_load_all(specs), molecules, atomic_energies=atomic_energies)


def bond_table(models: Mapping[str, Model], molecules: Iterable[Molecule]) -> pd.DataFrame:
    """Only the bond table of `edge_tables`."""
    zero = dict.fromkeys(chemical_symbols, 0.0)
    return edge_tables(models, molecules, atomic_energies=zero).bonds


def _prepare(molecule: Molecule, atomic_energies: Mapping[str, float]) -> _Relaxed:
    molecule = molecule.relaxed
    atoms = next(conformations([molecule]))
    graph = bonding.from_mapped_smiles(molecule.smiles)
    bonds = bonding.bond_pairs(graph)
    everyone = np.array(list(combinations(range(len(atoms)), 2)), dtype=np.int64).reshape(-1, 2)
    smiles = molecule.canonical_smiles
    return _Relaxed(
        identity={"molecule": molecule.name, "smiles": smiles, "fold": split.fold(smiles)},
        atoms=atoms,
        binding_energy=float(molecule.binding_energies(atomic_energies)[0]),
        bonds=bonds,
        classes=[bonding.bond_class(graph, i, j) for i, j in bonds.tolist()],
        paths=path_shares(bonds, everyone),
    )


def _bond_rows(relaxed: _Relaxed) -> pd.DataFrame:
    columns = {
        "i": relaxed.bonds[:, 0],
        "j": relaxed.bonds[:, 1],
        "class": relaxed.classes,
        "length_A": relaxed.lengths,
    }
    return pd.DataFrame(relaxed.identity | columns)


def _decompose_chunk(
    model: Model, run: str, prepared: Sequence[_Relaxed], batches: Sequence[Batch]
) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Bare and dressed ε (n_bonds,) in eV over all molecules, and the rows of the molecules."""
    bare, dressed, rows = [], [], []
    decompositions = decompose_batches(model, batches)
    for relaxed, decomposition in zip(prepared, decompositions, strict=True):
        energies = _all_pair_energies(decomposition)
        apart, shares = relaxed.paths
        i, j = relaxed.bonds.T
        bare.append(energies[_pair_number(i, j, len(relaxed.atoms))])
        dressed.append(shares @ energies)
        sums = np.bincount(np.minimum(apart, 4), energies, minlength=5)
        rows.append(
            relaxed.identity
            | {"n_atoms": len(relaxed.atoms), "run": run, "label_eV": relaxed.binding_energy,
               "model_eV": energies.sum()}
            | dict(zip(APART_COLUMNS, [*sums[1:], sums[0]], strict=True))
        )  # fmt: skip
    return np.concatenate(bare), np.concatenate(dressed), rows


def _pair_number(i: np.ndarray, j: np.ndarray, n_atoms: int) -> np.ndarray:
    """Place of the pairs i < j in the lexicographic order of all pairs of n_atoms atoms."""
    return i * (2 * n_atoms - i - 1) // 2 + j - i - 1


def _all_pair_energies(decomposition: Decomposition) -> np.ndarray:
    """ε in eV of all pairs i < j of a molecule, in lexicographic order, zero beyond the cutoff; in
    a crystal the sum over the images of a pair, of which a wide cell has one within the cutoff."""
    n_atoms = len(decomposition.atomic_energies)
    first, second = np.sort(decomposition.edge_index, axis=0)
    numbers = _pair_number(first, second, n_atoms)
    return np.bincount(
        numbers, decomposition.edge_energies, minlength=n_atoms * (n_atoms - 1) // 2
    ).astype(float)
