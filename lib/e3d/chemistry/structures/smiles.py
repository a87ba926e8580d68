"""SMILES: parsed, embedded, and relaxed with GFN2-xTB to the lowest of several conformers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.conformers import conformers
from e3d.chemistry.structures.structure import Conformers, Structure, check_elements, molecule
from e3d.errors import E3DError


def from_smiles(
    smiles: str,
    *,
    elements: Sequence[str],
    charge: int = 0,
    seed: int = 1,
    name: str = "",
    progress: bool = False,
) -> Structure:
    """The lowest conformer of a SMILES, atoms in the order of RDKit's molecule with hydrogens.

    The geometry does not depend on how the SMILES is written. name: a title, by default the SMILES;
    charge in e, which must be that of the SMILES; seed and progress: see `conformers`.

    Raises E3DError for a SMILES that is no single neutral closed-shell molecule, or has other
    elements, and as `conformers` does.
    """
    graph = bonding.parse_smiles(smiles)
    label = shortened(smiles)
    if len(Chem.GetMolFrags(graph)) > 1:
        raise E3DError(
            f"SMILES {label!r} has {len(Chem.GetMolFrags(graph))} fragments, whose distance it "
            "does not tell; give one molecule, or a structure file"
        )
    check_elements(label, {atom.GetSymbol() for atom in graph.GetAtoms()}, elements)
    bonding.check_closed_shell(graph)
    if charge:
        raise E3DError(
            f"{label}: neutral as it is written, {charge:+d} as given; a SMILES has its charge in "
            "it, and only neutral molecules are supported"
        )
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    try:
        found = Conformers(*conformers(graph, seed=seed, progress=progress))
    except E3DError as error:
        raise E3DError(f"{label}: {error}") from error
    atoms = Atoms(numbers, found.positions[0])
    return molecule(
        smiles, atoms, graph, name=name or label, notes=_notes(smiles, graph), conformers=found
    )  # fmt: skip


def shortened(smiles: str) -> str:
    """A SMILES as a message names it."""
    return smiles if len(smiles) <= 60 else f"{smiles[:57]}…"


def _notes(smiles: str, graph: Chem.Mol) -> list[str]:
    notes = []
    if open_centres := _open_stereo(graph):
        notes.append(
            f"{open_centres} stereocentre{'s' * (open_centres > 1)} not given: one isomer is taken"
        )
    return notes


def _open_stereo(graph: Chem.Mol) -> int:
    """Number of atoms and double bonds whose stereochemistry the SMILES leaves open."""
    found = Chem.FindPotentialStereo(Chem.Mol(graph))
    return sum(info.specified == Chem.StereoSpecified.Unspecified for info in found)
