"""Bonds by their structural motif: strained, charge-separated, cumulated, conjugated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from rdkit import Chem

#: SMARTS of unusual bonds; every bond of a match belongs to the motif.
MOTIFS = {
    "strained ring": "[r3,r4]@[r3,r4]",
    "charge-separated": "[!+0]~*",
    "cumulated": "*=[#6X2]=*",
}
#: SMARTS of surroundings that may distinguish a bond from others of its class.
SURROUNDINGS = {
    "multiple bond": "[*]=,#,:[*]",
    "lone pairs on both atoms": "[N,O,F,S,Cl]-[N,O,F,S,Cl]",
    "at or next to a multiple bond": "[$(*=*),$(*#*),$(*:*),$(*-*=*),$(*-*#*),$(*-*:*)]-*",
}
#: Motif of the bonds that belong to no other.
ORDINARY = "ordinary"


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)


def motif_bonds(
    molecule: Chem.Mol, motifs: Mapping[str, str] = MOTIFS
) -> dict[str, set[tuple[int, int]]]:
    """Bonds i < j of a molecule by motif, an empty set for motifs that do not occur.

    Orders and formal charges are those of the SMILES: carbon monoxide is charge-separated as
    `[C-]#[O+]`, but would not be as `C=O`.
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
    """The first motif, in their order, to which each bond i–j belongs; `ordinary` if to none."""

    found = motif_bonds(molecule, motifs)
    return [
        next((name for name, bonds in found.items() if (min(i, j), max(i, j)) in bonds), ORDINARY)
        for i, j in pairs
    ]
