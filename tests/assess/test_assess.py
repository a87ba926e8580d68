"""Models are scored beside their nulls on the same molecules; finished parts are not repeated."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import architecture, labelled, random_model, well

from e3d.assess import assessment, networks, scoring
from e3d.assess.cache import Cache
from e3d.assess.leaderboard import COLUMNS, leaderboard
from e3d.assess.networks import Network, cut_sums
from e3d.assess.page import page
from e3d.assess.standard import Standard
from e3d.assess.summary import AHEAD, BEHIND, LEVEL, lines, summary
from e3d.assess.text import report_text
from e3d.bde import bound, references
from e3d.chemistry import bonding
from e3d.data import split
from e3d.errors import E3DError
from e3d.labels import fragments
from e3d.models.additive import Additive
from e3d.models.allegro import build
from e3d.models.checkpoint import save_checkpoint
from e3d.units import KCAL_PER_MOL_PER_EV

#: Energies of bonds in eV of which the labels of these tests are sums.
BONDS = {"C-H": -4.4, "C-C": -3.7, "C-O": -3.8, "H-O": -4.8, "C=C": -6.5, "C#C": -8.9, "C=O": -7.8}
SMILES = ["C", "CC", "CCC", "CCCC", "CC(C)C", "CO", "CCO", "CCCO", "C=C", "CC=C", "C#C", "C=O",
          "CC=O", "O", "OCO", "CC#C", "C=CC=C", "COC", "COCC", "OCCO", "CC(C)=C",
          "CCC=C", "CC(C)O", "CCCCO"]  # fmt: skip


def molecules():
    for smiles in SMILES:
        entry = labelled(smiles)
        energy = np.array([sum(BONDS[name] for name in entry.bond_classes)])
        yield replace(entry, energies=energy, formation_energies=energy)


@pytest.fixture(scope="module")
def standard() -> Standard:
    """Labels that the additive null model is exact for."""
    entries = list(molecules())
    of_class = {name: -KCAL_PER_MOL_PER_EV * energy for name, energy in BONDS.items()}
    known = pd.DataFrame([
        {"reaction": "CH4 -> CH3 + H", "bond_class": "C-H", "kind": "De"},
        {"reaction": "C2H6 -> 2 CH3", "bond_class": "C-C", "kind": "De"},
        {"reaction": "H2O -> OH + H", "bond_class": "H-O", "kind": "De"},
        {"reaction": "C2H2 -> 2 CH", "bond_class": "C#C", "kind": "De"},
    ])  # fmt: skip
    known["value_kcal_per_mol"] = known["bond_class"].map(of_class)
    parents = pd.DataFrame({"reaction": known["reaction"], "smiles": ["C", "CC", "O", "C#C"]})
    single = fragments.breakable_bonds(entries, [name for name in BONDS if "-" in name])
    broken = single.assign(reference=single["class"].map(of_class))
    complete = bound.bonds_to_break(entries)
    complete["de"] = complete["class"].map(of_class)
    complete["atomisation"] = complete["molecule"].map(
        {m.name: -KCAL_PER_MOL_PER_EV * float(m.energies[0]) for m in entries}
    )
    vertical = broken[["molecule", "smiles", "i", "j", "class", "reference"]].assign(order=1)
    return Standard(
        labelled=entries, further=[], zero=dict.fromkeys(["H", "C", "O"], 0.0),
        reactions=references.reaction_table(known, parents), broken=broken, complete=complete,
        vertical=vertical, additive=Additive(BONDS, BONDS, dict.fromkeys(BONDS, 9), 0.0),
        pair=well(), digest="of these tests",
    )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    """Folders of random models: three seeds, one of fewer elements, one with another zero."""
    folder = tmp_path_factory.mktemp("checkpoints")
    zero = {"per_type_energy_shifts": dict.fromkeys("HCNO", 0.0)}
    settings = {f"own-s{k}": architecture("float64", seed=k, **zero) for k in range(3)}
    few = {key: dict.fromkeys("HC", value) for key, value in
           (("avg_num_neighbors", 7.0), ("per_type_energy_scales", 2.0),
            ("per_type_energy_shifts", 0.0))}  # fmt: skip
    settings["few"] = architecture("float64", type_names=["C", "H"], **few)
    moved = {"per_type_energy_shifts": dict.fromkeys("HCNO", 1.0)}
    settings["<b>moved</b>"] = architecture("float64", **moved)
    settings["<b>moved<!b>"] = settings.pop("<b>moved</b>")  # no folder name has a slash
    for name, own in settings.items():
        save_checkpoint(folder / name, build(own), own, dataset={}, training={}, cost={},
                        history="step\n")  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def nulls(monkeypatch):
    """One untrained network, which needs no checkpoint."""
    fresh = Network("null: untrained-s100", random_model("float64", seed=100), "random")
    monkeypatch.setattr(
        assessment, "_null_networks", lambda: {"untrained": [fresh], "shuffled": []}
    )


def assess(paths, standard, cache, **options):
    given = {"standard": standard, "cache": cache, "n_resamples": 20} | options
    return assessment.assess(paths, **given)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def of(report, test, quantity, kind="bare"):
    (found,) = [t for t in report["tests"]
                if (t["test"], t["quantity"], t["kind"]) == (test, quantity, kind)]  # fmt: skip
    return found


def test_the_null_that_the_labels_are_made_of_is_exact_and_random_weights_are_not(
    standard, checkpoints, cache
):
    report = assess([checkpoints / "own-s0"], standard, cache).report
    for test in ("reference reactions", "fragment BDEs", "vertical dissociation"):
        found = of(report, test, "accuracy")
        assert found["values"]["additive"]["value"] == pytest.approx(1.0)
        assert found["values"]["own-s0"]["value"] < 0.9
        assert found["n"] == found["of"]
    excess = of(report, "excess over the bound", "mean absolute deviation less bound")
    assert excess["bound"] == pytest.approx(0, abs=1e-9)
    assert excess["values"]["additive"]["value"] == pytest.approx(0, abs=1e-9)
    assert excess["values"]["own-s0"]["value"] > 1
    zero = "zero of its own"
    name = "atomisation energies, held-out molecules"
    atomisation = of(report, name, "mean absolute deviation", zero)
    assert atomisation["values"]["additive"]["value"] == pytest.approx(0, abs=1e-9)
    assert atomisation["n"] == sum(split.fold(s) == "test" for s in SMILES) > 1
    json.dumps(report, allow_nan=False)


def test_random_weights_are_scaled_for_the_null_and_not_for_a_model(standard, checkpoints, cache):
    found = assess([checkpoints / "own-s0"], standard, cache)
    (factor,) = found.sources.factors.values()
    bonds = found.sources.pieces.bonds["bare:null: untrained-s100"]
    np.testing.assert_allclose(
        found.sources.bonds["untrained"], -KCAL_PER_MOL_PER_EV * factor * bonds
    )
    own = found.sources.pieces.bonds["bare:own-s0"]
    np.testing.assert_allclose(found.sources.bonds["bare own-s0"], -KCAL_PER_MOL_PER_EV * own)


def test_seeds_are_one_model_and_others_stand_side_by_side(standard, checkpoints, cache):
    paths = [checkpoints / name for name in ("own-s0", "own-s1", "own-s2", "few")]
    report = assess(paths, standard, cache).report
    assert [model["name"] for model in report["models"]] == ["own", "few"]
    agreement = of(report, "agreement of seeds", "intraclass correlation within classes")
    assert set(agreement["values"]) == {"own"}
    text = report_text(report)
    assert re.search(r"^ +n +own +few +untrained +additive +pair", text, re.MULTILINE)


def test_a_model_of_fewer_elements_is_scored_on_what_it_knows(standard, checkpoints, cache):
    report = assess([checkpoints / "few"], standard, cache).report
    found = of(report, "fragment BDEs", "accuracy")
    assert 0 < found["n"] < found["of"]
    assert found["values"]["additive"]["n"] == found["n"], "nulls stand on the same rows"
    assert "few does not know O" in report["warnings"]
    assert f"{found['n']} of {found['of']}" in report_text(report)


def test_another_zero_of_energy_is_noticed(standard, checkpoints, cache):
    found = assess([checkpoints / "<b>moved<!b>"], standard, cache)
    table = scoring.atomisation_table(found.sources, standard)
    train = table["fold"] == "train"
    for name in ("additive", "<b>moved<!b>"):
        own, aligned = (abs(table[f"{zero} {name}"] - table["label"])[train].mean()
                        for zero in ("own", "aligned"))  # fmt: skip
        assert aligned <= own + 1e-9
    assert any("zero is not the energy of free atoms" in line for line in found.report["warnings"])


def test_what_is_finished_is_not_computed_again(standard, checkpoints, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "CHUNK", 8)
    original, calls = networks.edge_tables, []

    def interrupted(models, chunk, **given):
        calls.append(chunk[0].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(models, chunk, **given)

    monkeypatch.setattr(networks, "edge_tables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assess([checkpoints / "own-s0"], standard, tmp_path)
    first = assess([checkpoints / "own-s0"], standard, tmp_path).report
    assert calls == [SMILES[0], SMILES[8], SMILES[8], SMILES[16]]

    def again(*_, **__):
        raise AssertionError("computed again")

    for name in ("edge_tables", "decompose", "label_errors", "_map"):
        monkeypatch.setattr(networks, name, again)
    assert assess([checkpoints / "own-s0"], standard, tmp_path).report == first
    with pytest.raises(AssertionError, match="again"):
        assess([checkpoints / "own-s1"], standard, tmp_path)


def test_pieces_come_back_number_for_number(tmp_path):
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50) * 1e-7, "name": "C#C"})
    cache = Cache(tmp_path)
    pd.testing.assert_frame_equal(cache.get(lambda: table, "key"), table)
    pd.testing.assert_frame_equal(cache.get(lambda: table * 0, "key"), table)


def test_sums_across_a_cut():
    entry = labelled("CCO")
    pairs = np.column_stack(np.triu_indices(len(entry.atomic_numbers), k=1))
    energies = np.random.default_rng(0).normal(size=len(pairs))
    graph = bonding.from_mapped_smiles(entry.smiles)
    bonds = pd.DataFrame({"molecule": entry.name, "i": [0, 1], "j": [1, 2]})
    for name, i, j, across, bond in cut_sums(entry, pairs, energies, bonds):
        side = set(bonding.sides(graph, i, j)[0])
        expected = sum(e for (a, b), e in zip(pairs.tolist(), energies, strict=True)
                       if (a in side) != (b in side))  # fmt: skip
        assert (name, across) == ("CCO", pytest.approx(expected))
        assert bond == energies[(pairs == (i, j)).all(axis=1)].sum() != across


class Outline(HTMLParser):
    """Tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_is_self_contained_and_escaped(standard, checkpoints, cache):
    names = ("own-s0", "<b>moved<!b>")
    html = page(assess([checkpoints / name for name in names], standard, cache))
    outline = Outline()
    outline.feed(html)
    assert outline.loaded == []
    assert "url(" not in html
    assert "@import" not in html
    assert "<b>moved" not in html
    assert "&lt;b&gt;moved&lt;!b&gt;" in html
    assert "script" not in outline.tags
    assert outline.tags.count("svg") >= 2 * 4
    assert not re.search(r"\bnan\b", html)


