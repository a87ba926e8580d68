"""The graph of a stored molecule: its SMILES against its atoms and its geometries."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from rdkit import Chem, rdBase

from e3d.chemistry.bonding import bond_lengths

#: Largest length of a bond over the sum of covalent radii, in the conformation that has it
#: shortest. At most 1.29 in the 12,000 molecules of the project and 1.67 in a single conformation
#: of dynamics at 1000 K; of atoms two bonds apart, 2 and more as soon as one of them is a hydrogen.
MAX_STRETCH = 1.75

_AS_WRITTEN = Chem.SmilesParserParams()
_AS_WRITTEN.removeHs = _AS_WRITTEN.sanitize = False  # type: ignore[assignment]


def unsanitized(smiles: str) -> Chem.Mol | None:
    """RDKit molecule of a SMILES, hydrogens and valences as they stand; None if there is none."""
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles, _AS_WRITTEN)


def contradictions(graph: Chem.Mol, numbers: np.ndarray) -> list[str]:
    """How a graph's atoms, in the order of their maps, depart from atomic numbers (N,)."""
    atoms = sorted((a.GetAtomMapNum(), a.GetAtomicNum()) for a in graph.GetAtoms())
    if [number for number, _ in atoms] != list(range(1, len(atoms) + 1)):
        return ["atom maps do not number every atom from 1, hydrogens too"]
    if [z for _, z in atoms] != numbers.tolist():
        return ["its atoms are not those of 'atomic_numbers'"]
    return []


def is_radical(graph: Chem.Mol) -> bool:
    """Whether an atom of a graph with explicit hydrogens has unpaired electrons.

    Of aromatic atoms that is known only with their double bonds in place. False where the valences
    are none of RDKit's.
    """
    copy = Chem.Mol(graph)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(copy)
        except ValueError:
            return False
    return any(atom.GetNumRadicalElectrons() for atom in copy.GetAtoms())


def mapped_pairs(graph: Chem.Mol) -> np.ndarray:
    """Bonds (n_bonds, 2) of a mapped graph as indices of the stored atoms."""
    pairs = [
        (bond.GetBeginAtom().GetAtomMapNum() - 1, bond.GetEndAtom().GetAtomMapNum() - 1)
        for bond in graph.GetBonds()
    ]
    return np.array(sorted(map(sorted, pairs)), dtype=np.int64).reshape(-1, 2)


def stretches(
    graph: Chem.Mol, numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray | None = None
) -> np.ndarray:
    """Lengths of the bonds of a mapped graph over the sums of covalent radii, (M, n_bonds).

    numbers (N,); positions (M, N, 3) and cells (M, 3, 3) in Å; bonds in the order of
    `mapped_pairs`, in a periodic structure to the nearest image.
    """
    pairs, radii = mapped_pairs(graph), covalent_radii[numbers]
    if cells is None:
        lengths = bond_lengths(positions, pairs)
    else:
        each = zip(positions, cells, strict=True)
        lengths = np.array([bond_lengths(one, pairs, cell=cell) for one, cell in each])
    return lengths / (radii[pairs[:, 0]] + radii[pairs[:, 1]])


def misfit(
    graph: Chem.Mol, numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray | None = None
) -> str:
    """Which bond of a mapped graph is none in any conformation; empty if all are.

    numbers (N,); positions (M, N, 3) and cells (M, 3, 3) in Å, M ≥ 1. Bonds may break in some
    conformations: of a reaction path, or at high temperature.
    """
    shortest = stretches(graph, numbers, positions, cells).min(axis=0)
    if not shortest.size or shortest.max() <= MAX_STRETCH:
        return ""
    i, j = mapped_pairs(graph)[int(np.argmax(shortest))]
    symbols = {a.GetAtomMapNum() - 1: a.GetSymbol() for a in graph.GetAtoms()}
    return (
        f"its bond {symbols[i]}{i + 1}-{symbols[j]}{j + 1} is {shortest.max():.1f} times the sum "
        "of the covalent radii long in every conformation; do the atom maps number the atoms in "
        "the order of 'conformations'?"
    )
