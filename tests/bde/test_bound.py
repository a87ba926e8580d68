"""No bond energies that add up to the atomisation energy come closer to D_e than the bound."""

from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from examples import labelled
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.bde import bound, references
from e3d.errors import E3DError
from e3d.statistics.intervals import scores
from e3d.units import KCAL_PER_MOL_PER_EV as KCAL

DE = references.KINDS["De"]
ENERGIES = st.floats(30, 250)


def molecule(de: list[float], atomisation: float, **columns: list[float]) -> pd.DataFrame:
    """One molecule, every bond of a kind of its own."""
    return pd.DataFrame({
        "molecule": "m", "smiles": "m", "class": "C-H", "fragments": list(map(str, range(len(de)))),
        "atomisation": atomisation, DE: de, **columns,
    })  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(ENERGIES, ENERGIES), min_size=2, max_size=8), st.floats(-100, 100))
def test_the_bound_holds_for_every_decomposition(
    bonds: list[tuple[float, float]], off_bonds: float
) -> None:
    de, values = (list(side) for side in zip(*bonds, strict=True))
    on_bonds = molecule(de, sum(values), value=values)
    (row,) = bound.by_molecule(on_bonds, ["value"], DE).to_dict("records")
    assert row["mae:value"] >= row["bound"] - 1e-9
    assert row["own:value"] == pytest.approx(row["bound"])
    assert row["bound"] == pytest.approx(abs(sum(de) - sum(values)) / len(de))
    elsewhere = molecule(de, sum(values) + off_bonds, value=values)
    (other,) = bound.by_molecule(elsewhere, ["value"], DE).to_dict("records")
    assert other["mae:value"] >= other["own:value"] - 1e-9
    surplus_with_off_bonds = other["surplus"] + off_bonds / len(de)
    assert other["own:value"] == pytest.approx(abs(surplus_with_off_bonds), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(ENERGIES, ENERGIES), min_size=2, max_size=5))
def test_no_decomposition_is_more_accurate_than_the_ceiling(
    bonds: list[tuple[float, float]],
) -> None:
    de, values = (np.array(side) for side in zip(*bonds, strict=True))
    table = molecule(de.tolist(), float(values.sum()))
    highest, n = bound.ceiling(table, DE, [True] * len(de))
    assert n == len(de)
    assert scores(values, de).mean() <= highest + 1e-9
    best = int(np.argmax(de))  # what takes the whole surplus at the least cost
    attained = de.copy()
    attained[best] += values.sum() - de.sum()
    assert scores(attained, de).mean() == pytest.approx(highest)


def test_a_bond_that_does_not_count_can_take_the_whole_surplus() -> None:
    table = molecule([100.0, 100.0], 150.0)
    assert bound.ceiling(table, DE, [True, False]) == (1.0, 1)
    assert bound.ceiling(table, DE, [True, True]) == (0.75, 2)
    with pytest.raises(E3DError, match="at least one kind"):
        bound.ceiling(table, DE, [False, False])


def test_every_bond_leaves_two_fragments_or_the_molecule_is_left_out() -> None:
    smiles = ["CO", "C1CC1", "[C-]#[O+]", "[H][H]", "O=C=O"]
    found = bound.bonds_to_break([labelled(text) for text in smiles])
    assert set(found["smiles"]) == {"CO", "O=C=O"}, "no ring, no charge, two bonds or more"
    methanol = found[found["smiles"] == "CO"]
    assert methanol["fragments"].value_counts().to_dict() == {
        "[CH2]O + [H]": 3, "[CH3] + [OH]": 1, "C[O] + [H]": 1,
    }  # fmt: skip
    dioxide = found[found["smiles"] == "O=C=O"]
    assert dioxide["fragments"].tolist() == ["[C]=O + [O]"] * 2
    assert dioxide["order"].tolist() == [2, 2]


def write_species(path: Path, *species: tuple[str, int, float]) -> Path:
    images = []
    for smiles, unpaired, energy in species:
        info = {"smiles": smiles, "unpaired": unpaired, "energy_eV": energy, "spin_square": 0.0}
        images.append(Atoms("H", info=info))
    ase.io.write(path, images, format="extxyz")
    return path


def test_energies_are_to_the_lowest_state_and_only_if_all_states_are_known(tmp_path: Path) -> None:
    first = write_species(tmp_path / "a.xyz", ("O=C=O", 0, -20.0), ("[C]=O", 2, -8.0),
                          ("[O]", 2, -3.0))  # fmt: skip
    bonds = bound.bonds_to_break([labelled("O=C=O")])
    unknown = bound.lowest_states([first])
    assert set(unknown.index) == {"O=C=O", "[O]"}, "the singlet of CO could be lower"
    assert bound.fragment_energies(bonds, unknown).isna().all()
    write_species(tmp_path / "b.xyz", ("[C]=O", 0, -12.0))
    lowest = bound.lowest_states([tmp_path])
    assert bound.fragment_energies(bonds, lowest).tolist() == pytest.approx([5.0 * KCAL] * 2)
    with pytest.raises(E3DError, match="no file of relaxed species"):
        bound.lowest_states([])


def test_the_literature_is_used_where_all_bonds_of_a_class_are_equivalent() -> None:
    bonds = bound.bonds_to_break([labelled("CC"), labelled("CO")])
    reactions = pd.DataFrame({
        "smiles": ["CC", "CO", "CO"], "class": ["C-H", "C-H", "C-O"], DE: [109.0, 100.0, 98.0],
    })  # fmt: skip
    values = bonds.assign(value=bound.literature_energies(bonds, reactions))
    by_kind = values.groupby(["smiles", "class"])["value"].first()
    assert by_kind["CC", "C-H"] == 109.0
    assert by_kind["CO", "C-O"] == 98.0
    assert bound.complete(values, "value").empty
    assert set(bound.complete(values[values["class"] != "C-C"], "value")["smiles"]) == {"CC"}
