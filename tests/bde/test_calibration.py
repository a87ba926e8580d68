"""What is told of errors: made from the tables, matched to molecules however they are written."""

import json

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from examples import random_model

from e3d.bde import known
from e3d.bde.calibration import FRAGMENTS, LITERATURE, calibrated, calibration, write
from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure
from e3d.decomposition.domain import fingerprint
from e3d.decomposition.report import bond_report
from e3d.errors import E3DError


def structure(smiles: str, order: list[int] | None = None) -> Structure:
    """A molecule from RDKit alone, its atoms renumbered."""
    from ase import Atoms
    from rdkit import Chem

    graph = bonding.parse_smiles(smiles)
    graph = graph if order is None else Chem.RenumberAtoms(graph, order)
    bonds = bonding.bond_pairs(graph)
    numbers = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
    classes = [bonding.bond_class(graph, i, j) for i, j in bonds.tolist()]
    return Structure(smiles, Atoms(numbers, bonding.embed(graph, seed=1)), bonds, classes)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Bare values 0.8 D_e − 2, dressed ones exact."""
    rows = [("CH4 -> CH3 + H", "C", "C-H", 112.0), ("C2H6 -> 2 CH3", "CC", "C-C", 97.0),
            ("CH3OH -> CH3 + OH", "CO", "C-O", 98.0), ("H2O -> OH + H", "O", "H-O", 125.0),
            ("NH3 -> NH2 + H", "N", "H-N", 115.0)]  # fmt: skip
    matched = pd.DataFrame(
        rows, columns=["reaction", "smiles", "class", "reference_de_kcal_per_mol"]
    )
    matched["emergent_kcal_per_mol"] = 0.8 * matched["reference_de_kcal_per_mol"] - 2
    matched["dressed_kcal_per_mol"] = matched["reference_de_kcal_per_mol"]
    matched["reference_bde298_kcal_per_mol"] = [105.0, np.nan, np.nan, np.nan, np.nan]
    matched["headline"] = True
    parts = [("CCC", "C-H", "C[CH]C + [H]", 100.0), ("CCC", "C-H", "[CH2]CC + [H]", 103.0),
             ("CCO", "C-H", "C[CH]O + [H]", 96.0), ("CO", "C-H", "[CH2]O + [H]", 97.0),
             ("C", "C-H", "[CH3] + [H]", 112.0)]  # fmt: skip
    columns = ["smiles", "class", "fragments", "fragment_bde_kcal_per_mol"]
    within = pd.DataFrame(parts, columns=columns)
    within["emergent"] = within["fragment_bde_kcal_per_mol"] - 5
    within["dressed"] = within["fragment_bde_kcal_per_mol"]
    bonds = pd.DataFrame({
        "smiles": ["C", "CC", "CC", "CO"], "class": ["C-H", "C-H", "C-C", "C-H"],
        "emergent": [100.0, 98.0, 80.0, 102.0], "dressed": [104.0, 103.0, 92.0, 103.0],
    })  # fmt: skip
    return {"matched": matched, "within": within, "bonds": bonds}


def test_bias_slope_and_error_are_those_that_were_put_in(tables):
    found = calibration(**tables, models={}, n_resamples=50)
    bare, dressed = (found["tests"][LITERATURE][key] for key in ("bare", "dressed"))
    mean = tables["matched"]["reference_de_kcal_per_mol"].mean()
    assert bare["slope"]["value"] == pytest.approx(0.8)
    assert bare["bias"]["value"] == pytest.approx(-0.2 * mean - 2, rel=1e-3)
    assert bare["mae"]["value"] == pytest.approx(0.2 * mean + 2, rel=1e-3)
    assert bare["mae_calibrated"] == pytest.approx(0, abs=1e-6)
    assert dressed["bias"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["tests"][FRAGMENTS]["bare"]["classes"]["C-H"] == {
        "bias": -5.0, "mae": 5.0, "n_molecules": 4,
    }  # fmt: skip
    assert found["classes"]["C-H"]["bare"] == [98.0, 100.0, 102.0]
    with pytest.raises(E3DError, match="no bond"):
        calibration(tables["matched"].iloc[:0], tables["within"], tables["bonds"], models={})


def test_the_line_leaves_the_molecule_out():
    values, reference = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0, 100.0])
    names = np.array(["a", "b", "c", "d"])
    assert calibrated(values, reference, names)[3] == pytest.approx(6.0)


def test_references_are_found_whatever_the_order_of_atoms(tables, tmp_path):
    write(tmp_path / "calibration.json", calibration(**tables, models={}, n_resamples=20))
    content = known.read(tmp_path / "calibration.json")
    model = random_model("float64")
    rng = np.random.default_rng(0)
    for smiles, order in (("CCC", None), ("C(C)C", rng.permutation(11).tolist())):
        one = structure(smiles, order)
        report = known.annotated(bond_report(one, [model]), one, [model], content)
        values = sorted(
            entry["value_kcal_per_mol"] for row in report["bonds"] for entry in row["references"]
        )
        assert values == [100.0] * 2 + [103.0] * 6
        assert "tests" not in report  # another model's
        for row in report["bonds"]:
            ends = {one.atoms[row["i"]].symbol, one.atoms[row["j"]].symbol}
            assert not row["references"] or ends == {"C", "H"}
    methane = structure("C")
    report = known.annotated(bond_report(methane, [model]), methane, [model], content)
    kinds = [[entry["kind"] for entry in row["references"]] for row in report["bonds"]]
    assert kinds == [["De", "BDE298", "DFT"]] * 4


def test_errors_and_classes_are_told_of_their_own_models_alone(tables):
    model, other = random_model("float64"), random_model("float64", seed=9)
    content = calibration(**tables, models={"a": fingerprint(model)}, n_resamples=20)
    methane = structure("C")
    own = known.annotated(bond_report(methane, [model]), methane, [model], content)
    assert own["tests"] == content["tests"]
    assert own["bonds"][0]["class_kcal_per_mol"]["median"] == 100.0
    for models in ([other], [model, other]):
        report = known.annotated(bond_report(methane, models), methane, models, content)
        assert "tests" not in report
        assert "class_kcal_per_mol" not in report["bonds"][0]


def test_without_a_file_nothing_is_said_and_a_wrong_one_is_named(tmp_path):
    assert known.read(tmp_path / "none.json") == {}
    (tmp_path / "wrong.json").write_text(json.dumps({"models": {}}))
    with pytest.raises(E3DError, match="no calibration"):
        known.read(tmp_path / "wrong.json")
    water = Structure(None, molecule("H2O"), np.array([[0, 1], [0, 2]]), ["H-O", "H-O"])
    model = random_model("float64")
    report = bond_report(water, [model])
    assert known.annotated(report, water, [model], {}) == report
