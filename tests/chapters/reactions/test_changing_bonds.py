"""The bonds that break and form along a path, beside their bond orders."""

import numpy as np
import pandas as pd
import pytest
from examples import random_model, well

from chapters.reactions import barriers, changing_bonds
from chapters.reactions.labelled_paths import LabelledPath
from chapters.reactions.reaction import Reaction, ReactionPath
from e3d.chemistry.bonding import bond_lengths, embed
from e3d.data.molecule import Molecule
from e3d.units import KCAL_PER_MOL_PER_EV

#: Acetaldehyde to vinyl alcohol: one hydrogen goes from carbon to oxygen.
ENOL = Reaction("enol", "CH₃CHO → CH₂CHOH", "bonds",
                "[C:1]([H:2])([H:3])([H:4])[C:5]([H:6])=[O:7]",
                "[C:1]([H:3])([H:4])=[C:5]([H:6])[O:7][H:2]")  # fmt: skip
COORDINATE = np.linspace(0, 1, 5)
BREAKING, FORMING = (0, 1), (1, 6)


@pytest.fixture(scope="module")
def path() -> LabelledPath:
    """The hydrogen moved on a line; not the way that it would take, but no two atoms collide."""
    positions = np.repeat(embed(ENOL.graphs[0], seed=0)[None], 5, axis=0)
    carbon, oxygen = positions[0, 0], positions[0, 6]
    away = np.cross(oxygen - carbon, positions[0, 4] - carbon)
    begin = positions[0, 1].copy()
    end = oxygen + away / np.linalg.norm(away)
    positions[:, 1] = begin + COORDINATE[:, None] * (end - begin)
    zeros = np.zeros(5)
    labels = Molecule("enol", "path", ENOL.reactant, ENOL.numbers, positions, zeros, zeros,
                      np.zeros((5, 7, 3)), np.full(5, -1))  # fmt: skip
    return LabelledPath(ReactionPath(ENOL, positions, COORDINATE, 2, 1000.0), labels, None)


def tracks(breaking: list[float], forming: list[float]) -> pd.DataFrame:
    """A hand-made table with one bond in either role; the order is the fraction that is there."""
    common = {"reaction": "enol", "formula": ENOL.formula, "coordinate": COORDINATE}
    return pd.concat(
        [
            pd.DataFrame(common | {"role": "breaking", "bond": "(0, 1)", "model": breaking,
                                   changing_bonds.ORDER: 1 - COORDINATE}),
            pd.DataFrame(common | {"role": "forming", "bond": "(1, 6)", "model": forming,
                                   changing_bonds.ORDER: COORDINATE}),
        ],
        ignore_index=True,
    )  # fmt: skip


def test_tracks_follow_the_bonds_that_change(path: LabelledPath) -> None:
    frames = barriers.decompositions(random_model(), [path])
    found = changing_bonds.bond_tracks([path], {"a": frames, "b": frames}, well(), {"b": 2.0})
    assert set(zip(found["role"], found["bond"], strict=True)) == {
        ("breaking", str(BREAKING)), ("forming", str(FORMING))}  # fmt: skip
    own = found[found["role"] == "breaking"]
    energies = barriers.bond_energies_along_path(frames[0], np.array([BREAKING]))[:, 0]
    assert own["a"].to_numpy() == pytest.approx(-energies)
    assert own["b"].to_numpy() == pytest.approx(-2 * energies)
    lengths = bond_lengths(path.labels.positions, np.array([BREAKING]))[:, 0]
    assert own["pair"].to_numpy() == pytest.approx(-well()("C", "H", lengths))
    assert own["length"].to_numpy() == pytest.approx(np.exp(-lengths / barriers.PAULING))
    orders = {role: rows[changing_bonds.ORDER].to_numpy() for role, rows in found.groupby("role")}
    assert orders["breaking"][0] == pytest.approx(1, abs=0.15)
    assert orders["breaking"][-1] < 0.5 < orders["forming"][-1]
    assert orders["forming"][0] < 0.1


def test_what_does_not_change_follows_nothing() -> None:
    table = tracks([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5).assign(
        order=lambda t: 3 * t[changing_bonds.ORDER] - 1
    )
    found = changing_bonds.order_correlations(table, ["model", "order"])
    assert found["order"].tolist() == pytest.approx([1.0])
    assert found["model"].tolist() == pytest.approx(
        [-1.0]
    )  # the constant bond has no correlation of its own


def test_shares_cross_where_strong_and_weak_bonds_are_half_gone(path: LabelledPath) -> None:
    table = tracks([1.0, 0.75, 0.5, 0.25, 0.0], [0.0, 0.75, 1.5, 2.25, 3.0])
    (found,) = changing_bonds.crossings(table, [path], ["model"]).to_dict("records")
    assert found["model"] == pytest.approx(0.25)
    assert found["model, share"] == pytest.approx(0.5)
    assert found["saddle"] == 0.5
    alone = table[table["role"] == "breaking"]
    assert changing_bonds.crossings(alone, [path], ["model"]).empty


def test_the_balance_is_the_barrier(path: LabelledPath) -> None:
    table = tracks([5.0, 4.0, 2.0, 1.0, 0.0], [0.0, 0.0, 1.0, 3.0, 4.0])
    energies = [[np.array([0.0, 1.0, 2.5, 1.0, 0.0])], [np.array([1.0, 1.0, 4.5, 1.0, 0.0])]]
    (found,) = changing_bonds.balance_at_saddle(table, [path], "model", energies).to_dict("records")
    assert found["lost"] == pytest.approx(3 * KCAL_PER_MOL_PER_EV)
    assert found["gained"] == pytest.approx(1 * KCAL_PER_MOL_PER_EV)
    assert found["barrier"] == pytest.approx(3 * KCAL_PER_MOL_PER_EV)
    assert found["barrier"] == pytest.approx(found["lost"] - found["gained"] + found["others"])


def test_profiles_begin_at_the_reactant(path: LabelledPath) -> None:
    energies = {
        "a": [np.array([1.0, 2.0, 3.0, 2.0, 1.0])],
        "b": [np.array([5.0, 5.0, 8.0, 5.0, 5.0])],
    }
    found = barriers.energy_profiles([path], energies, {"both": ["a", "b"]})
    top = found.iloc[2]
    assert found["both"].iloc[0] == 0
    assert top["both"] == pytest.approx(2.5 * KCAL_PER_MOL_PER_EV)
    assert top["both low"] == pytest.approx(2 * KCAL_PER_MOL_PER_EV)
    assert top["both high"] == pytest.approx(3 * KCAL_PER_MOL_PER_EV)
    assert set(found["reaction"]) == {"enol"}
