"""Motifs of bonds and molecules, and means over molecules that hold several rows each."""

import numpy as np
import pandas as pd
import pytest
from examples import TYPES, labelled, random_model

from chapters import limitations
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles
from e3d.chemistry.motifs import ORDINARY
from e3d.units import KCAL_PER_MOL_PER_EV

RUNS = ["model-s0", "model-s1"]
STRAINED = "strained ring"


def bond_table(*smiles: str) -> pd.DataFrame:
    """All bonds of some molecules, with −4 eV by one run and −5 eV by the other."""
    rows = [
        (name, name, "C-C", i, j)
        for name in smiles
        for i, j in bond_pairs(from_mapped_smiles(labelled(name).smiles)).tolist()
    ]
    table = pd.DataFrame(rows, columns=["molecule", "smiles", "class", "i", "j"])
    return table.assign(**{"bare:model-s0": -4.0, "bare:model-s1": -5.0})


def test_bonds_of_a_small_ring_are_strained_and_those_to_hydrogen_are_not() -> None:
    table = bond_table("CC", "C1CC1")
    found = limitations.with_motifs(table, [labelled("C1CC1"), labelled("CC")], RUNS)
    counts = found.groupby("molecule")["motif"].value_counts()
    assert counts["C1CC1", STRAINED] == 3
    assert counts["C1CC1", ORDINARY] == 6
    assert counts["CC", ORDINARY] == 7
    np.testing.assert_allclose(found["value"], 4.5 * KCAL_PER_MOL_PER_EV)
    np.testing.assert_allclose(found["spread"], np.sqrt(0.5) * KCAL_PER_MOL_PER_EV)


def marked() -> pd.DataFrame:
    """One ordinary bond in each of two molecules, two strained ones in a third."""
    rows = [("a", ORDINARY, 80.0, 1.0), ("b", ORDINARY, 90.0, 3.0), ("c", STRAINED, 60.0, 4.0),
            ("c", STRAINED, 70.0, 8.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["smiles", "motif", "value", "spread"])
    return table.assign(molecule=table["smiles"], **{"class": "C-C"})


def test_a_molecule_weighs_the_same_however_many_rows_it_has() -> None:
    table = pd.DataFrame({"smiles": list("aab"), "fold": "test", "error": [1.0, 3.0, 8.0]})
    (found,) = limitations.mean_by(table, "fold", "error", n_resamples=20).values()
    assert (found["value"], found["n"]) == (5.0, 2)


def test_shifts_are_measured_from_ordinary_bonds_of_the_class() -> None:
    spreads = limitations.mean_by(marked(), "motif", "spread", n_resamples=20)
    table = limitations.motif_table(marked(), spreads).set_index("motif")
    assert table.loc[STRAINED, "shift"] == pytest.approx(65.0 - 85.0)
    assert table.loc[ORDINARY, "shift"] == pytest.approx(0.0)
    assert table.loc[STRAINED, ["molecules", "bonds", "seed std"]].tolist() == [1, 2, 6.0]
    assert table.loc[ORDINARY, "seed std"] == 2.0


def test_one_strange_bond_marks_a_molecule() -> None:
    table = pd.DataFrame({"molecule": list("aab"), "motif": [ORDINARY, STRAINED, ORDINARY]})
    assert limitations.motif_of_molecules(table).to_dict() == {"a": STRAINED, "b": ORDINARY}


def test_equal_bonds_of_an_example_are_listed_once_and_failures_are_named() -> None:
    table, failed = limitations.non_standard_bonds(["C1CC1", "CF"], [random_model()], TYPES)
    assert table["molecule"].tolist() == ["C1CC1"]
    assert table[["motif", "class"]].iloc[0].tolist() == [STRAINED, "C-C"]
    assert len(failed) == 1
    assert failed[0].startswith("CF (")
