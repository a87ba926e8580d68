"""Class medians weight molecules equally; reactions are matched; tautologies are recognised."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.bde import references, scores
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.models import nulls
from e3d.models.additive import Additive
from e3d.models.pair import PairPotential, spline_knots
from e3d.units import KCAL_PER_MOL_PER_EV as KCAL

ROOT = Path(__file__).resolve().parents[2]
RUNS = ["model-s0", "model-s1"]
ADDITIVE = Additive({"C-H": -4.0, "C-C": -3.0}, {}, {}, 0.0)
KNOTS = spline_knots(0.5, 4.0, 0.25)
PAIR = PairPotential(KNOTS, {("C", "H"): np.full(len(KNOTS) - 1, -2.0)})
NULLS = nulls.FittedNulls(ADDITIVE, PAIR, {"untrained-s0": -300.0}, atomic_energies={})


def bond_table(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """(smiles, class, ε in eV) → a bond table; the second seed binds 10 % more strongly."""
    table = pd.DataFrame(rows, columns=["smiles", "class", "bare:model-s0"])
    table["molecule"] = table["smiles"]
    table["fold"], table["i"], table["length_A"] = "train", 0, 1.1
    table["j"] = table.groupby("smiles").cumcount() + 1
    table["bare:model-s1"] = 1.1 * table["bare:model-s0"]
    for run in RUNS:
        table[f"dressed:{run}"] = table[f"bare:{run}"] - 0.5
    table["bare:untrained-s0"] = 0.01
    return table


def scored(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    return scores.score_bonds(bond_table(rows), RUNS, NULLS)


def reference_rows(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["reaction", "bond_class", "kind", "value_kcal_per_mol"])


METHANE = [("C", "C-H", -4.5)] * 4
ETHANE = [("CC", "C-H", -4.2)] * 6 + [("CC", "C-C", -3.5)]
HYDROGEN = [("[H][H]", "H-H", -4.7)]
NO_REFERENCES = reference_rows(("average over compounds", "C-H", "mean H298", 98.0))


def test_scores_are_positive_and_in_kcal_per_mol() -> None:
    row = scored(METHANE).iloc[0]
    assert row["seed:model-s0"] == pytest.approx(4.5 * KCAL)
    assert row["emergent"] == pytest.approx(4.5 * 1.05 * KCAL)
    assert row["dressed"] == pytest.approx((4.5 * 1.05 + 0.5) * KCAL)
    assert row["untrained"] == pytest.approx(3.0 * KCAL)
    assert row["additive"] == pytest.approx(4.0 * KCAL)
    assert row["pair"] == pytest.approx(2.0 * KCAL)  # equal splines add up to one


def test_a_missing_run_is_named() -> None:
    with pytest.raises(E3DError, match="bare:model-s1"):
        scores.score_bonds(bond_table(METHANE).drop(columns="bare:model-s1"), RUNS, NULLS)


def test_runs_of_an_ensemble_are_found() -> None:
    assert scores.runs_of(bond_table(METHANE), "model") == RUNS
    with pytest.raises(E3DError, match="no run of the ensemble 'mod'"):
        scores.runs_of(bond_table(METHANE), "mod")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-6, -1), st.integers(1, 7)), min_size=3, max_size=7))
def test_molecules_have_equal_weight_whatever_their_number_of_bonds(
    molecules: list[tuple[float, int]],
) -> None:
    rows = [
        ("C" * (k + 1), "C-H", energy)
        for k, (energy, count) in enumerate(molecules)
        for _ in range(count)
    ]
    table = scores.class_table(scored(rows), NO_REFERENCES, n_resamples=20).set_index("class")
    expected = np.median([-energy for energy, _ in molecules]) * 1.05 * KCAL
    row = table.loc["C-H"]
    assert row["emergent_kcal_per_mol"] == pytest.approx(expected)
    assert (row["n_molecules"], row["n_bonds"]) == (len(molecules), sum(n for _, n in molecules))
    assert row["low"] <= row["emergent_kcal_per_mol"] <= row["high"]
    spread = np.std([1.0, 1.1], ddof=1) * expected / 1.05
    assert row["seed_std_kcal_per_mol"] == pytest.approx(spread)


def test_small_classes_are_shown_and_not_averaged() -> None:
    table = scores.class_table(scored(METHANE + ETHANE), NO_REFERENCES).set_index("class")
    assert not table["averaged"].any()
    assert table["low"].isna().all()
    assert table["emergent_kcal_per_mol"].notna().all()
    assert table.loc["C-H", references.KINDS["mean H298"]] == 98.0


def test_class_table_has_the_agreed_columns_first() -> None:
    table = scores.class_table(scored(METHANE).assign(other=1.0), NO_REFERENCES)
    assert list(table.columns) == [
        "class", "n_bonds", "n_molecules", "emergent_kcal_per_mol", "dressed_kcal_per_mol", "low",
        "high", "seed_std_kcal_per_mol", "untrained", "additive", "pair",
        "reference_h_mean_kcal_per_mol", "other", "averaged",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("smiles", "bare", "dressed"),
    [("[H][H]", True, True), ("N#N", True, True), ("C", False, True), ("N", False, True),
     ("O", False, True), ("[SiH4]", False, True), ("O=C=O", False, True), ("CC", False, False),
     ("C#N", False, False), ("OO", False, False), ("S", False, True), ("NO", False, False)],
)  # fmt: skip
def test_tautologies(smiles: str, bare: bool, dressed: bool) -> None:
    assert references.bare_tautology(smiles) == bare
    assert references.dressed_tautology(smiles) == dressed


def test_equivalent_bonds_of_one_class() -> None:
    assert len(references.class_bonds("CC", "C-H")) == 1
    assert len(references.class_bonds("CCC", "C-H")) == 2
    assert not references.class_bonds("CC", "C=C")


def reactions() -> pd.DataFrame:
    known = reference_rows(
        ("CH4 -> CH3 + H", "C-H", "De", 112.0),
        ("CH4 -> CH3 + H", "C-H", "BDE298", 105.0),
        ("CH4 atomised, per bond", "C-H", "mean De", 105.5),
        ("C2H6 -> 2 CH3", "C-C", "De", 97.0),
        ("H2 -> 2 H", "H-H", "De", 109.5),
        ("CH3F -> CH3 + F", "C-F", "De", 115.0),
        ("average over compounds", "C-H", "mean H298", 98.0),
    )
    smiles = ["C", "C", "CC", "[H][H]", "CF"]
    names = list(dict.fromkeys(known["reaction"]))[:5]
    return references.reaction_table(known, pd.DataFrame({"reaction": names, "smiles": smiles}))


def test_reactions_have_every_kind_of_reference() -> None:
    table = reactions().set_index("reaction")
    methane = table.loc["CH4 -> CH3 + H", list(references.KINDS.values())]
    assert methane.tolist() == [112.0, 105.0, 105.5, 98.0]
    assert np.isnan(table.loc["CH4 atomised, per bond", references.KINDS["De"]])
    assert table.loc["C2H6 -> 2 CH3", list(references.KINDS.values())].isna().sum() == 3


def test_a_reaction_without_a_parent_is_refused() -> None:
    table = reference_rows(("XeF2 -> XeF + F", "F-Xe", "De", 60.0))
    with pytest.raises(E3DError, match="'XeF2 -> XeF \\+ F' has no parent"):
        references.reaction_table(table, pd.DataFrame({"reaction": ["A"], "smiles": ["C"]}))


def sources() -> list[references.Source]:
    organic = frozenset({"H", "C"})
    fluoro = scored([("CF", "C-F", -4.8), *[("CF", "C-H", -4.0)] * 3])
    return [
        references.Source("DFT", scored(METHANE + HYDROGEN), organic, True),
        references.Source("bulk geometry", scored(METHANE + ETHANE + fluoro_rows()), organic, True),
        references.Source("bulk labels", fluoro, organic | {"F"}, False),
    ]


def fluoro_rows() -> list[tuple[str, str, float]]:
    return [("CF", "C-F", -9.9), *[("CF", "C-H", -9.9)] * 3]


def test_matched_values_are_from_the_first_valid_source() -> None:
    table = references.matched_table(reactions(), sources()).set_index("reaction")
    assert table["source"].to_dict() == {
        "CH4 -> CH3 + H": "DFT", "CH4 atomised, per bond": "DFT", "H2 -> 2 H": "DFT",
        "C2H6 -> 2 CH3": "bulk geometry", "CH3F -> CH3 + F": "bulk labels",
    }  # fmt: skip
    values = table["emergent_kcal_per_mol"] / (1.05 * KCAL)
    assert values["C2H6 -> 2 CH3"] == pytest.approx(3.5)
    assert values["CH3F -> CH3 + F"] == pytest.approx(4.8)
    assert table.index[table["tautology"]].tolist() == ["H2 -> 2 H"]
    assert not table.loc[["H2 -> 2 H", "CH3F -> CH3 + F"], "headline"].any()
    assert list(table.reset_index().columns[:10]) == references.AGREED


def test_a_reaction_without_a_source_stays_in_the_table() -> None:
    table = references.matched_table(reactions(), sources()[:1]).set_index("reaction")
    missing = table.loc["C2H6 -> 2 CH3"]
    assert np.isnan(missing["emergent_kcal_per_mol"])
    assert missing["source"] == ""
    assert not missing["headline"]


def test_a_wrong_bond_class_or_an_ambiguous_one_is_refused() -> None:
    source = references.Source("DFT", scored([("CCC", "C-H", -4.0)] * 8), frozenset("HC"), True)
    with pytest.raises(E3DError, match="2 symmetry classes"):
        source.bonds("CCC", "C-H")
    with pytest.raises(E3DError, match="0 bonds of class C=C"):
        source.bonds("CCC", "C=C")


def test_accuracy_excludes_tautologies_and_its_gains_are_paired() -> None:
    table = references.matched_table(reactions(), sources())
    kind = references.KINDS["De"]
    columns = ["emergent_kcal_per_mol", "dressed_kcal_per_mol", "additive"]
    found = scores.accuracies(table, columns, kind)
    assert found["n"].to_dict() == dict(zip(columns, [2, 1, 2], strict=True))  # CH4, C2H6
    error = np.array([4.5 * 1.05 * KCAL / 112 - 1, 3.5 * 1.05 * KCAL / 97 - 1])
    expected = 1 - np.abs(error).mean()
    assert found.loc[columns[0], "value"] == pytest.approx(expected)
    gains = scores.accuracies(table, ["additive"], kind, against=columns[0])
    difference = found.loc[columns[0], "value"] - found.loc["additive", "value"]
    assert gains.loc["additive", "value"] == pytest.approx(difference)
    gains = scores.accuracies(table, ["additive"], kind, against=columns[1])
    assert gains.loc["additive", "n"] == 1, "a tautology helps neither side"


def test_every_reference_of_the_project_has_a_parent() -> None:
    known = references.read_references(ROOT / "data/bde_reference.csv")
    parents = pd.read_csv(ROOT / "data/reference_molecules.csv")
    table = references.reaction_table(known, parents)
    assert len(table) == known.loc[known["reaction"] != references.AVERAGED, "reaction"].nunique()
    for smiles, name in zip(table["smiles"], table["class"], strict=True):
        assert len(references.class_bonds(smiles, name)) == 1
    assert set(table["smiles"][table["smiles"].map(references.bare_tautology)]) == {"[H][H]", "N#N"}


def test_a_malformed_reference_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    path.write_text("reaction,kind\na,De\n")
    with pytest.raises(E3DError, match="no column 'bond_class'"):
        references.read_references(path)
    path.write_text("reaction,bond_class,kind,value_kcal_per_mol\na,C-H,D0,1\n")
    with pytest.raises(E3DError, match="unknown kind of reference 'D0'"):
        references.read_references(path)


def test_nulls_of_the_dft_labels_have_chemical_bond_energies() -> None:
    with Dataset(ROOT / "data/dft-small.h5") as dataset:
        molecules, zero = list(dataset.usable()), dataset.atomic_energies("aligned")
    sums = pd.DataFrame(
        [("untrained-s0", "train", -20.0, 2.0), ("untrained-s0", "test", -20.0, 9.0),
         ("finetuned-s0", "train", -20.0, -19.0)],
        columns=["run", "fold", "label_eV", "model_eV"],
    )  # fmt: skip
    assert nulls.scale_factors(sums) == {"untrained-s0": -10.0}  # held-out molecules do not count
    fitted = nulls.fit_nulls(
        molecules, zero, knots=spline_knots(0.5, 4.0, 0.4), energy_weight=100.0,
        penalties=[1e-3, 1e-1],
    )  # fmt: skip
    values = dict(zip(("C-C", "C-H", "C=C", "C#C"), [90, 103, 150, 200], strict=True))
    for name, value in values.items():
        assert -fitted.additive.energies[name] * KCAL == pytest.approx(value, abs=10)
    assert -fitted.pair("C", "H", np.array([1.09]))[0] * KCAL == pytest.approx(110, abs=25)
