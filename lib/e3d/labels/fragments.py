"""Fragment bond dissociation energies: E(A•) + E(B•) − E(AB) of relaxed species, by DFT.

This is the conventional route to a BDE, with which the emergent one is compared. Geometries are
relaxed with ωB97M-D3(BJ)/def2-SVP; energies at them are ωB97M-D3(BJ)/def2-TZVP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
from ase import Atoms
from rdkit import Chem, rdBase

from e3d.chemistry import bonding
from e3d.chemistry.bonding import canonical_smiles
from e3d.chemistry.dft import converged_energy, kohn_sham, relax_wb97m
from e3d.chemistry.xtb import relax, relax_to_minimum
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE, KCAL_PER_MOL_PER_EV


@dataclass(frozen=True)
class Dissociation:
    """The dissociation of a bond i–j into two radicals.

    parent: canonical SMILES of the molecule; i, j: atom indices in `bonding.parse_smiles(parent)`;
    fragments: canonical SMILES of the radicals, sorted.
    """

    parent: str
    i: int
    j: int
    bond_class: str
    fragments: tuple[str, str]


def dissociations(smiles: str, classes: Iterable[str]) -> Iterator[Dissociation]:
    """Dissociations of the acyclic single bonds of a molecule whose class is among `classes`.

    Of bonds that are equivalent, in that they leave the same radicals, the first alone.
    """
    smiles = canonical_smiles(smiles)
    seen = set()
    for bond in _breakable(bonding.parse_smiles(smiles), smiles, set(classes)):
        if (kind := (bond.bond_class, bond.fragments)) not in seen:
            seen.add(kind)
            yield bond


def breakable_bonds(molecules: Iterable[Molecule], classes: Iterable[str]) -> pd.DataFrame:
    """All bonds of data-set molecules that `dissociations` considers, equivalent ones included.

    Columns: molecule (name), smiles (canonical), i, j (atoms in the order of the data set, i < j),
    class, fragments (the two radicals, joined by " + ").
    """
    wanted = set(classes)
    rows = []
    for entry in molecules:
        graph = bonding.from_mapped_smiles(entry.smiles)
        for atom in graph.GetAtoms():
            atom.SetAtomMapNum(0)
        rows += [
            {"molecule": entry.name, "smiles": bond.parent, "i": bond.i, "j": bond.j,
             "class": bond.bond_class, "fragments": " + ".join(bond.fragments)}
            for bond in _breakable(graph, entry.canonical_smiles, wanted)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _breakable(graph: Chem.Mol, smiles: str, classes: set[str]) -> Iterator[Dissociation]:
    for i, j in bonding.bond_pairs(graph).tolist():
        bond = graph.GetBondBetweenAtoms(i, j)
        name = bonding.bond_class(graph, i, j)
        if name in classes and not bond.IsInRing() and bond.GetBondType() == Chem.BondType.SINGLE:
            first, second = sorted(radical_smiles(part) for part in _parts(graph, i, j))
            yield Dissociation(smiles, i, j, name, (first, second))


def _parts(graph: Chem.Mol, i: int, j: int) -> tuple[Chem.Mol, ...]:
    """The two radicals that remain when a single bond is cut, hydrogens as atoms."""
    cut = bonding.cut(graph, i, j)
    for k in (i, j):
        atom = cut.GetAtomWithIdx(k)
        atom.SetNumRadicalElectrons(atom.GetNumRadicalElectrons() + 1)
        atom.SetNoImplicit(True)
    Chem.SanitizeMol(cut)
    return Chem.GetMolFrags(cut, asMols=True)


def radical_smiles(graph: Chem.Mol) -> str:
    """Canonical SMILES of a fragment without explicit hydrogens; `[H]` for the hydrogen atom."""
    with rdBase.BlockLogs():  # RDKit warns about the hydrogen atom
        return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(graph), isomericSmiles=False))


def unpaired_electrons(smiles: str) -> int:
    """Number of unpaired electrons of a species, by its SMILES."""
    return sum(a.GetNumRadicalElectrons() for a in bonding.parse_smiles(smiles).GetAtoms())


def relaxed(smiles: str) -> Atoms:
    """A species at its DFT minimum; `info`: smiles, unpaired, energy_eV and spin_square ⟨S²⟩.

    RDKit's conformer is relaxed to a true minimum of GFN2-xTB and from there with DFT. Raises
    E3DError when the species rearranges, or a relaxation or an SCF does not converge.
    """
    graph = bonding.parse_smiles(smiles)
    unpaired = unpaired_electrons(smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    positions = np.zeros((1, 3))
    if len(numbers) > 1:
        start = bonding.embed(graph, seed=1)
        positions = relax(numbers, start, fmax=0.05, unpaired=unpaired)
        positions = relax_to_minimum(numbers, positions, fmax=0.05, unpaired=unpaired)
        positions = relax_wb97m(numbers, positions, unpaired=unpaired)
        if not bonding.keeps_its_bonds(graph, positions):
            raise E3DError(f"{smiles}: its bonds change on relaxation, so it has no such minimum")
    mean_field = kohn_sham(numbers, positions / ANGSTROM_PER_BOHR, unpaired=unpaired)
    energy = converged_energy(mean_field) * EV_PER_HARTREE
    spin = float(mean_field.spin_square()[0]) if unpaired else 0.0
    info = {"smiles": smiles, "unpaired": unpaired, "energy_eV": energy, "spin_square": spin}
    return Atoms(numbers, positions, info=info)


def label_species(
    species: Iterable[str],
    out: str | Path,
    *,
    calculate: Callable[[str], Atoms] = relaxed,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Relax species (SMILES) and write them to one extended XYZ file; an interrupted call resumes.

    calculate: relaxes one species. Returns the species left out with their reasons. Raises E3DError
    as `map_resumable` does.
    """
    names = sorted(set(species), key=lambda s: (bonding.parse_smiles(s).GetNumAtoms(), s))
    left_out = map_resumable(partial(_write, calculate), names, Path(out), _join, unit="species",
                             n_workers=n_workers, progress=progress)  # fmt: skip
    return dict(left_out)


