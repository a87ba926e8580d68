"""Enumerate small closed-shell molecules by growing molecular graphs with RDKit.

Every neutral graph that three moves (attach an atom, close a ring, raise a bond order) reach from a
single heavy atom is generated once, as a canonical SMILES. Implausible ones are removed by the
SMARTS patterns in `FORBIDDEN`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

from e3d.chemistry.bonding import canonical_smiles
from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.errors import E3DError

ORGANIC = ("C", "N", "O")
MINOR = ("F", "Si", "S", "Cl")
#: SMARTS of unstable structures, and of ones that RDKit embeds but GFN2-xTB rearranges.
FORBIDDEN = {
    "chain of three heteroatoms": "[#7,#8,#16,F,Cl]~[#7,#8,#16]~[#7,#8,#16,F,Cl]",
    "halogen on a heteroatom": "[F,Cl]~[#7,#8,#16,F,Cl]",
    "multiple bond to silicon": "[Si]=,#,:*",
    "silicon next to sulfur": "[Si]~[#16]",
    "sulfur multiply bonded to a heteroatom": "[#16]=,:[#7,#8,#16]",
    "triple bond in a ring": "[R]#[R]",
    "cumulated double bonds in a ring": "[R]=[R]=[R]",
    "double bond between ring-fusion atoms": "[R2]=,:[R2]",
    "double bond in a three-ring that is fused or holds a heteroatom": "[r3]=,:[r3;R2,#7,#8,#16]",
}
_FORBIDDEN = [Chem.MolFromSmarts(smarts) for smarts in FORBIDDEN.values()]


def _finish(editable: Chem.RWMol) -> str | None:
    """Canonical SMILES of an edited graph; None if it exceeds a valence or is forbidden."""
    molecule = editable.GetMol()
    try:
        with rdBase.BlockLogs():
            Chem.SanitizeMol(molecule)
    except (Chem.AtomValenceException, Chem.KekulizeException):
        return None
    if any(molecule.HasSubstructMatch(pattern) for pattern in _FORBIDDEN):
        return None
    return Chem.MolToSmiles(molecule)


def _kekulized(smiles: str) -> Chem.Mol:
    molecule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    return molecule


def attachments(smiles: str, elements: Sequence[str]) -> Iterator[str]:
    """Molecules with one more heavy atom, singly bonded to any atom that has a hydrogen."""
    molecule = _kekulized(smiles)
    for atom in molecule.GetAtoms():
        if atom.GetTotalNumHs() == 0:
            continue
        for element in elements:
            grown = Chem.RWMol(molecule)
            grown.AddBond(atom.GetIdx(), grown.AddAtom(Chem.Atom(element)), Chem.BondType.SINGLE)
            if (result := _finish(grown)) is not None:
                yield result


def closures(smiles: str) -> Iterator[str]:
    """Molecules with two fewer hydrogens: one ring closed or one bond order raised."""
    molecule = _kekulized(smiles)
    free = [a.GetIdx() for a in molecule.GetAtoms() if a.GetTotalNumHs() > 0]
    for position, i in enumerate(free):
        for j in free[position + 1 :]:
            closed = Chem.RWMol(molecule)
            bond = closed.GetBondBetweenAtoms(i, j)
            if bond is None:
                closed.AddBond(i, j, Chem.BondType.SINGLE)
            else:
                raised = Chem.BondType.values[int(bond.GetBondType()) + 1]  # noqa: PD011
                bond.SetBondType(raised)
            if (result := _finish(closed)) is not None:
                yield result


def _is_wanted(smiles: str, *, max_minor: int, max_rings: int) -> bool:
    molecule = Chem.MolFromSmiles(smiles)
    minor = sum(atom.GetSymbol() in MINOR for atom in molecule.GetAtoms())
    return minor <= max_minor and rdMolDescriptors.CalcNumRings(molecule) <= max_rings


def _saturate(parents: set[str], **limits: int) -> set[str]:
    """All molecules that closing rings and raising bond orders reach from `parents`."""
    known, frontier = set(parents), set(parents)
    while frontier:
        frontier = {
            new for old in frontier for new in closures(old) if _is_wanted(new, **limits)
        } - known
        known |= frontier
    return known


def enumerate_molecules(
    n_molecules: int,
    *,
    max_heavy_atoms: int,
    minor_fraction: float,
    seed: int,
    max_minor: int = 2,
    max_rings: int = 2,
    beam: int = 2000,
) -> list[str]:
    """Canonical SMILES of `n_molecules` distinct molecules, small ones first.

    Each generation, of one more heavy atom, grows from at most `beam` randomly drawn parents, so
    that sizes are enumerated completely until one of them exceeds it (there are 868 molecules of
    four heavy atoms). Molecules are taken in the order of their size, and at random within the
    largest size; `minor_fraction` of them contain F, Si, S or Cl.

    Raises E3DError when fewer molecules exist than were asked for.
    """
    limits = {"max_minor": max_minor, "max_rings": max_rings}
    pools: dict[bool, list[str]] = {False: [], True: []}
    for generation in _generations(max_heavy_atoms, beam, np.random.default_rng(seed), **limits):
        for smiles in generation:
            pools[_has_minor(smiles)].append(smiles)
    n_minor = round(minor_fraction * n_molecules)
    chosen = pools[True][:n_minor] + pools[False][: n_molecules - n_minor]
    if len(chosen) < n_molecules:
        raise E3DError(
            f"asked for {n_molecules} molecules of up to {max_heavy_atoms} heavy atoms, found "
            f"{len(chosen)}; raise max_heavy_atoms or beam, or ask for fewer"
        )
    return sorted(chosen, key=lambda s: (Chem.MolFromSmiles(s).GetNumAtoms(), s))


def _generations(
    max_heavy_atoms: int, beam: int, rng: np.random.Generator, **limits: int
) -> Iterator[list[str]]:
    """All molecules of one heavy atom, then of two and so on, those in random order."""
    seeds = {Chem.CanonSmiles(f"[{e}H4]" if e == "Si" else e) for e in (*ORGANIC, "Si", "S")}
    generation = _saturate(seeds, **limits)
    yield sorted(generation)
    for _ in range(2, max_heavy_atoms + 1):
        grown = {
            new
            for old in _draw(sorted(generation), beam, rng)
            for new in attachments(old, ORGANIC + MINOR)
            if _is_wanted(new, **limits)
        }
        generation = _saturate(grown, **limits)
        yield _draw(sorted(generation), len(generation), rng)


def _has_minor(smiles: str) -> bool:
    return any(a.GetSymbol() in MINOR for a in Chem.MolFromSmiles(smiles).GetAtoms())


def _draw(items: list[str], count: int, rng: np.random.Generator) -> list[str]:
    order = rng.permutation(len(items))[:count]
    return [items[k] for k in order]


def bulk_molecules(n_molecules: int, required: Iterable[str | Path], **options: Any) -> list[str]:
    """Enumerated molecules and all those of other files: canonical SMILES, short ones first.

    required: data sets (`.h5`) and tables with a column `smiles` (`.csv`); options: those of
    `enumerate_molecules`.
    """
    chosen = set(enumerate_molecules(n_molecules, **options)) | _held_by(required)
    return sorted(chosen, key=_short_first)


def draw_for_training(
    molecules: Iterable[str], n_drawn: int, exclude: Iterable[str | Path], *, seed: int
) -> list[str]:
    """A random draw of `n_drawn` molecules of the training fold that are in no file of `exclude`.

    molecules: canonical SMILES; exclude: files as for `bulk_molecules`. Returns canonical SMILES,
    short ones first. Raises E3DError when fewer molecules are left than were asked for.
    """
    left = sorted(s for s in set(molecules) - _held_by(exclude) if fold(s) == "train")
    if len(left) < n_drawn:
        raise E3DError(
            f"asked for {n_drawn} molecules of the training fold, {len(left)} remain after the "
            "exclusions; enumerate more (n_molecules), or ask for fewer"
        )
    return sorted(_draw(left, n_drawn, np.random.default_rng(seed)), key=_short_first)


def _short_first(smiles: str) -> tuple[int, str]:
    return len(smiles), smiles


def _held_by(paths: Iterable[str | Path]) -> set[str]:
    """Canonical SMILES of all molecules of data sets (`.h5`) and tables (`.csv`)."""
    held: set[str] = set()
    for path in map(Path, paths):
        if path.suffix == ".csv":
            held |= {canonical_smiles(smiles) for smiles in pd.read_csv(path)["smiles"]}
        else:
            with Dataset(path) as dataset:
                held |= {molecule.canonical_smiles for molecule in dataset.usable()}
    return held
