"""Files that say which atoms are bonded: SDF and MOL (V2000, V3000), MOL2, PDB."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from rdkit import Chem, rdBase

from e3d.errors import E3DError

#: Suffixes of files with bonds and their orders.
WITH_ORDERS = {".sdf", ".sd", ".mol", ".mdl", ".mol2"}


def records(label: str, text: str, suffix: str) -> Iterator[Chem.Mol | E3DError]:
    """Molecules of a file with bond orders, not sanitized, and the error of each unreadable one.

    Charges and radicals are those of the file. label: the file's name in errors.
    """
    blocks = _mol2_blocks(text) if suffix == ".mol2" else _sdf_blocks(text)
    for number, block in enumerate(blocks):
        with rdBase.BlockLogs():
            if suffix == ".mol2":
                found = Chem.MolFromMol2Block(block, sanitize=False, removeHs=False)
            else:
                found = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
        if found is None or found.GetNumAtoms() == 0 or found.GetNumConformers() == 0:
            which = f" (record {number})" if len(blocks) > 1 else ""
            yield E3DError(
                f"{label}{which} cannot be read as a molecule by RDKit; expected "
                f"{'MOL2' if suffix == '.mol2' else 'a V2000 or V3000 table'} with atoms"
            )
        else:
            yield found


def _sdf_blocks(text: str) -> list[str]:
    blocks = re.split(r"^\$\$\$\$.*\n?", text, flags=re.MULTILINE)
    return [block for block in blocks if block.strip()] or [text]


def _mol2_blocks(text: str) -> list[str]:
    mark = "@<TRIPOS>MOLECULE"
    return [mark + block for block in text.split(mark)[1:]] or [text]


def atoms_of(graph: Chem.Mol) -> Atoms:
    """Atoms of an RDKit molecule with a conformer."""
    numbers = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
    return Atoms(numbers, graph.GetConformer().GetPositions())


def sanitized(graph: Chem.Mol) -> Chem.Mol | str:
    """A molecule with aromatic bonds and stereochemistry, or why its bond table is none."""
    graph = Chem.Mol(graph)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(graph)
        except ValueError as error:
            return " ".join(str(error).split())
        Chem.AssignStereochemistryFrom3D(graph)
    return graph


def pdb_blocks(text: str) -> list[str]:
    """Text of each model of a PDB file, the records outside of models added to every one."""
    models: list[list[str]] = []
    outside: list[str] = []
    lines = outside
    for line in text.splitlines(keepends=True):
        record = line[:6].strip()
        if record == "MODEL":
            models.append([])
            lines = models[-1]
        elif record == "ENDMDL":
            lines = outside
        elif record != "END":
            lines.append(line)
    if not models:
        return [text]
    outside = [line for line in outside if line[:6].strip() in ("CRYST1", "CONECT")]
    return ["".join([*outside, *model]) for model in models]


def pdb_bonds(block: str, atoms: Atoms) -> Chem.Mol | None:
    """Connectivity of the CONECT records and known residues of one model, orders left open.

    None unless every atom is bonded: most programs list the bonds of ligands alone.
    """
    if "CONECT" not in block or len(atoms) < 2:
        return None
    with rdBase.BlockLogs():
        graph = Chem.MolFromPDBBlock(block, sanitize=False, removeHs=False, proximityBonding=False)
    if graph is None or [a.GetAtomicNum() for a in graph.GetAtoms()] != atoms.numbers.tolist():
        return None
    if any(atom.GetDegree() == 0 for atom in graph.GetAtoms()):
        return None
    graph.GetConformer().SetPositions(np.asarray(atoms.positions, dtype=float))
    return graph
