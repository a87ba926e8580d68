"""Comparisons are paired, include the spread between seeds, and agree with single estimates."""

import numpy as np
import pandas as pd
import pytest

from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.comparison import Comparison, compare
from e3d.statistics.ranks import within_class_spearman

OPTIONS = {"n_resamples": 60, "seed": 1}


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=80)
    seeds = reference[:, None] + rng.normal(size=(80, 3))
    return pd.DataFrame(seeds, columns=["s0", "s1", "s2"]).assign(
        reference=reference, model=seeds.mean(axis=1), null=rng.normal(size=80),
        molecule=np.repeat(np.arange(40), 2), kind=np.tile(["a", "b"], 40),
    )  # fmt: skip


@pytest.fixture
def compared(table: pd.DataFrame) -> Comparison:
    return compare(
        table[["model", "null"]], table["reference"], table["kind"], groups=table["molecule"],
        statistic=within_class_spearman, seeds={"model": table[["s0", "s1", "s2"]]},
        limits=(-1.0, 1.0), **OPTIONS,
    )  # fmt: skip


def test_estimates_of_sources_are_those_of_each_alone(
    table: pd.DataFrame, compared: Comparison
) -> None:
    codes = (table["kind"] == "b").to_numpy()
    rows = np.column_stack([table["null"], table["reference"], codes])
    alone = intervals.estimate(
        rows, table["molecule"], statistic=lambda r: within_class_spearman(*r.T), **OPTIONS
    )
    assert compared.of("null") == pytest.approx(alone)
    assert compared.all() == {name: compared.of(name) for name in ("model", "null")}


def test_a_gain_is_paired_and_includes_the_spread_between_seeds(compared: Comparison) -> None:
    found = compared.gain("model", "null")
    assert found["value"] == pytest.approx(
        compared.of("model")["value"] - compared.of("null")["value"]
    )
    itself = compared.gain("null", "null")
    assert itself == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 80}
    assert len(compared.of_seeds["model"]) == 3
    of_rows = intervals.interval(
        found["value"], compared.samples["model"] - compared.samples["null"], 80
    )
    assert found == intervals.with_seed_spread(of_rows, compared.of_seeds["model"])
    assert found["high"] > of_rows["high"]


def test_a_gain_includes_the_spread_between_the_seeds_of_both(table: pd.DataFrame) -> None:
    models = {"model": table[["s0", "s1", "s2"]], "other": table[["s1", "s2", "s0"]] + 0.5}
    compared = compare(
        {name: own.mean(axis=1) for name, own in models.items()}, table["reference"],
        groups=table["molecule"], statistic=lambda x, y: float(np.abs(x - y).mean()),
        seeds=models, **OPTIONS,
    )  # fmt: skip
    model, other_model = compared.values["model"], compared.values["other"]  # noqa: PD011
    value = model - other_model
    of_rows = intervals.interval(
        value, compared.samples["model"] - compared.samples["other"], len(table)
    )
    own, other = (compared.of_seeds[name] for name in models)
    apart = compared.gain("model", "other")
    assert apart == intervals.with_seed_spread(intervals.with_seed_spread(of_rows, own), other)
    together = compared.gain("model", "other", same_models=True)
    assert together == intervals.with_seed_spread(of_rows, np.subtract(own, other))
    assert compared.gain("model", "model", same_models=True)["high"] == 0
    with pytest.raises(E3DError, match="3 models and null over 0"):
        compare({"model": table["model"], "null": table["null"]}, table["reference"],
                groups=table["molecule"], statistic=np.dot, seeds={"model": models["model"]},
                **OPTIONS).gain("model", "null", same_models=True)  # fmt: skip


def test_intervals_are_clipped_to_the_limits(table: pd.DataFrame) -> None:
    certain = compare(
        {"x": table["reference"]}, table["reference"], table["kind"], groups=table["molecule"],
        statistic=within_class_spearman, seeds={"x": table[["s0", "s1", "reference"]]},
        limits=(-1.0, 1.0), **OPTIONS,
    )  # fmt: skip
    assert certain.of("x")["high"] == 1
    assert certain.of("x")["low"] < 1
