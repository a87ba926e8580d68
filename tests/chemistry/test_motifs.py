"""Non-standard bonds are found where a chemist sees them."""

import pytest

from e3d.chemistry import motifs
from e3d.chemistry.bonding import bond_pairs, parse_smiles


def found(smiles: str) -> dict[str, int]:
    return {name: len(bonds) for name, bonds in motifs.motif_bonds(parse_smiles(smiles)).items()}


@pytest.mark.parametrize(
    ("smiles", "strained", "charged", "cumulated"),
    [
        ("CCO", 0, 0, 0),
        ("C1CC1", 3, 0, 0),
        ("CC1CCC1", 4, 0, 0),
        ("C1CCCC1", 0, 0, 0),
        ("C12CC1C2", 5, 0, 0),  # bicyclobutane, its bridge too
        ("C[N+](=O)[O-]", 0, 3, 0),
        ("C[N+]#[C-]", 0, 2, 0),
        ("C=C=C", 0, 0, 2),
        ("C=C=C=C", 0, 0, 3),
        ("O=C=O", 0, 0, 2),
        ("C=CC=C", 0, 0, 0),
        ("C#CC", 0, 0, 0),
    ],
)
def test_motifs(smiles: str, strained: int, charged: int, cumulated: int) -> None:
    expected = [strained, charged, cumulated]
    assert list(found(smiles).values()) == expected


def test_every_bond_has_one_motif() -> None:
    graph = parse_smiles("C=C=CC1CC1")
    names = motifs.motifs_of(graph, bond_pairs(graph)[:, ::-1].tolist())
    assert names.count("cumulated") == 2
    assert names.count("strained ring") == 3
    assert names.count(motifs.ORDINARY) == len(names) - 5


def test_surroundings_of_bonds() -> None:
    graph = parse_smiles("NOCC=CCC")
    pairs = bond_pairs(graph).tolist()
    told = dict(
        zip(
            [tuple(pair) for pair in pairs],
            motifs.motifs_of(graph, pairs, motifs.SURROUNDINGS),
            strict=True,
        )
    )
    assert told[0, 1] == "lone pairs on both atoms"
    assert told[1, 2] == told[2, 3] == told[5, 6] == "at or next to a multiple bond"
    assert told[3, 4] == "multiple bond"
    hydrogens = {
        atom: [name for pair, name in told.items() if pair[0] == atom and pair[1] > 6]
        for atom in (0, 2, 6)
    }
    assert set(hydrogens[0]) == {motifs.ORDINARY} == set(hydrogens[6])
    assert set(hydrogens[2]) == {"at or next to a multiple bond"}
