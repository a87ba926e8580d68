"""A molecule or crystal with its conformations and labels, in eV and Å."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from rdkit import Chem, rdBase

from e3d.chemistry.bonding import bond_class, bond_pairs, canonical_smiles, from_mapped_smiles
from e3d.errors import E3DError


@dataclass(frozen=True)
class Molecule:
    """One molecule and its conformations: M conformations of N atoms.

    positions (M, N, 3) in Å; energies (M,) total and formation_energies (M,) relative to isolated
    atoms, in eV; forces (M, N, 3) in eV/Å; temperatures (M,) in K, 0 for the relaxed geometry,
    −1 for frames of a reaction path, and None where the data set does not say; cells (M, 3, 3): the
    lattice vectors in Å, one a row, of a structure that is periodic in all directions, else None.
    """

    name: str
    subset: str
    smiles: str
    atomic_numbers: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    formation_energies: np.ndarray
    forces: np.ndarray
    temperatures: np.ndarray | None = None
    cells: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def symbols(self) -> list[str]:
        """Element symbol of each atom."""
        return [chemical_symbols[z] for z in self.atomic_numbers]

    @property
    def charge(self) -> int:
        """Formal charge, in units of e, from the SMILES."""
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(self.smiles, sanitize=False)
        if molecule is None:
            raise E3DError(f"molecule {self.name!r}: SMILES {self.smiles!r} cannot be parsed")
        return Chem.GetFormalCharge(molecule)

    @property
    def canonical_smiles(self) -> str:
        """The key of the global split, see `canonical_smiles`."""
        return canonical_smiles(self.smiles)

    @property
    def bond_classes(self) -> list[str]:
        """Class of every bond of the SMILES, in the order of `bond_pairs`."""
        graph = from_mapped_smiles(self.smiles)
        return [bond_class(graph, i, j) for i, j in bond_pairs(graph).tolist()]

    @property
    def relaxed(self) -> Molecule:
        """The same molecule with its relaxed conformation alone, the one with temperature 0.

        Raises E3DError when the data set does not say which one is relaxed.
        """
        if self.temperatures is None or not (self.temperatures == 0).any():
            raise E3DError(
                f"molecule {self.name!r} has no conformation with temperature 0, so no relaxed "
                "geometry to read bond energies from"
            )
        return self.select(np.flatnonzero(self.temperatures == 0)[:1])

    def binding_energies(self, atomic_energies: Mapping[str, float]) -> np.ndarray:
        """Energies relative to the atoms, E − Σ_i μ_t(i), shape (M,), in eV; negative when bound.

        atomic_energies: μ by element symbol in eV, the zero of the decomposition.
        """
        return self.energies - sum(atomic_energies[symbol] for symbol in self.symbols)

    def select(self, mask: np.ndarray) -> Molecule:
        """The same molecule with the conformations of a boolean mask or index array, shape (M,)."""
        return Molecule(
            self.name, self.subset, self.smiles, self.atomic_numbers, self.positions[mask],
            self.energies[mask], self.formation_energies[mask], self.forces[mask],
            None if self.temperatures is None else self.temperatures[mask],
            None if self.cells is None else self.cells[mask],
        )  # fmt: skip


def conformations(molecules: Iterable[Molecule]) -> Iterator[Atoms]:
    """Every conformation of every molecule as ASE structures."""
    for molecule in molecules:
        for k, positions in enumerate(molecule.positions):
            cell = None if molecule.cells is None else molecule.cells[k]
            yield Atoms(molecule.atomic_numbers, positions, cell=cell, pbc=cell is not None)
