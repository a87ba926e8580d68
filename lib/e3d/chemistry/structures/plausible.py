"""Whether the atoms of a file can be a molecule: units, missing hydrogens, drawings in a plane."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from jaxtyping import Float
from rdkit import Chem, rdBase

from e3d.chemistry.bonding import ORDER_SYMBOLS, connected
from e3d.chemistry.perception import assign_orders
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR

#: Atoms of a molecule are never this close, Å: H2 compressed to 60 % of its bond length.
CLOSEST_A = 0.45
#: A multiple bond is shorter than this many times the sum of the covalent radii.
LONGEST_MULTIPLE = 0.99
#: Atoms are in one plane when none is farther from it than this, Å.
FLAT_A = 1e-3


def check_distances(label: str, atoms: Atoms) -> None:
    """Raise E3DError when two atoms, or periodic images of them, are on top of each other."""
    from ase.neighborlist import neighbor_list

    i, j, distances = neighbor_list("ijd", atoms, CLOSEST_A)
    if distances.size:
        k = int(np.argmin(distances))
        raise E3DError(
            f"{label}: atoms {i[k]} and {j[k]} are {distances[k]:.2f} Å apart; expected positions "
            "in Å and every atom once"
        )


def check_unit(label: str, atoms: Atoms, graph: Chem.Mol) -> None:
    """Raise E3DError when atoms without bonds would be one molecule if they were in bohr.

    graph: connectivity at the distances given.
    """
    if len(atoms) < 2 or graph.GetNumBonds():
        return
    shrunk = connected(atoms.numbers, atoms.positions * ANGSTROM_PER_BOHR)
    if len(Chem.GetMolFrags(shrunk)) == 1 and assign_orders(shrunk) is not None:
        raise E3DError(
            f"{label}: no two atoms are near enough for a bond, but they would be a molecule if "
            f"the positions were in bohr; multiply them by {ANGSTROM_PER_BOHR:.6f}"
        )


def check_complete(label: str, graph: Chem.Mol) -> None:
    """Raise E3DError when hydrogens of a molecule with bond orders have no coordinates."""
    missing = sum(atom.GetTotalNumHs() for atom in graph.GetAtoms())
    if not missing:
        return
    flat = " and it is flat, a drawing" if is_flat(graph.GetConformer().GetPositions()) else ""
    with rdBase.BlockLogs():  # of hydrogen atoms without neighbours
        smiles = Chem.MolToSmiles(Chem.RemoveHs(graph))
    raise E3DError(
        f"{label}: {missing} hydrogen{'s have' if missing > 1 else ' has'} no coordinates{flat}; "
        f"add hydrogens in three dimensions, or give the SMILES {smiles!r}"
    )


def check_hydrogens(label: str, graph: Chem.Mol, *, known: bool) -> None:
    """Raise E3DError when carbon atoms without any hydrogen can be no molecule as they are.

    graph: bonded by distances; known: whether its bond orders could be perceived.
    """
    symbols = {atom.GetSymbol() for atom in graph.GetAtoms()}
    if "C" not in symbols or "H" in symbols or graph.GetNumBonds() == 0:
        return
    if not known or too_long(graph):
        flat = ", and it is flat" if is_flat(graph.GetConformer().GetPositions()) else ""
        raise E3DError(
            f"{label}: no hydrogens, and without them its bond lengths fit no molecule{flat}; add "
            "hydrogens, or give a SMILES"
        )


def check_solid(label: str, graph: Chem.Mol) -> None:
    """Raise E3DError when a molecule is flat though an atom has four neighbours."""
    crowded = any(atom.GetDegree() >= 4 for atom in graph.GetAtoms())
    if crowded and is_flat(graph.GetConformer().GetPositions()):
        raise E3DError(
            f"{label}: all atoms are in one plane though one has four neighbours; a drawing is no "
            "geometry: give one in three dimensions, or a SMILES"
        )


def is_flat(positions: Float[np.ndarray, "n_atoms 3"]) -> bool:
    """Whether four atoms or more are in one plane."""
    if len(positions) < 4:
        return False
    normal = np.linalg.svd(positions - positions.mean(axis=0))[2][2]
    return bool(np.ptp(positions @ normal) < FLAT_A)


def too_long(graph: Chem.Mol) -> list[tuple[int, int]]:
    """Multiple bonds i, j that are as long as single ones: their atoms may lack hydrogens."""
    positions = graph.GetConformer().GetPositions()
    found = []
    for bond in graph.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        radii = sum(covalent_radii[atom.GetAtomicNum()] for atom in ends)
        i, j = (atom.GetIdx() for atom in ends)
        multiple = bond.GetBondType() in ORDER_SYMBOLS and bond.GetBondTypeAsDouble() >= 2
        if multiple and np.linalg.norm(positions[i] - positions[j]) > LONGEST_MULTIPLE * radii:
            found.append((i, j))
    return found
