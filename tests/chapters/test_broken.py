"""Radicals as labels: which bonds leave them, what models say of both, what one constant mends."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from tests.examples import labelled

from chapters import broken
from e3d.chemistry import bonding
from e3d.data.split import fold
from e3d.data.writing import write_dataset
from e3d.decomposition.tables import ModelSpec
from e3d.labels.fragments import unpaired_electrons
from e3d.units import KCAL_PER_MOL_PER_EV

ENERGIES = {"[H]": -13.0, "C": -60.0, "[CH3]": -42.0, "CO": -150.0, "[OH]": -85.0, "[CH2]O": -133.0,
            "C[O]": -132.5}  # fmt: skip
CHECKPOINT = "checkpoints/finetuned-s0"


@pytest.fixture
def species(tmp_path):
    images = []
    for smiles, energy in ENERGIES.items():
        graph = bonding.parse_smiles(smiles)
        numbers = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
        positions = bonding.embed(graph, seed=0) if len(numbers) > 1 else np.zeros((1, 3))
        info = {"smiles": smiles, "unpaired": unpaired_electrons(smiles), "energy_eV": energy,
                "spin_square": 0.0}  # fmt: skip
        images.append(Atoms(numbers, positions, info=info))
    ase.io.write(tmp_path / "species.xyz", images, format="extxyz")
    return tmp_path / "species.xyz"


def test_every_kind_of_bond_whose_radicals_are_known_is_there_once(species):
    found = broken.separations(species, ["C-H", "C-O", "H-O"]).set_index(["smiles", "class"])
    expected = {("C", "C-H"): 60 - 42 - 13, ("CO", "C-O"): 150 - 42 - 85,
                ("CO", "C-H"): 150 - 133 - 13, ("CO", "H-O"): 150 - 132.5 - 13}  # fmt: skip
    values = (found["reference_kcal_per_mol"] / KCAL_PER_MOL_PER_EV).to_dict()
    assert values == pytest.approx(expected)


def test_models_give_the_bond_and_its_fragments_at_the_same_geometries(species):
    bonds = broken.separations(species, ["C-O"])
    found = broken.with_models(bonds, species, {"one": ModelSpec(CHECKPOINT)}, progress=False)
    # near methanol's dissociation energy, 92 kcal/mol, and no length or total energy
    assert found["bare:one"].between(50, 150).all()
    assert found["fragment:one"].between(20, 150).all()
    assert not np.allclose(found["bare:one"], found["fragment:one"])


def test_a_bond_is_familiar_by_its_radicals_but_not_by_the_hydrogen_atom():
    radicals = [{"[H]", "[CH3]"}, {"[H]", "C[O]"}, {"[CH3]", "[OH]"}]
    seen, unseen = broken.SEEN, broken.UNSEEN
    assert broken.familiarity(radicals, {"[CH3]"}).tolist() == [seen, unseen, seen]
    assert broken.familiarity(radicals, {"[H]"}).tolist() == [unseen] * 3


def test_all_radicals_that_a_bond_of_a_class_can_leave_are_considered():
    assert broken.possible_radicals("CCO", "C-H") == {"[H]", "[CH2]CO", "C[CH]O"}
    assert broken.n_radicals(["C-H", "C-C", "H-O", "N-N"]).tolist() == [1, 2, 1, 2]


def test_the_mean_error_of_radicals_counts_those_of_the_training_fold_alone(tmp_path):
    names = ["[CH3]", "C[O]", "[CH2]O", "[CH2]C", "[CH2]N", "C[NH]", "C=C[O]"]
    assert {fold(name) for name in names} > {"train"}
    for shift in (0.0, 1.0):
        entries = [labelled(name, -1.0 - shift) for name in names]
        write_dataset(
            tmp_path / f"{shift}.h5", entries, level_of_theory="test", provenance="test",
            atomic_energies={"H": -13.6, "C": -1030.0, "N": -1480.0, "O": -2042.0},
        )  # fmt: skip
    specs = {"one": ModelSpec(CHECKPOINT)}
    first, second = (broken.mean_radical_errors([tmp_path / f"{s}.h5"], specs)["one"]
                     for s in (0.0, 1.0))  # fmt: skip
    assert second - first == pytest.approx(KCAL_PER_MOL_PER_EV, rel=1e-6)
    known = broken.labelled_radicals([tmp_path / "0.0.h5"])
    assert set(known) == {name for name in names if fold(name) == "train"}
