"""Molecular graphs: from SMILES to geometries, and from geometries to bonds and bond classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import SupportsIndex

import numpy as np
from ase.geometry import find_mic
from jaxtyping import Float, Int
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds, rdDistGeom, rdForceFieldHelpers

from e3d.chemistry.killable import killable
from e3d.errors import E3DError

#: Symbols of bond orders in a bond class; a bond that cannot be perceived is `~`.
ORDER_SYMBOLS = {
    Chem.BondType.SINGLE: "-",
    Chem.BondType.DOUBLE: "=",
    Chem.BondType.TRIPLE: "#",
    Chem.BondType.AROMATIC: ":",
}


def parse_smiles(smiles: str) -> Chem.Mol:
    """RDKit molecule of a SMILES with hydrogens added as atoms after the heavy ones.

    Raises E3DError when RDKit cannot parse or sanitize it.
    """
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise E3DError(
            f"SMILES {smiles!r} cannot be parsed; check brackets, ring closures and valences"
        )
    return Chem.AddHs(molecule)


def check_closed_shell(molecule: Chem.Mol) -> None:
    """Raise E3DError unless a molecule is neutral, has no radicals, and all its bonds a class."""
    with rdBase.BlockLogs():  # of hydrogen atoms without neighbours
        smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule, sanitize=False))
    charge = Chem.GetFormalCharge(molecule)
    if charge:
        raise E3DError(f"{smiles}: charge {charge:+d}; only neutral molecules are supported")
    if any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
        raise E3DError(
            f"{smiles}: has unpaired electrons; only closed-shell molecules are supported"
        )
    orders = {bond.GetBondType() for bond in molecule.GetBonds()} - set(ORDER_SYMBOLS)
    if orders:
        raise E3DError(f"{smiles}: {min(map(str, orders)).lower()} bonds belong to no bond class")


def check_electrons(numbers: np.ndarray, unpaired: int) -> None:
    """Raise E3DError unless a neutral molecule can have this number of unpaired electrons."""
    n_electrons = int(np.sum(numbers))
    if (n_electrons - unpaired) % 2:
        raise E3DError(
            f"a neutral molecule of {n_electrons} electrons cannot have {unpaired} unpaired; only "
            "neutral closed-shell molecules are labelled, no ions or radicals"
        )


def mapped_smiles(molecule: Chem.Mol) -> str:
    """SMILES with explicit hydrogens and atom-map numbers 1…N that give the atom order."""
    copy = Chem.Mol(molecule)
    for atom in copy.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    return Chem.MolToSmiles(copy)


def from_mapped_smiles(smiles: str) -> Chem.Mol:
    """RDKit molecule with its atoms in the order of the atom-map numbers of a SMILES.

    Raises E3DError when the SMILES cannot be parsed or its atoms are not all mapped.
    """
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = False  # type: ignore[assignment]
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles, parameters)
    if molecule is None:
        raise E3DError(f"SMILES {smiles!r} cannot be parsed")
    numbers = [atom.GetAtomMapNum() for atom in molecule.GetAtoms()]
    implicit = any(atom.GetTotalNumHs() for atom in molecule.GetAtoms())
    if implicit or sorted(numbers) != list(range(1, len(numbers) + 1)):
        raise E3DError(
            f"SMILES {smiles!r}: atom maps must number every atom, hydrogens too, from 1"
        )
    return Chem.RenumberAtoms(molecule, [int(i) for i in np.argsort(numbers)])


def embed(molecule: Chem.Mol, *, seed: int) -> np.ndarray:
    """Positions (N, 3) in Å of one ETKDG conformer, relaxed with MMFF94 where it has parameters.

    In a child process, because RDKit would take Ctrl-C for a molecule that cannot be embedded.
    Raises E3DError when no conformer can be embedded.
    """
    return killable(_embedded, molecule, seed)


def _embedded(molecule: Chem.Mol, seed: int) -> np.ndarray:
    copy = Chem.Mol(molecule)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed  # type: ignore[assignment]
    with rdBase.BlockLogs():
        failed = rdDistGeom.EmbedMolecule(copy, parameters) < 0
        if failed:
            parameters.useRandomCoords = True  # type: ignore[assignment]
            failed = rdDistGeom.EmbedMolecule(copy, parameters) < 0
        if failed:
            raise E3DError(
                f"no 3D conformer of {Chem.MolToSmiles(copy)!r} can be embedded; the graph may be "
                "too strained. Give a structure file instead"
            )
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(copy):
            rdForceFieldHelpers.MMFFOptimizeMolecule(copy)
    return np.asarray(copy.GetConformer().GetPositions())


def bond_pairs(molecule: Chem.Mol) -> np.ndarray:
    """Bonds as atom index pairs i < j, shape (n_bonds, 2), in lexicographic order."""
    pairs = [sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in molecule.GetBonds()]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def bond_lengths(
    positions: Float[np.ndarray, "*frames n_atoms 3"],
    pairs: Int[np.ndarray, "n_pairs 2"],
    *,
    shifts: Int[np.ndarray, "n_pairs 3"] | None = None,
    cell: Float[np.ndarray, "3 3"] | None = None,
) -> Float[np.ndarray, "*frames n_pairs"]:
    """Distances of pairs of atoms, in the unit of the positions, in one geometry or several.

    In a crystal, the rows of `cell` are its lattice vectors, and shifts give the periodic image of
    each second atom in cells, by default the nearest one.
    """
    vectors = positions[..., pairs[:, 1], :] - positions[..., pairs[:, 0], :]
    if cell is None:
        return np.linalg.norm(vectors, axis=-1)
    if shifts is None:
        return find_mic(vectors.reshape(-1, 3), cell)[1].reshape(vectors.shape[:-1])
    return np.linalg.norm(vectors + shifts @ cell, axis=-1)


def cut(molecule: Chem.Mol, i: int, j: int) -> Chem.RWMol:
    """A copy of a molecule without the bond i–j, otherwise unchanged."""
    remaining = Chem.RWMol(molecule)
    remaining.RemoveBond(i, j)
    return remaining


def sides(molecule: Chem.Mol, i: int, j: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Atoms that remain connected to i, and those connected to j, once the bond i–j is cut.

    Both are the same if the bond is in a ring.
    """
    parts = Chem.GetMolFrags(cut(molecule, i, j))
    first, second = (next(part for part in parts if k in part) for k in (i, j))
    return first, second


