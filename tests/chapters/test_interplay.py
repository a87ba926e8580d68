"""Measures without labels, and their correlation with errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tests.examples import labelled

from chapters import interplay
from e3d.models.allegro import load_model
from e3d.units import KCAL_PER_MOL_PER_EV


@pytest.fixture(scope="module")
def model():
    return load_model("checkpoints/study/n100-s0", device="cpu")


def test_the_norm_of_the_weights_is_euclidean(model):
    layer = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -4.0]]))
    assert interplay.weight_norm(replace(model, module=layer)) == pytest.approx(5)


def test_the_off_bond_share_is_none_where_every_pair_is_a_bond(model):
    diatomic = {"H2": 0.0}
    shares = interplay.off_bond_shares({"one": model}, [relaxed("[H][H]")])
    assert shares["one"] == pytest.approx(diatomic["H2"], abs=1e-6)
    assert interplay.off_bond_shares({"one": model}, [relaxed("CC")])["one"] != pytest.approx(0)


def relaxed(smiles):
    entry = labelled(smiles)
    return entry.__class__(**{**vars(entry), "temperatures": np.zeros(1, dtype=int)})


def test_the_distance_is_from_the_mean_of_the_other_seeds():
    bonds = pd.DataFrame({"bare:a": [0.0, 0.0], "bare:b": [1.0, 1.0], "bare:c": [2.0, 2.0]})
    found = interplay.distance_from_others(bonds, ["a", "b", "c"])
    expected = {"a": 1.5, "b": 0.0, "c": 1.5}
    assert found == pytest.approx({k: v * KCAL_PER_MOL_PER_EV for k, v in expected.items()})


def test_a_common_cause_is_held_constant():
    rng = np.random.default_rng(0)
    cause = np.repeat(np.arange(8.0), 25)
    table = pd.DataFrame({"cause": cause, "measure": cause + rng.normal(size=200),
                          "error": cause + rng.normal(size=200)})  # fmt: skip
    plain = interplay.correlation(table, "measure", "error", n_resamples=100)
    given = interplay.correlation(table, "measure", "error", given="cause", n_resamples=100)
    assert plain["low"] > 0.5
    assert given["low"] < 0 < given["high"]


def test_a_correlation_is_of_use_where_it_is_large_and_no_chance():
    def found(value, low, high):
        return {"value": value, "low": low, "high": high, "n": 13}

    assert interplay.verdict(found(0.7, 0.3, 0.9), 0.4) == "supported"
    assert interplay.verdict(found(-0.7, -0.9, -0.3), 0.4) == "supported"
    assert interplay.verdict(found(0.5, -0.1, 0.9), 0.4).startswith("undecided")
    assert interplay.verdict(found(0.3, 0.1, 0.5), 0.4).startswith("refuted")
