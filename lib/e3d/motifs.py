"""Bonds that are not standard ones: strained, charge-separated, cumulated."""

from __future__ import annotations

from rdkit import Chem

#: SMARTS of each motif; every bond of a match belongs to it.
MOTIFS = {
    "strained ring": "[r3,r4]@[r3,r4]",
    "charge-separated": "[!+0]~*",
    "cumulated": "*=[#6X2]=*",
}
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in MOTIFS.items()}
#: What a bond is when no motif has it.
ORDINARY = "ordinary"


def motif_bonds(molecule: Chem.Mol) -> dict[str, set[tuple[int, int]]]:
    """Bonds i < j of a molecule by motif; a motif that it does not have has none.

    The orders and formal charges are those of the SMILES: carbon monoxide as `[C-]#[O+]` is
    charge-separated, as `C=O` it would not be.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    for name, pattern in _PATTERNS.items():
        ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in pattern.GetBonds()]
        found[name] = {
            (min(match[a], match[b]), max(match[a], match[b]))
            for match in molecule.GetSubstructMatches(pattern, uniquify=False, maxMatches=10_000)
            for a, b in ends
        }
    return found


def motif_of(molecule: Chem.Mol, i: int, j: int) -> str:
    """The first motif, in the order of `MOTIFS`, that the bond i–j is part of, or `ordinary`."""
    bond = (min(i, j), max(i, j))
    return next((name for name, bonds in motif_bonds(molecule).items() if bond in bonds), ORDINARY)
