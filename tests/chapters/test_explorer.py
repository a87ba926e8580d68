"""What the explorer shows, from tables and geometries that are known."""

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from chapters.explorer import assembly
from e3d.bde.known import ranks_of_bonds
from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

RUNS = ["a-s0", "a-s1"]


def molecule(smiles: str, order: list[int] | None = None) -> Molecule:
    """A molecule in the order of RDKit, or in another; its positions mean nothing."""
    graph = Chem.AddHs(Chem.MolFromSmiles(smiles))
    graph = Chem.RenumberAtoms(graph, order) if order else graph
    n = graph.GetNumAtoms()
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    none = np.zeros(1)
    return Molecule(smiles, "", bonding.mapped_smiles(graph), numbers,
                    np.arange(3.0 * n).reshape(1, n, 3), none, none, np.zeros((1, n, 3)),
                    np.zeros(1, int))  # fmt: skip


def edges(molecules: list[Molecule]) -> pd.DataFrame:
    """Bonds whose bare energies are −4 and −5 eV in the two networks, dressed ones −6."""
    rows = []
    for entry in molecules:
        graph = bonding.from_mapped_smiles(entry.smiles)
        rows += [
            {"smiles": entry.canonical_smiles, "fold": "train", "i": i, "j": j,
             "class": bonding.bond_class(graph, i, j), "length_A": 1.23456,
             "bare:a-s0": -4.0, "bare:a-s1": -5.0, "dressed:a-s0": -6.0, "dressed:a-s1": -6.0}
            for i, j in bonding.bond_pairs(graph).tolist()
        ]  # fmt: skip
    return pd.DataFrame(rows)


def assembled(molecules: list[Molecule], table: pd.DataFrame | None = None, **changes) -> dict:
    given = {
        "calibration": {"references": []},
        "vertical": pd.DataFrame(columns=["smiles", "i", "j", "vertical"]),
        "parents": pd.DataFrame({"reaction": ["CH3OH -> CH3 + OH"], "smiles": ["CO"]}),
        "labelled": [m.name for m in molecules],
    } | changes
    return assembly.explorer(molecules, edges(molecules) if table is None else table, RUNS, **given)


def test_energies_are_positive_means_over_the_networks_with_their_spread() -> None:
    shown = assembled([molecule("CO")])["molecules"][0]
    assert (shown["name"], shown["formula"]) == ("methanol", "CH4O")
    assert "CH3OH" in shown["names"]
    assert shown["notations"] == ["OC"]
    bond = shown["bonds"][0]
    assert bond["bare"] == round(4.5 * KCAL_PER_MOL_PER_EV, 1)
    assert bond["dressed"] == round(6 * KCAL_PER_MOL_PER_EV, 1)
    assert bond["std"] == round(KCAL_PER_MOL_PER_EV / np.sqrt(2), 1)
    assert len(bond["seeds"]) == 2


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 1, 5, 0, 2, 4]])
def test_references_find_their_bond_whatever_the_order_of_atoms(order: list[int]) -> None:
    graph = bonding.parse_smiles("CO")
    ranks = ranks_of_bonds(graph)
    references = [
        {"smiles": "CO", "ranks": list(ranks[0, 1]), "values": {"De": 98.0}},
        {"smiles": "CO", "ranks": list(ranks[1, 5]), "values": {"DFT": 111.0}},
    ]
    entry = molecule("CO", order)
    place = {old: new for new, old in enumerate(order)}
    i, j = sorted([place[0], place[2]])  # a C-H bond
    vertical = pd.DataFrame({"smiles": ["CO"], "i": [i], "j": [j], "vertical": [119.0]})
    shown = assembled([entry], calibration={"references": references}, vertical=vertical)
    bonds = shown["molecules"][0]["bonds"]
    found = {name: [b for b in bonds if b["class"] == name] for name in ("C-O", "C-H", "H-O")}
    assert [b.get("de") for b in found["C-O"]] == [98.0]
    assert [b.get("fragment") for b in found["H-O"]] == [111.0]
    assert [b.get("vertical") for b in found["C-H"]] == [119.0] * 3
    assert not [b for b in found["C-H"] if "de" in b or "fragment" in b]


def test_equivalent_bonds_count_once_and_only_with_labels() -> None:
    both = [molecule("C"), molecule("CC")]
    classes = assembled(both)["classes"]
    assert classes["C-H"]["n_molecules"] == len(classes["C-H"]["values"]) == 2
    assert assembled(both, labelled=["C"])["classes"].keys() == {"C-H"}


def test_a_molecule_without_name_or_with_other_bonds_is_refused() -> None:
    with pytest.raises(E3DError, match=r"names.csv has no name for CCCCO"):
        assembled([molecule("CCCCO")])
    entry = molecule("CO")
    with pytest.raises(E3DError, match="other bonds of CO"):
        assembled([entry], edges([entry]).iloc[1:])


def test_every_name_is_of_one_molecule() -> None:
    names = assembly.names()
    assert names["smiles"].is_unique
    assert names["name"].is_unique
    assert [bonding.canonical_smiles(s) for s in names["smiles"]] == names["smiles"].tolist()
