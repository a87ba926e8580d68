"""The global split: one fold per molecule, whatever its spelling, data set or neighbours."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from e3d.data.dataset import Dataset
from e3d.data.split import (
    assert_no_leak,
    conformation_folds,
    draw,
    fold,
    select,
    split_table,
)
from e3d.errors import E3DError
from e3d.labels.enumeration import enumerate_molecules

DFT = Path("data/dft-small.h5")
SMILES = enumerate_molecules(600, max_heavy_atoms=4, minor_fraction=0.45, seed=0)


@settings(deadline=None)
@given(st.sampled_from(SMILES), st.randoms(use_true_random=False))
def test_the_fold_does_not_depend_on_the_spelling(smiles: str, random) -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    order = list(range(molecule.GetNumAtoms()))
    random.shuffle(order)
    shuffled = Chem.RenumberAtoms(molecule, order)
    for atom in shuffled.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    assert fold(Chem.MolToSmiles(shuffled, canonical=False)) == fold(smiles)


def test_folds_are_the_published_ones() -> None:
    """Fixed for good: another rule would leak molecules into models that exist."""
    known = {"C": "train", "CCO": "train", "N#N": "test", "C=C=C": "test", "CNN": "validation"}
    assert {smiles: fold(smiles) for smiles in known} == known


def test_shares_are_as_declared() -> None:
    counts = Counter(fold(smiles) for smiles in SMILES)
    # three standard deviations of a binomial with 600 draws
    assert counts["test"] / len(SMILES) == pytest.approx(0.10, abs=0.037)
    assert counts["validation"] / len(SMILES) == pytest.approx(0.05, abs=0.027)


def test_conformations_follow_their_molecule_and_relaxed_ones_train() -> None:
    counts: Counter[str] = Counter()
    with Dataset(DFT) as dataset:
        for molecule in dataset.usable():
            folds = conformation_folds(molecule)
            assert molecule.temperatures is not None
            if fold(molecule.smiles) != "train":
                assert set(folds) == {fold(molecule.smiles)}
                continue
            relaxed = molecule.temperatures == 0
            assert all(f == "train" for f, r in zip(folds, relaxed, strict=True) if r)
            counts.update(f for f, r in zip(folds, relaxed, strict=True) if not r)
    total = counts.total()
    assert counts["test"] / total == pytest.approx(0.10, abs=0.035)
    assert counts["validation"] / total == pytest.approx(0.05, abs=0.025)


def test_what_is_held_out_are_conformations_or_molecules_or_both() -> None:
    with Dataset(DFT) as dataset:
        molecules = list(dataset.usable())
    for part in ("train", "validation", "test"):
        both, conformations, whole = (
            [(m.name, tuple(m.energies)) for m in select(molecules, part, held_out)]
            for held_out in (None, "conformations", "molecules")
        )
        assert both
        if part == "train":
            assert both == conformations == whole
        else:
            assert sorted(conformations + whole) == sorted(both)
            assert {name for name, _ in whole}.isdisjoint(name for name, _ in conformations)


def test_no_molecule_leaks_between_data_sets() -> None:
    """What training takes from any data set is no molecule that a test takes from another."""
    paths = [path for path in (DFT, Path("labels/bulk.h5")) if path.exists()]
    used: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for path in paths:
        with Dataset(path) as dataset:
            molecules = list(dataset.usable())
        for part, known in used.items():
            for molecule in select(molecules, part, "molecules"):
                # another canonical form than the one that the split is made by
                parsed = Chem.MolFromSmiles(molecule.canonical_smiles)
                known.add(Chem.MolToInchi(parsed, options="/FixedH /LooseTSACheck"))
    assert min(map(len, used.values())) >= 5
    for first, second in combinations(used.values(), 2):
        # InChI joins the bond-shift isomers of antiaromatic rings, which are two SMILES
        assert len(first & second) <= 0.001 * len(used["train"])


def test_the_table_lists_each_molecule_once_with_its_data_sets() -> None:
    table = split_table({"bulk": ["CCO", "C", "CO"], "dft": ["[CH3:1][OH:2]", "N#N"]})
    assert table["smiles"].tolist() == ["C", "CCO", "CO", "N#N"]
    assert dict(zip(table["smiles"], table["data_sets"], strict=True))["CO"] == "bulk dft"
    assert table.loc[table["smiles"] == "N#N", "fold"].item() == "test"


def test_a_leak_is_found() -> None:
    table = split_table({"dft": ["N#N", "C"]})
    assert_no_leak(table, {"dft": {"N#N": "test", "C": "train"}})
    with pytest.raises(E3DError, match="leak: N#N of bulk is used for train"):
        assert_no_leak(table, {"bulk": {"N#N": "train"}})
    with pytest.raises(E3DError, match="lists no fold"):
        assert_no_leak(table, {"bulk": {"CC": "train"}})


def test_an_unparsable_smiles_has_no_fold() -> None:
    with pytest.raises(E3DError, match="cannot be parsed"):
        fold("C(")


def test_a_draw_holds_the_test_fold_and_what_is_to_be_kept() -> None:
    with Dataset("data/dft-small.h5") as dataset:
        molecules = list(dataset.usable())
    test = {m.canonical_smiles for m in molecules if fold(m.canonical_smiles) == "test"}
    drawn = draw(molecules, 40, keep=["CC"], seed=1)
    names = [m.canonical_smiles for m in drawn]
    assert len(set(names)) == 40
    assert test | {"CC"} <= set(names)
    assert names == [m.canonical_smiles for m in molecules if m.canonical_smiles in set(names)]
    assert len(draw(molecules, 1000)) == len(molecules)
    assert {m.canonical_smiles for m in draw(molecules, 1)} == test
