"""Bonds that are not standard ones: strained, charge-separated, cumulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def motifs_of(molecule: Chem.Mol, pairs: Iterable[Sequence[int]]) -> list[str]:
    """For each bond i–j the first motif, in the order of `MOTIFS`, that it is part of.

    A bond without one is `ordinary`.
    """
    found = motif_bonds(molecule)
    return [
        next((name for name, bonds in found.items() if (min(i, j), max(i, j)) in bonds), ORDINARY)
        for i, j in pairs
    ]
