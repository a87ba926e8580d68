"""The bond that a reaction of BSE49 breaks is found, and models are read on it."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from bse49_copies import benchmark, xyz
from examples import architecture, random_model
from rdkit import Chem

from e3d import parallel
from e3d.bde.bse49 import matching
from e3d.bde.bse49.source import Separation, read_separations
from e3d.decomposition.edges import bond_energies, decompose
from e3d.decomposition.tables import ModelSpec
from e3d.errors import E3DError
from e3d.models.additive import Additive
from e3d.models.allegro import build
from e3d.models.checkpoint import save_checkpoint
from e3d.models.pair import PairPotential, spline_knots
from e3d.units import KCAL_PER_MOL_PER_EV


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return benchmark()


def test_the_broken_bond_is_found_or_the_reason_said(contents: dict[str, bytes]) -> None:
    reactions = read_separations(contents)
    found, left_out = matching.match_all(contents, reactions, ["H", "C", "O"])
    assert left_out == {
        "BSE49_existing_5": "no bond of these elements leaves these fragments",
        "BSE49_existing_6": "other elements",
    }
    assert [broken.bond_class for broken in found] == ["C-H", "C-H", "C-H", "C-O"]
    assert [len(broken.pairs) for broken in found] == [4, 3, 2, 1]
    assert [broken.whole.canonical_smiles for broken in found] == ["C", "CCO", "CCO", "CCO"]
    carbons = [{i for i, _ in broken.pairs} for broken in found[1:3]]
    assert carbons == [{0}, {1}], "the carbon that loses a hydrogen is the right one"


def test_a_reaction_that_is_no_homolysis_is_left_out(contents: dict[str, bytes]) -> None:
    reaction = read_separations(contents)[0]
    changes = {
        "C-H_methane_A": (b"0 2", b"1 1"),  # leaves ions
        "C-H_methane_B": (b"H 0.0", b"H 0.1"),  # harmless
    }
    for name, change in changes.items():
        key = f"Geometries/Existing/{name}.xyz"
        other = contents | {key: contents[key].replace(*change)}
        if b"1 1" in change:
            with pytest.raises(E3DError, match="leaves two doublets"):
                matching.match(other, reaction)
        else:
            assert len(matching.match(other, reaction).pairs) == 4
    methyl = "Geometries/Existing/C-H_methane_A.xyz"
    lines = contents[methyl].decode().splitlines()
    lines[-1] = "H 9.0 9.0 9.0"
    with pytest.raises(E3DError, match="in pieces"):
        matching.match(contents | {methyl: "\n".join(lines).encode()}, reaction)


def test_double_bonds_and_open_shells_are_no_match(contents: dict[str, bytes]) -> None:
    reaction = read_separations(contents)[0]
    base = "Geometries/Existing/C-H_methane"
    carbene = {f"{base}_A.xyz": xyz("[CH2]", "0 2"), f"{base}_AB.xyz": xyz("[CH3]", "0 1")}
    with pytest.raises(E3DError, match="no closed-shell structure"):
        matching.match(contents | carbene, reaction)
    ethene = {f"{base}_A.xyz": xyz("[CH2]", "0 2"), f"{base}_B.xyz": xyz("[CH2]", "0 2"),
              f"{base}_AB.xyz": xyz("C=C", "0 1")}  # fmt: skip
    carbons = Separation("x", "Existing", ("C", "C"), reaction.parts, 1.0)
    with pytest.raises(E3DError, match="not perceived as a single one"):
        matching.match(contents | ethene, carbons)


def test_ambiguity_is_no_match(contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the fragments of both C–H bonds of ethanol the same, none would be chosen."""
    monkeypatch.setattr(
        matching, "_skeletons", lambda graph: ["same"] * len(Chem.GetMolFrags(graph))
    )
    with pytest.raises(E3DError, match="several kinds of bond"):
        matching.match(contents, read_separations(contents)[1])


def test_scores_are_energies_of_the_model(
    contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = lambda function, items, **_: [function(item) for item in items]  # noqa: E731
    monkeypatch.setattr(parallel, "map_ordered", in_turn)  # starting processes takes longer
    settings = architecture("float64")
    save_checkpoint(
        tmp_path / "m", build(settings), settings, dataset={}, training={}, cost={}, history=""
    )
    model = random_model("float64")
    reactions = read_separations(contents)
    found, _ = matching.match_all(contents, reactions, ["H", "C", "O"])
    knots = spline_knots(0.5, 4.0, 0.5)
    rng = np.random.default_rng(0)
    coefficients = {
        p: rng.normal(size=len(knots) - 1) for p in [("C", "H"), ("H", "H"), ("C", "C")]
    }
    pair = PairPotential(knots, coefficients)
    additive = Additive({"C-H": -4.0}, {}, {}, 0.0)
    table = matching.score(found, {"m": ModelSpec(str(tmp_path / "m"))}, additive, pair)
    assert table["class"].tolist() == [broken.bond_class for broken in found]
    assert table["reference_kcal_per_mol"].tolist() == [112.0, 104.0, 97.0, 96.0]
    assert table["bare:additive"].round(3).tolist()[:3] == [round(4 * KCAL_PER_MOL_PER_EV, 3)] * 3
    assert np.isnan(table["bare:additive"][3])
    for (_, row), broken in zip(table.iterrows(), found, strict=True):
        whole = Atoms(broken.whole.atomic_numbers, broken.whole.positions[0])
        *parts, of_whole = decompose(model, [*broken.fragments, whole])
        fragment = sum(part.energy for part in parts) - of_whole.energy
        assert row["fragment:m"] == pytest.approx(fragment * KCAL_PER_MOL_PER_EV, abs=1e-5)
        bare = -np.median(bond_energies(of_whole, np.array(broken.pairs))) * KCAL_PER_MOL_PER_EV
        assert row["bare:m"] == pytest.approx(bare, abs=1e-6)
    methane = found[0]
    hydrogens = pair.predict(methane.whole)[0][0]
    methyl = matching._as_molecule("A", methane.fragments[0], "")
    expected = (pair.predict(methyl)[0][0] - hydrogens) * KCAL_PER_MOL_PER_EV
    assert table["fragment:pair"][0] == pytest.approx(expected)
    assert table["fragment:pair"][1:].isna().all(), "oxygen was not fitted"