def test_leaderboard_has_a_row_for_every_model_and_null(standard, checkpoints, cache):
    models = {"own": [checkpoints / f"own-s{k}" for k in range(3)], "few": [checkpoints / "few"]}
    table = leaderboard(models, standard=standard, cache=cache, n_resamples=20)
    assert set(table["model"]) >= {"own", "few", "additive", "pair", "untrained"}
    assert table["model"].iloc[0] == "additive"
    assert set(COLUMNS) <= set(table.columns)
    own, few = (table.set_index("model").loc[name] for name in ("own", "few"))
    assert own["n_seeds"] == 3
    assert np.isfinite(own["icc"])
    assert few["fragment_mae_kcal_per_mol_n"] < own["fragment_mae_kcal_per_mol_n"]


def test_bad_calls_are_told_in_one_line(standard, checkpoints, cache):
    own = checkpoints / "own-s0"
    with pytest.raises(E3DError, match="given twice"):
        assess([own, checkpoints / "few" / ".." / "own-s0"], standard, cache)
    with pytest.raises(E3DError, match="at least one model"):
        assess([], standard, cache)
    with pytest.raises(E3DError, match="does not exist"):
        assess([checkpoints / "none"], standard, cache)


def test_a_model_is_not_taken_for_a_null_of_its_name():
    (group,) = assessment._groups({"untrained": Path("/a/untrained")})
    assert (group.name, group.runs) == ("untrained (model)", ("untrained",))


