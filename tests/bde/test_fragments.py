"""Fragment BDEs by models: which bonds are cut, what is relaxed, what is said of the values."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.build import molecule as g2
from examples import random_model

from e3d.bde import fragments, known
from e3d.bde.calibration import FRAGMENTS, UNSEEN, fragment_calibration
from e3d.bde.ensemble import Ensemble
from e3d.bde.fragment_report import with_fragments
from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure, from_smiles, structure_of
from e3d.decomposition.domain import fingerprint
from e3d.decomposition.edges import decompose
from e3d.decomposition.page import page
from e3d.decomposition.report import bond_report
from e3d.decomposition.text import report_text
from e3d.decomposition.zeros import zero_of
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

ELEMENTS = ["H", "C", "N", "O", "Si"]


def relaxed(smiles: str) -> Structure:
    return from_smiles(smiles, elements=ELEMENTS)


@pytest.fixture(scope="module")
def ethanol() -> Structure:
    return relaxed("CCO")


@pytest.fixture(scope="module")
def models():
    return [random_model("float32", seed=seed) for seed in (1, 2)]


def chain(n_carbons: int) -> Atoms:
    """An alkane from RDKit alone."""
    graph = bonding.parse_smiles("C" * n_carbons)
    return Atoms([a.GetAtomicNum() for a in graph.GetAtoms()], bonding.embed(graph, seed=1))


def kinds(structure: Structure) -> dict[tuple[str, ...], int]:
    """Class and radicals of every cut, with the number of its bonds."""
    return {
        (structure.classes[cut.bonds[0]], *sorted(r.smiles for r in cut.radicals)): len(cut.bonds)
        for cut in fragments.cuts(structure)
    }


def test_every_single_bond_outside_of_rings_is_cut_and_equivalent_ones_once(ethanol):
    assert kinds(ethanol) == {
        ("C-C", "[CH2]O", "[CH3]"): 1, ("C-O", "[CH2]C", "[OH]"): 1, ("H-O", "CC[O]", "[H]"): 1,
        ("C-H", "C[CH]O", "[H]"): 2, ("C-H", "[CH2]CO", "[H]"): 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C1CC1", {("C-H", "[CH]1CC1", "[H]"): 6}),
        ("C=C", {("C-H", "[CH]=C", "[H]"): 4}),
        ("[H][H]", {("H-H", "[H]", "[H]"): 1}),
        # N-O of a nitro group would leave ions
        ("C[N+](=O)[O-]", {("C-H", "[CH2][N+](=O)[O-]", "[H]"): 3,
                           ("C-N", "O=[N+][O-]", "[CH3]"): 1}),
    ],
)  # fmt: skip
def test_what_is_no_single_bond_or_leaves_ions_is_not_cut(smiles, expected):
    def named(found):
        from rdkit import Chem

        return {(c, *sorted(map(Chem.CanonSmiles, rest))): n for (c, *rest), n in found.items()}

    assert named(kinds(relaxed(smiles))) == named(expected)


def test_radicals_that_differ_in_stereochemistry_are_not_the_same():
    found = kinds(relaxed("C/C=C\\C"))
    assert len([key for key in found if key[0] == "C-H"]) == 2
    assert any("/" in text for key in found for text in key)


def test_crystals_ions_radicals_and_heaps_have_none(tmp_path):
    ase.io.write(tmp_path / "diamond.cif", bulk("C", "diamond", a=3.57))
    ase.io.write(tmp_path / "hydroxide.xyz", g2("OH"))
    two = g2("CH4") + g2("CH4")
    two.positions[5:] += 6.0
    ase.io.write(tmp_path / "two.xyz", two)
    ase.io.write(tmp_path / "large.xyz", chain(67))
    for name, why, options in (
        ("diamond.cif", "a crystal has none", {}), ("two.xyz", "in several pieces", {}),
        ("hydroxide.xyz", "only neutral closed-shell", {"charge": -1}),
        ("hydroxide.xyz", "only neutral closed-shell", {}),
        ("large.xyz", "more than 200 atoms", {}),
    ):  # fmt: skip
        structure = structure_of(str(tmp_path / name), elements=ELEMENTS, **options)
        assert fragments.cuts(structure) == []
        model = random_model("float64")
        report = with_fragments(bond_report(structure, [model]), structure, [model], {})
        assert report["warnings"][-1].startswith("no fragment values: ")
        assert why in report["warnings"][-1]
        assert {row["fragment_bde_kcal_per_mol"] for row in report["bonds"]} == {None}


def test_values_are_energies_of_the_relaxed_radicals_less_that_of_the_molecule(
    ethanol, models, tmp_path
):
    found = fragments.fragment_energies(ethanol, models, folder=tmp_path)
    (cut,) = [c for c in fragments.cuts(ethanol) if ethanol.classes[c.bonds[0]] == "C-O"]
    parts = [fragments.relaxed(radical, folder=tmp_path) for radical in cut.radicals]
    for radical, atoms in zip(cut.radicals, parts, strict=True):
        assert len(atoms) == len(radical.start)
    for row, model in zip(found.bde_kcal_per_mol, models, strict=True):
        whole, first, second = (d.energy for d in decompose(model, [ethanol.atoms, *parts]))
        expected = (first + second - whole) * KCAL_PER_MOL_PER_EV
        assert row[cut.bonds[0]] == pytest.approx(expected, abs=0.05)
    single = [k for k in range(8) if ethanol.classes[k] in ("C-C", "C-H", "C-O", "H-O")]
    assert np.isfinite(found.bde_kcal_per_mol[:, single]).all()
    assert (found.failed, len(found.radicals)) == ({}, 8)


def test_a_radical_of_a_symmetric_molecule_does_not_stay_on_a_saddle_point(tmp_path):
    acetone = relaxed("CC(C)=O")  # the hydrogen in the plane leaves a CH2 across it
    (cut,) = [c for c in fragments.cuts(acetone) if acetone.classes[c.bonds[0]] == "C-H"]
    radical = max(cut.radicals, key=lambda part: len(part.start))
    atoms = fragments.relaxed(radical, folder=tmp_path)
    normal = np.linalg.svd(atoms.positions[:4] - atoms.positions[:4].mean(axis=0))[2][2]
    (at,) = [a.GetIdx() for a in radical.graph.GetAtoms() if a.GetNumRadicalElectrons()]
    hydrogens = [a.GetIdx() for a in radical.graph.GetAtomWithIdx(at).GetNeighbors()
                 if a.GetSymbol() == "H"]  # fmt: skip
    heights = (atoms.positions[hydrogens] - atoms.positions[at]) @ normal
    assert np.abs(heights).max() < 0.1, "in the plane of the double bond"


def test_values_do_not_depend_on_how_the_molecule_is_written(ethanol, models, tmp_path):
    def values(structure):
        found = fragments.fragment_energies(structure, models, folder=tmp_path)
        return sorted(zip(structure.classes, found.bde_kcal_per_mol.mean(axis=0), strict=True))

    first, second = values(ethanol), values(relaxed("OCC"))
    assert [name for name, _ in first] == [name for name, _ in second]
    assert [v for _, v in first] == pytest.approx([v for _, v in second], abs=0.02)


def test_an_interrupted_call_relaxes_no_radical_twice(ethanol, models, tmp_path, monkeypatch):
    monkeypatch.setattr(fragments, "KEPT_S", 0.0)
    real, done = fragments.minimum, []

    def interrupted(atoms, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(len(atoms))
        return real(atoms, **options)

    monkeypatch.setattr(fragments, "minimum", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fragments.fragment_energies(ethanol, models, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 3
    resumed = []

    def counted(atoms, **options):
        resumed.append(len(atoms))
        return real(atoms, **options)

    monkeypatch.setattr(fragments, "minimum", counted)
    again = fragments.fragment_energies(ethanol, models, folder=tmp_path)
    assert (
        len(done) + len(resumed) == len({r for pair in again.radicals.values() for r in pair}) - 1
    )
    for path in tmp_path.glob("*.npy"):
        path.write_bytes(b"damaged")
    fresh = fragments.fragment_energies(ethanol, models, folder=tmp_path)
    np.testing.assert_allclose(fresh.bde_kcal_per_mol, again.bde_kcal_per_mol, atol=0.02)


def test_a_radical_that_cannot_be_relaxed_is_named_and_the_others_are_there(
    ethanol, models, tmp_path, monkeypatch
):
    real = fragments.minimum

    def failing(atoms, **options):
        if len(atoms) == 2:
            raise E3DError("OH: no minimum")
        return real(atoms, **options)

    monkeypatch.setattr(fragments, "minimum", failing)
    report = with_fragments(
        bond_report(ethanol, models), ethanol, models, {}, folder=tmp_path / "radicals"
    )
    missing = [r["class"] for r in report["bonds"] if r["fragment_bde_kcal_per_mol"] is None]
    assert missing == ["C-O"]
    assert "no fragment value of bonds that leave [OH] (OH: no minimum)" in report["warnings"]


def test_it_is_said_what_is_not_known_of_the_models_and_of_a_file(ethanol, models, tmp_path):
    def told(structure, *of):
        return "\n".join(
            with_fragments(bond_report(structure, of), structure, of, {}, folder=tmp_path)[
                "warnings"
            ]
        )

    assert "whether random-float32 was trained on radicals is not known" in told(ethanol, models[0])
    without = replace(models[0], metadata={"training": {"radicals": False}})
    assert "was not trained on radicals" in told(ethanol, without)
    knowing = replace(models[0], metadata={"training": {"radicals": True}})
    assert told(ethanol, knowing) == ""
    ase.io.write(tmp_path / "ethanol.xyz", ethanol.atoms)
    given = structure_of(str(tmp_path / "ethanol.xyz"), elements=ELEMENTS)
    assert "as the file has it" in told(given, knowing)


@pytest.fixture(scope="module")
def told() -> dict:
    """Values 0.9 of the reference, of which two leave radicals that training had not."""
    own = pd.DataFrame({
        "smiles": ["C", "CC", "CCO", "CO"], "seen": [True, True, False, False],
        "reference": [112.0, 97.0, 90.0, 98.0],
    })  # fmt: skip
    own["spread"] = [1.0, 2.0, 2.0, 40.0]
    own["value"], own["null"] = 0.9 * own["reference"], own["reference"] + 7
    interval = {"value": 14.1, "low": 12.0, "high": 16.0, "n": 1262}
    further = {"BSE49": {"mae": interval, "null_mae": interval | {"value": 11.9}}}
    return fragment_calibration(own, further, models={}, radicals={"[CH3]", "[OH]"}, n_resamples=50)


def test_errors_are_those_that_were_put_in(told):
    everything, unseen = told["tests"][FRAGMENTS], told["tests"][UNSEEN]
    assert everything["slope"]["value"] == pytest.approx(0.9)
    assert everything["mae"]["value"] == pytest.approx(0.1 * 99.25, rel=1e-3)
    assert everything["bias"]["value"] == pytest.approx(-0.1 * 99.25, rel=1e-3)
    assert everything["null_mae"]["value"] == pytest.approx(7.0)
    assert unseen["mae"]["n"] == 2
    assert told["tests"]["BSE49"]["mae"]["n"] == 1262
    with pytest.raises(E3DError, match="no bond"):
        fragment_calibration(
            pd.DataFrame({"smiles": ["C"], "seen": [True], "reference": [1.0], "value": [1.0],
                          "null": [1.0], "spread": [1.0]}),
            {}, models={}, radicals=(), n_resamples=10,
        )  # fmt: skip


def test_errors_are_told_of_their_own_models_and_new_radicals_are_marked(ethanol, models, told):
    prints = dict(zip("ab", map(fingerprint, models), strict=True))
    own = {"fragments": told | {"models": prints}}
    plain = bond_report(ethanol, models)
    report = with_fragments(plain, ethanol, models, own)
    marks = {row["class"]: row["radicals_known"] for row in report["bonds"]}
    # CH3 and OH were trained on; the hydrogen atom does not count
    assert marks == {"C-C": True, "C-O": True, "C-H": False, "H-O": False}
    spreads = [row["fragment_std_kcal_per_mol"] for row in report["bonds"]]
    assert 0 < max(spreads) < told["spread_kcal_per_mol"]
    assert not any("differ in fragment values" in text for text in report["warnings"])
    narrow = {"fragments": own["fragments"] | {"spread_kcal_per_mol": max(spreads) - 1e-6}}
    (said,) = [text for text in with_fragments(plain, ethanol, models, narrow)["warnings"]
               if "differ in fragment values" in text]  # fmt: skip
    assert "95% of the tested bonds" in said
    text = report_text(report)
    assert text.count("*") >= 6 + 1
    assert "* neither of its radicals was trained on" in text
    assert "fragment against 1262 values (BSE49): mean absolute error 14.1" in text
    assert "one constant per radical, 11.9" in text
    html = page([report])
    assert "its fragment BDE" not in html, "without classes there are no strips"
    assert html.count("*</td>") == 6
    assert "fragment against 4 values" in html
    json.dumps(report, allow_nan=False)
    others = with_fragments(plain, ethanol, models[:1], own)
    assert others["fragment_tests"] == {}
    assert {row["radicals_known"] for row in others["bonds"]} == {None}
    assert "*" not in report_text(others)


def test_a_file_without_fragments_is_still_a_calibration(tmp_path, told):
    content = {"models": {}, "tests": {}, "classes": {}, "references": []}
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert known.read(tmp_path / "old.json")["fragments"] == {}
    (tmp_path / "new.json").write_text(json.dumps(content | {"fragments": told}))
    assert known.read(tmp_path / "new.json")["fragments"]["radicals"] == ["[CH3]", "[OH]"]


def test_an_ensemble_gives_them_where_it_has_models_for_them(models):
    plain = Ensemble(models[:1], [zero_of(models[0])], None, {})
    (report,) = plain.reports("O")
    assert "fragment_bde_kcal_per_mol" not in report["bonds"][0]
    (report,) = replace(plain, fragment_models=models).reports("O")
    first, second = (row["fragment_bde_kcal_per_mol"] for row in report["bonds"])
    assert first == second
    assert report["models"] == [models[0].name]
    assert report["fragment_models"] == [model.name for model in models]
