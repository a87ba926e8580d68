"""Tasks put to networks: rows that belong together stay together, and nothing beats itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from examples import labelled, random_model

from chapters.network import features
from chapters.network.tasks import (
    CONTROL,
    ITSELF,
    SHUFFLED,
    ProbeResiduals,
    ProbeTask,
    bond_task,
    explained_share,
    fit_probe,
    of_bonds,
    probe_network,
)
from e3d.decomposition.features import ENERGY, HIDDEN, READOUT, TWO_BODY

SMILES = ("C", "CC", "CO", "CC=O", "C=C", "C=O", "CCO", "C=CC", "COC", "CC(C)=O")


@pytest.fixture(scope="module")
def sample():
    return features.sample_bonds([labelled(smiles) for smiles in SMILES])


@pytest.fixture(scope="module")
def tasks(sample):
    rows = np.flatnonzero(sample.table["pair"].isin(["CC", "CO", "CH"]))
    table = sample.table.iloc[rows].reset_index(drop=True)
    every = np.arange(len(rows))
    return [
        ProbeTask("length", "all", table, "length_A", "class", rows, every, n_knots=2),
        ProbeTask("order", "all", table, "order", "pair", rows, every),
    ]


def test_every_place_answers_every_task(sample, tasks):
    left, at = probe_network(random_model(seed=1), {"all": sample}, tasks)
    places = [TWO_BODY, "layer 1", "layer 2", READOUT, HIDDEN,
              ENERGY]  # fmt: skip
    assert sorted(at["all"]) == sorted(places)
    alterations = (ITSELF, CONTROL, SHUFFLED)
    assert set(left) == {(t.name, a, p) for t in tasks for a in alterations for p in places}
    for (name, _, _), found in left.items():
        assert found.prediction.shape == (len(tasks[0].table), {"length": 1, "order": 2}[name])
        assert np.isfinite(found.lost).all()
    length = left["length", ITSELF, TWO_BODY]
    assert length.explained > 0.9  # a function of the length


def test_labels_are_predicted_as_indicators(sample, tasks):
    """Features that are the order itself explain all of it; sums over orders make one deviation."""
    _, order = tasks
    double = (order.table["order"] == "=").to_numpy(dtype=float)
    found = fit_probe(replace(order, clip=False), double[:, None])
    own = found[ITSELF]
    assert own.explained > 0.999
    np.testing.assert_allclose(own.prediction, np.stack([1 - double, double]).T, atol=0.02)
    assert found[SHUFFLED].explained < 0.5
    assert own.molecules.tolist() == order.table["smiles"].tolist()


def test_equivalent_bonds_are_averaged():
    table = pd.DataFrame({"class": ["C-H", "C-C"]})
    task = ProbeTask("t", "s", table, "class", "class", np.array([4, 0, 2]), np.array([1, 0, 0]))
    values = np.arange(10.0).reshape(5, 2)
    np.testing.assert_allclose(of_bonds(task, values), [[2, 3], [8, 9]])


def test_a_task_asks_for_frequent_kinds_and_for_what_varies():
    bonds = pd.DataFrame({
        "molecule": list("aabbcc"), "pair": ["CO", "CO", "CO", "CC", "CC", "CC"],
        "order": ["-", "-", "=", "-", "-", "="],
    })  # fmt: skip
    asked = ("order", "all", bonds, "order", "pair")
    every = bond_task(*asked, kind=["pair", "order"], min_molecules=1)
    assert every.rows.tolist() == [0, 1, 2, 3, 4, 5]
    # single bonds of either pair are in two molecules each, double ones in one
    assert bond_task(*asked, kind=["pair", "order"], min_molecules=2).rows.tolist() == []
    varied = bonds.assign(order=["-", "=", "=", "-", "-", "-"], molecule=list("abcdef"))
    task = bond_task("order", "all", varied, "order", "pair", kind=["pair"], min_molecules=3)
    assert task.rows.tolist() == [0, 1, 2]  # all CC are single
    assert task.table["molecule"].tolist() == ["a", "b", "c"]
    assert task.unit.tolist() == [0, 1, 2]


def left(lost, whole):
    molecules = np.repeat(np.arange(len(lost) // 5), 5)
    return ProbeResiduals(lost, whole, np.empty((len(lost), 0)), molecules)


def test_explained_is_the_mean_share_and_nothing_beats_itself():
    rng = np.random.default_rng(0)
    whole = rng.normal(size=200) ** 2
    networks = [left(part * whole, whole) for part in (0.2, 0.3, 0.4)]
    null = [left(0.8 * whole, whole)]
    found = explained_share(networks, n_resamples=50)
    assert found["value"] == pytest.approx(0.7)
    assert found["n"] == 200
    spread = 4.303 * 0.1 / np.sqrt(3)  # Student's t, two degrees of freedom
    assert found["low"] == pytest.approx(0.7 - spread, abs=1e-3)
    assert found["high"] == pytest.approx(min(0.7 + spread, 1), abs=1e-3)
    gain = explained_share(networks, minus=null, n_resamples=50)
    assert gain["value"] == pytest.approx(0.5)
    alike = explained_share(networks, minus=networks, paired=True, n_resamples=50)
    assert (alike["value"], alike["low"], alike["high"]) == pytest.approx((0, 0, 0))
    apart = explained_share(networks, minus=networks, n_resamples=50)
    assert apart["high"] == pytest.approx(np.sqrt(2) * spread, abs=1e-3)
    same = explained_share(null, minus=null, n_resamples=50)
    assert (same["value"], same["low"], same["high"]) == pytest.approx((0, 0, 0))


def test_resampling_draws_whole_molecules():
    """All that a probe explains lies in one molecule of 40: without it, nothing."""
    molecules = np.repeat(np.arange(40), 5)
    lost = np.where(molecules == 0, 0.0, 1.0)
    found = explained_share([left(lost, np.ones(200))], n_resamples=200)
    assert found["value"] == pytest.approx(1 / 40)
    assert found["low"] == 0
    assert found["high"] > 1.9 / 40
