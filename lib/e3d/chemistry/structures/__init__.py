"""Molecules and crystals to work on, from a SMILES or a structure file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rdkit import Chem, rdBase

from e3d.chemistry import bonding
from e3d.chemistry.xtb import relax
from e3d.errors import E3DError

#: In a crystal, atoms closer than this many times the sum of their covalent radii are bonded.
CRYSTAL_BOND_FACTOR = 1.25


@dataclass(frozen=True)
class Structure:
    """Atoms and their bonds i ≤ j; `shifts` are the cells of j, None for a molecule.

    smiles: as given, or perceived from a file; None where no bond orders are known.
    """

    smiles: str | None
    atoms: Atoms
    bonds: np.ndarray
    classes: list[str]
    shifts: np.ndarray | None = None


def structure_of(
    text: str, *, elements: Sequence[str], charge: int = 0, seed: int = 1
) -> Structure:
    """A SMILES, embedded and relaxed with GFN2-xTB, or a structure file, used as given.

    elements: those that may occur; charge in e, of a file; seed of the embedding.

    Raises E3DError for a file that cannot be read, and for a SMILES that is no single neutral
    closed-shell molecule, has other elements, or whose bonds change on relaxation.
    """
    from ase.io.formats import extension2format

    path = Path(text)
    if path.is_file() or path.suffix.removeprefix(".").lower() in extension2format:
        return from_file(path, elements=elements, charge=charge)
    return from_smiles(text, elements=elements, seed=seed)


def from_smiles(smiles: str, *, elements: Sequence[str], seed: int = 1) -> Structure:
    """See `structure_of`. Atoms in the order of RDKit's molecule with hydrogens added."""
    graph = bonding.parse_smiles(smiles)
    if len(Chem.GetMolFrags(graph)) > 1:
        raise E3DError(
            f"SMILES {smiles!r} has {len(Chem.GetMolFrags(graph))} fragments, whose distance it "
            "does not tell; give one molecule, or a structure file"
        )
    _check_elements(smiles, {atom.GetSymbol() for atom in graph.GetAtoms()}, elements)
    bonding.check_closed_shell(graph)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    positions = relax(numbers, bonding.embed(graph, seed=seed))
    if not bonding.keeps_its_bonds(graph, positions):
        raise E3DError(
            f"{smiles}: its bonds change on relaxation with GFN2-xTB; give a structure file"
        )
    return _molecule(smiles, Atoms(numbers, positions), graph)


def from_file(path: Path, *, elements: Sequence[str], charge: int = 0) -> Structure:
    """See `structure_of`. Bonds are perceived from the geometry; in a crystal without orders."""
    import ase.io

    if not path.exists():
        raise E3DError(f"{path} does not exist; expected a SMILES or a structure file")
    try:
        atoms: Any = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever their parsers meet
        cause = " ".join(str(error).split()) or type(error).__name__
        raise E3DError(f"{path} cannot be read as a structure by ASE ({cause})") from error
    if len(atoms) == 0 or not np.isfinite(atoms.positions).all():
        raise E3DError(f"{path}: expected at least one atom and finite positions")
    _check_elements(str(path), set(atoms.symbols), elements)
    if atoms.pbc.any():
        return _crystal(atoms)
    graph = bonding.perceive(atoms.numbers, atoms.positions, charge=charge)
    known = all(bond.GetBondType() in bonding.ORDER_SYMBOLS for bond in graph.GetBonds())
    with rdBase.BlockLogs():  # such as on hydrogen atoms without neighbours
        smiles = Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(graph))) if known else None
    return _molecule(smiles, atoms, graph)


def _check_elements(label: str, found: set[str], known: Sequence[str]) -> None:
    if unknown := sorted(found - set(known)):
        raise E3DError(
            f"{label}: the model does not know {', '.join(unknown)}; its elements are "
            f"{', '.join(known)}"
        )


def _molecule(smiles: str | None, atoms: Atoms, graph: Chem.Mol) -> Structure:
    bonds = bonding.bond_pairs(graph)
    classes = [bonding.bond_class(graph, i, j) for i, j in bonds.tolist()]
    return Structure(smiles, atoms, bonds, classes)


def _crystal(atoms: Atoms) -> Structure:
    """Bonds of a periodic structure by covalent radii; bonds to other images are separate bonds."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    i, j, shifts = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=CRYSTAL_BOND_FACTOR))
    once = [(a, *s) < (b, *(-s)) for a, b, s in zip(i, j, shifts, strict=True)]  # of two directions
    bonds = np.column_stack([i, j])[once].astype(np.int64)
    classes = ["~".join(sorted((atoms[a].symbol, atoms[b].symbol))) for a, b in bonds]
    return Structure(None, atoms, bonds, classes, shifts[once].astype(np.int64))