def test_models_of_one_name_are_told_apart():
    given = [Path("/a/run/model.ckpt"), Path("/b/run/model.ckpt"), Path("/b/run/model.nequip.zip")]
    assert list(assessment._names(given[:2])) == ["a/run/model", "b/run/model"]
    assert list(assessment._names(given[1:])) == ["model.ckpt", "model.nequip.zip"]


def test_a_summary_says_where_a_model_is_ahead_of_the_best_null():
    def value(number, low=None, high=None):
        return {"value": number, "low": low, "high": high, "n": 5}

    def test(name, quantity, better, own, kind="bare", **nulls):
        return {"test": name, "quantity": quantity, "kind": kind, "better": better,
                "values": {"own": own} | {k: value(v) for k, v in nulls.items()}}  # fmt: skip

    report = {"models": [{"name": "own"}, {"name": "absent"}], "tests": [
        test("a", "accuracy", "high", value(0.9, 0.85, 0.95), additive=0.8, pair=0.5),
        test("a", "mean absolute deviation", "low", value(9, 8, 10), additive=1),
        test("b", "accuracy", "high", value(0.9, 0.7, 0.95), additive=0.8),
        test("b", "rank", "high", value(0.1, 0.0, 0.2), length=0.6),
        test("c", "error", "low", value(5, 4, 6), kind="", pair=20, untrained=7),
        test("d", "error", "low", value(5, 4, 6), pair=3),
        test("e", "entropy", "none", value(5, 4, 6), pair=3),
        test("f", "error", "low", value(5), pair=9),
        test("g", "error", "low", value(5, 4, 6)),
    ]}  # fmt: skip
    assert summary(report) == {
        "own": {AHEAD: ["a, bare", "c"], LEVEL: ["b, accuracy, bare"],
                BEHIND: ["b, rank, bare", "d, bare"]},
        "absent": {},
    }  # fmt: skip
    assert lines(report)[0] == "own: ahead of every null model: a, bare; c"