def bond_class(molecule: Chem.Mol, i: SupportsIndex, j: SupportsIndex) -> str:
    """Class of the bond i–j: its elements in alphabetical order around the symbol of its order."""
    first, second = sorted(molecule.GetAtomWithIdx(int(k)).GetSymbol() for k in (i, j))
    bond = molecule.GetBondBetweenAtoms(int(i), int(j))
    return f"{first}{ORDER_SYMBOLS.get(bond.GetBondType(), '~')}{second}"


def connected(atomic_numbers: np.ndarray, positions: np.ndarray) -> Chem.Mol:
    """RDKit molecule whose atoms are bonded by their distances alone, bond orders left open.

    atomic_numbers (N,); positions (N, 3) in Å.
    """
    molecule = Chem.RWMol()
    for number in atomic_numbers:
        molecule.AddAtom(Chem.Atom(int(number)))
    conformer = Chem.Conformer(len(atomic_numbers))
    conformer.SetPositions(np.asarray(positions, dtype=float))
    molecule.AddConformer(conformer)
    molecule = molecule.GetMol()
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineConnectivity(molecule)
    return molecule


def perceive(atomic_numbers: np.ndarray, positions: np.ndarray, *, charge: int = 0) -> Chem.Mol:
    """RDKit molecule with bonds perceived from a geometry, atoms in the given order.

    Connectivity and orders are those of RDKit's `rdDetermineBonds`; where it finds no valid
    assignment of orders, all are left open (bond class `C~C`). Its search depends on the order of
    the atoms; `perception.assign_orders` does not.

    atomic_numbers (N,); positions (N, 3) in Å; charge in e.
    """
    molecule = connected(atomic_numbers, positions)
    with rdBase.BlockLogs():
        ordered = Chem.Mol(molecule)
        try:
            rdDetermineBonds.DetermineBondOrders(ordered, charge=charge)
            Chem.SanitizeMol(ordered)
            return ordered
        except ValueError:
            pass
    return without_orders(molecule)


