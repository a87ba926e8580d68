"""Bonds told apart by what is around them: strained, charge-separated, cumulated, conjugated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from rdkit import Chem

#: SMARTS of non-standard bonds; every bond of a match belongs to the motif.
MOTIFS = {
    "strained ring": "[r3,r4]@[r3,r4]",
    "charge-separated": "[!+0]~*",
    "cumulated": "*=[#6X2]=*",
}
#: SMARTS of what may set a bond apart from others of its class, of any order.
SURROUNDINGS = {
    "multiple bond": "[*]=,#,:[*]",
    "lone pairs on both atoms": "[N,O,F,S,Cl]-[N,O,F,S,Cl]",
    "at or next to a multiple bond": "[$(*=*),$(*#*),$(*:*),$(*-*=*),$(*-*#*),$(*-*:*)]-*",
}
#: What a bond is when no motif has it.
ORDINARY = "ordinary"


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)


def motif_bonds(
    molecule: Chem.Mol, motifs: Mapping[str, str] = MOTIFS
) -> dict[str, set[tuple[int, int]]]:
    """Bonds i < j of a molecule by motif; a motif that it does not have has none.

    The orders and formal charges are those of the SMILES: carbon monoxide as `[C-]#[O+]` is
    charge-separated, as `C=O` it would not be.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    for name, pattern in ((name, _pattern(smarts)) for name, smarts in motifs.items()):
        ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in pattern.GetBonds()]
        found[name] = {
            (min(match[a], match[b]), max(match[a], match[b]))
            for match in molecule.GetSubstructMatches(pattern, uniquify=False, maxMatches=10_000)
            for a, b in ends
        }
    return found


def motifs_of(
    molecule: Chem.Mol, pairs: Iterable[Sequence[int]], motifs: Mapping[str, str] = MOTIFS
) -> list[str]:
    """For each bond i–j the first motif, in their order, that it is part of.

    A bond without one is `ordinary`.
    """
    found = motif_bonds(molecule, motifs)
    return [
        next((name for name, bonds in found.items() if (min(i, j), max(i, j)) in bonds), ORDINARY)
        for i, j in pairs
    ]
