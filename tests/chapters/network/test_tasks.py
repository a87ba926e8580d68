"""Tasks put to networks: rows that belong together stay together, and nothing beats itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from examples import labelled, random_model

from chapters.network import features, probes
from chapters.network.tasks import (
    CONTROL,
    ITSELF,
    SHUFFLED,
    ProbeResiduals,
    ProbeTask,
    anatomy,
    explained_share,
    fit_probe,
    of_bonds,
    probe_network,
)

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
    places = [features.TWO_BODY, "layer 1", "layer 2", features.READOUT, features.HIDDEN,
              features.ENERGY]  # fmt: skip
    assert sorted(at["all"]) == sorted(places)
    alterations = (ITSELF, CONTROL, SHUFFLED)
    assert set(left) == {(t.name, a, p) for t in tasks for a in alterations for p in places}
    for (name, _, _), found in left.items():
        assert found.prediction.shape == (len(tasks[0].table), {"length": 1, "order": 2}[name])
        assert np.isfinite(found.lost).all()
    length = left["length", ITSELF, features.TWO_BODY]
    assert probes.explained_fraction(length.lost, length.whole) > 0.9  # a function of the length


def test_labels_are_told_as_indicators(sample, tasks):
    """Features that are the order itself tell all of it; sums over orders make one deviation."""
    _, order = tasks
    double = (order.table["order"] == "=").to_numpy(dtype=float)
    found = fit_probe(replace(order, cut=False), double[:, None])
    own = found[ITSELF]
    assert probes.explained_fraction(own.lost, own.whole) > 0.999
    np.testing.assert_allclose(own.prediction, np.stack([1 - double, double]).T, atol=0.02)
    altered = found[SHUFFLED]
    assert probes.explained_fraction(altered.lost, altered.whole) < 0.5


def test_equivalent_bonds_are_averaged():
    table = pd.DataFrame({"class": ["C-H", "C-C"]})
    task = ProbeTask("t", "s", table, "class", "class", np.array([4, 0, 2]), np.array([1, 0, 0]))
    values = np.arange(10.0).reshape(5, 2)
    np.testing.assert_allclose(of_bonds(task, values), [[2, 3], [8, 9]])


def left(lost, whole):
    return ProbeResiduals(lost, whole, np.empty((len(lost), 0)))


def test_told_is_the_mean_share_and_nothing_beats_itself():
    rng = np.random.default_rng(0)
    molecules = np.repeat(np.arange(40), 5)
    whole = rng.normal(size=200) ** 2
    networks = [left(part * whole, whole) for part in (0.2, 0.3, 0.4)]
    null = [left(0.8 * whole, whole)]
    found = explained_share(networks, molecules, n_resamples=50)
    assert found["value"] == pytest.approx(0.7)
    assert found["n"] == 200
    spread = 4.303 * 0.1 / np.sqrt(3)  # Student's t, two degrees of freedom
    assert found["low"] == pytest.approx(0.7 - spread, abs=1e-3)
    assert found["high"] == pytest.approx(min(0.7 + spread, 1), abs=1e-3)
    gain = explained_share(networks, molecules, minus=null, n_resamples=50)
    assert gain["value"] == pytest.approx(0.5)
    alike = explained_share(networks, molecules, minus=networks, paired=True, n_resamples=50)
    assert (alike["value"], alike["low"], alike["high"]) == pytest.approx((0, 0, 0))
    apart = explained_share(networks, molecules, minus=networks, n_resamples=50)
    assert apart["high"] == pytest.approx(np.sqrt(2) * spread, abs=1e-3)
    same = explained_share(null, molecules, minus=null, n_resamples=50)
    assert (same["value"], same["low"], same["high"]) == pytest.approx((0, 0, 0))


def test_resampling_draws_whole_molecules():
    """All that a probe tells lies in one molecule of 40: without it, nothing."""
    molecules = np.repeat(np.arange(40), 5)
    lost = np.where(molecules == 0, 0.0, 1.0)
    found = explained_share([left(lost, np.ones(200))], molecules, n_resamples=200)
    assert found["value"] == pytest.approx(1 / 40)
    assert found["low"] == 0
    assert found["high"] > 1.9 / 40


def test_variance_is_booked_on_what_causes_it():
    """Five features, each with one cause; the pair, then the class, take what they can."""
    rng = np.random.default_rng(3)
    n = 2000
    names = rng.choice(["C-C", "C=C", "C-O", "C=O"], n)
    length = rng.normal(size=n)
    other = rng.integers(0, 3, n)
    table = pd.DataFrame({
        "class": names, "pair": [name[0] + name[2] for name in names], "length_A": length,
        "environment": [f"C-C|{' '.join(['C-H'] * k)}|" for k in other],
    })  # fmt: skip
    causes = np.stack([table["pair"] == "CC", [name[1] == "=" for name in names],
                       np.sin(length), other, rng.normal(size=n)]).astype(float).T  # fmt: skip
    scales = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    columns = scales * (causes - causes.mean(axis=0)) / causes.std(axis=0)
    found = anatomy(columns, table)
    expected = scales**2 / (scales**2).sum()
    np.testing.assert_allclose(found.whole, expected, atol=0.02)
    np.testing.assert_allclose(found.explained, expected, atol=0.02)
    np.testing.assert_allclose(np.diag(found.shares), 1, atol=0.05)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    assert found.dimensions == pytest.approx(1 / (expected**2).sum(), rel=0.05)


def test_noise_is_booked_as_noise():
    """Hundreds of bonds, dozens of parameters: without a correction they would take their share."""
    rng = np.random.default_rng(4)
    names = rng.choice(["C-C", "C=C", "C-O", "C=O", "C-N", "C-H"], 300)
    table = pd.DataFrame({
        "class": names, "pair": [name[0] + name[2] for name in names],
        "length_A": rng.normal(size=300),
        "environment": [f"C-C|{other}|" for other in rng.choice(names, 300)],
    })  # fmt: skip
    found = anatomy(rng.normal(size=(300, 40)), table)
    np.testing.assert_allclose(found.whole, [0, 0, 0, 0, 1], atol=0.02)