def without_orders(molecule: Chem.Mol) -> Chem.Mol:
    """A copy of a molecule whose bonds are left open (bond class `C~C`)."""
    unordered = Chem.RWMol(molecule)
    for bond in unordered.GetBonds():
        bond.SetBondType(Chem.BondType.UNSPECIFIED)
        bond.SetIsAromatic(False)
    return unordered.GetMol()


def keeps_its_bonds(molecule: Chem.Mol, positions: np.ndarray) -> bool:
    """Whether a geometry (N, 3) in Å has exactly the connectivity of a molecule's graph."""
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    return np.array_equal(bond_pairs(connected(numbers, positions)), bond_pairs(molecule))


def keeps_its_configuration(molecule: Chem.Mol, positions: np.ndarray) -> bool:
    """Whether a geometry (N, 3) in Å has the stereochemistry that a molecule's graph states."""
    centres = any(a.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED for a in molecule.GetAtoms())
    undefined = (Chem.BondStereo.STEREONONE, Chem.BondStereo.STEREOANY)
    if not centres and all(bond.GetStereo() in undefined for bond in molecule.GetBonds()):
        return True
    found = Chem.Mol(molecule)
    found.RemoveAllConformers()
    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=float))
    found.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(found, replaceExistingTags=True)
    with rdBase.BlockLogs():
        return bool(
            Chem.RemoveHs(found).HasSubstructMatch(Chem.RemoveHs(molecule), useChirality=True)
        )


def elements_of(name: str) -> tuple[str, str]:
    """The two element symbols of a bond class, e.g. `C=O` → ("C", "O")."""
    first, second = re.findall(r"[A-Z][a-z]?", name)
    return first, second


@lru_cache(maxsize=200_000)
def canonical_smiles(smiles: str) -> str:
    """RDKit's canonical SMILES without atom maps, stereochemistry and explicit hydrogens.

    Without stereochemistry, because stereoisomers must be in the same fold of a split.
    Raises E3DError when RDKit cannot parse the SMILES.
    """
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise E3DError(f"SMILES {smiles!r} cannot be parsed; check brackets, rings and valences")
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    with rdBase.BlockLogs():  # of hydrogen atoms without neighbours
        return Chem.CanonSmiles(Chem.MolToSmiles(molecule, isomericSmiles=False))


@lru_cache(maxsize=200_000)
def stereo_smiles(smiles: str) -> str:
    """As `canonical_smiles`, but with the stereochemistry (E/Z, R/S) that the SMILES states.

    The same text where it states none. Raises E3DError when RDKit cannot parse the SMILES.
    """
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise E3DError(f"SMILES {smiles!r} cannot be parsed; check brackets, rings and valences")
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
        atom.SetIsotope(0)
    with rdBase.BlockLogs():  # of hydrogen atoms without neighbours
        return Chem.CanonSmiles(Chem.MolToSmiles(molecule))


_CLASS = re.compile(r"([A-Z][a-z]?)([-=#:~])([A-Z][a-z]?)")


def pair_and_order(classes: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Element pairs ("CO") and orders ("=") of bond classes ("C=O"), each (n,).

    Raises E3DError for a text that is not a bond class.
    """
    names = [str(name) for name in classes]
    matches = [_CLASS.fullmatch(name) for name in names]
    if None in matches:
        wrong = names[matches.index(None)]
        raise E3DError(f"expected a bond class such as 'C=O', got {wrong!r}")
    parts = [match.groups() for match in matches if match]
    return np.array([a + b for a, _, b in parts]), np.array([order for _, order, _ in parts])