def _join(paths: list[Path], new: Path) -> None:
    images = [image for path in paths for image in ase.io.iread(path, format="extxyz")]
    ase.io.write(new, images, format="extxyz")


def _write(calculate: Callable[[str], Atoms], smiles: str, path: Path) -> None:
    ase.io.write(path, calculate(smiles), format="extxyz")


def read_species(path: str | Path) -> pd.DataFrame:
    """Relaxed species, indexed by canonical SMILES: columns energy_eV, unpaired, spin_square.

    Raises E3DError when the file is missing or has a species without an energy.
    """
    try:
        images = ase.io.read(path, index=":", format="extxyz")
        keys = ("smiles", "energy_eV", "unpaired", "spin_square")
        rows = [{key: image.info[key] for key in keys} for image in images]
    except (OSError, KeyError, ValueError) as error:
        raise E3DError(
            f"{path} is missing or no file of relaxed species ({error}); `make pull` fetches that "
            "of the project"
        ) from error
    return pd.DataFrame(rows).set_index("smiles")


def fragment_bdes(bonds: Iterable[Dissociation], species: pd.DataFrame) -> pd.DataFrame:
    """BDEs in kcal/mol, positive when bound, of the dissociations whose three species are known.

    species: as of `read_species`. Columns: smiles (canonical, of the parent), class, fragments,
    fragment_bde_kcal_per_mol.
    """
    rows = []
    for bond in bonds:
        involved = [bond.parent, *bond.fragments]
        if not set(involved) <= set(species.index):
            continue
        parent, first, second = (float(species.loc[name, "energy_eV"]) for name in involved)
        rows.append(
            {
                "smiles": bond.parent,
                "class": bond.bond_class,
                "fragments": " + ".join(bond.fragments),
                "fragment_bde_kcal_per_mol": (first + second - parent) * KCAL_PER_MOL_PER_EV,
            }
        )
    return pd.DataFrame(rows)


def fragment_bdes_of_bonds(
    molecules: Iterable[Molecule], classes: Iterable[str], species: pd.DataFrame
) -> pd.DataFrame:
    """`breakable_bonds` of molecules with their fragment BDEs, equivalent bonds one by one.

    species as of `read_species`; bonds of which one of the three species is not known are left out.
    Columns: those of `breakable_bonds` and fragment_bde_kcal_per_mol.
    """
    wanted = tuple(classes)
    bonds = breakable_bonds(molecules, wanted)
    kinds = (kind for smiles in bonds["smiles"].unique() for kind in dissociations(smiles, wanted))
    return bonds.merge(fragment_bdes(kinds, species), on=["smiles", "class", "fragments"])
