"""The table of a teacher, and what is fitted to it from the surroundings of a bond."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from tests.examples import labelled

from chapters.teacher import tables
from chapters.teacher.tables import TRUE
from e3d.chemistry.brenner import Brenner
from e3d.data.dataset import Dataset
from e3d.errors import E3DError


@pytest.fixture
def chain() -> pd.DataFrame:
    """O–C–C–C in each of ten molecules; the true energy knows the length and the neighbour."""
    rng = np.random.default_rng(0)
    rows = []
    for molecule in range(10):
        lengths = 1.5 + 0.05 * rng.normal(size=3)
        for k, (name, length) in enumerate(zip(("C-O", "C-C", "C-C"), lengths, strict=True)):
            rows.append({"molecule": f"m{molecule}", "i": k, "j": k + 1, "class": name,
                         "length_A": length, TRUE: length - 8 - (k == 1)})  # fmt: skip
    return pd.DataFrame(rows)


SYMBOLS = {f"m{k}": ["O", "C", "C", "C"] for k in range(10)}


def test_neighbours_are_counted_by_the_element_of_the_end(chain: pd.DataFrame) -> None:
    around = tables.neighbourhood(chain, SYMBOLS)
    counts = around.filter(like="n ").iloc[:3]
    assert counts.columns.to_list() == ["n C:C-C", "n C:C-O"]
    assert counts.to_numpy().tolist() == [[1, 0], [1, 1], [1, 0]]
    mean = chain.loc[chain["class"] == "C-C", "length_A"].mean()
    assert around.loc[0, "Δr C:C-C"] == pytest.approx(chain.loc[1, "length_A"] - mean)


def test_what_the_neighbours_decide_is_fitted_with_them_alone(chain: pd.DataFrame) -> None:
    around = tables.neighbourhood(chain, SYMBOLS)
    own = (chain["class"] == "C-C").to_numpy()
    truth = chain.loc[own, TRUE]
    with_neighbours = tables.fitted(chain, around)[own]
    alone = tables.fitted(chain, around[["length_A"]])[own]
    assert np.abs(with_neighbours - truth).max() < 0.2
    assert np.abs(alone - truth).mean() > 0.3


def test_a_fit_does_not_see_the_molecule_that_it_predicts(chain: pd.DataFrame) -> None:
    around = tables.neighbourhood(chain, SYMBOLS)
    first = tables.fitted(chain, around)
    last = chain["molecule"] == "m9"
    changed = chain.assign(**{TRUE: chain[TRUE].where(~last, 0.0)})
    again = tables.fitted(changed, around)
    np.testing.assert_allclose(again[last], first[last])
    assert not np.allclose(again[~last], first[~last])


def test_every_bond_needs_one_true_energy(chain: pd.DataFrame) -> None:
    teacher, bonds = chain[["molecule", "i", "j", TRUE]], chain.drop(columns=TRUE)
    pd.testing.assert_frame_equal(tables.with_truth(bonds, teacher)[chain.columns], chain)
    with pytest.raises(E3DError, match="no energy for the pair 0, 1 of 'm0'"):
        tables.with_truth(bonds, teacher.iloc[1:])
    with pytest.raises(E3DError, match="a pair of atoms twice"):
        tables.with_truth(bonds, pd.concat([teacher, teacher.iloc[:1]]))


def test_a_scale_brings_random_weights_to_the_truth(chain: pd.DataFrame) -> None:
    wrong = chain.assign(random=-3 * chain[TRUE])
    scaled = tables.scaled_to_truth(wrong, ["random"])
    np.testing.assert_allclose(scaled["random"], chain[TRUE])


def test_gfn2_binds_every_bond_of_a_relaxed_molecule() -> None:
    with Dataset("data/dft-small.h5") as dataset:
        molecule = next(m for m in dataset.usable() if m.canonical_smiles == "CCO")
    table = tables.gfn2_rows(molecule)
    n_atoms = len(molecule.atomic_numbers)
    assert len(table) == n_atoms * (n_atoms - 1) // 2
    assert (table["i"] < table["j"]).all()
    assert table[TRUE].nsmallest(8).max() < -5 < table[TRUE].nlargest(3).min()


def test_hydrogen_is_told_from_other_elements() -> None:
    classes = ["C-H", "H-Si", "C=C", "Cl-Si", "He-Li"]
    assert tables.between_heavy_atoms(classes).tolist() == [False, False, True, True, True]


def test_true_energies_of_the_reactive_teacher_add_up_to_its_label() -> None:
    ethane = labelled("CC")
    ethane = replace(ethane, temperatures=np.zeros(1, dtype=int))
    teacher = tables.brenner_table([ethane])
    atoms = Atoms(ethane.atomic_numbers, ethane.positions[0], calculator=Brenner())
    assert teacher[TRUE].sum() == pytest.approx(atoms.get_potential_energy())
    assert (teacher["i"] < teacher["j"]).all()
    assert (teacher[TRUE] < -1).sum() == 7  # one bond of carbon atoms, six to hydrogen
