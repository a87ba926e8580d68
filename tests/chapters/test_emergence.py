"""Onsets: a jump is narrow, a power law is wide; what the loss or the seed explains is no news."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from chapters import emergence
from e3d.errors import E3DError
from e3d.statistics.intervals import Estimate, seed_interval

STEPS = [0, 10, 30, 100, 300, 1000, 3000, 10_000]


def test_a_jump_takes_fewer_decades_than_a_steady_change() -> None:
    jump = np.where(np.array(STEPS) < 300, 1.0, 0.0)
    steady = 1 - np.log10(1 + np.array(STEPS)) / 4
    assert emergence.transition_decades(STEPS, jump) < 0.5
    assert emergence.transition_decades(STEPS, steady) == pytest.approx(
        0.8 * np.log10(10_001), rel=0.01
    )


@pytest.mark.parametrize("at", [5.0, 250.0, 10_000.0])
def test_a_jump_is_as_wide_as_the_snapshots_are_apart(at: float) -> None:
    jump = [0.0 if step < at else 1.0 for step in STEPS]
    assert emergence.snapshot_resolution(STEPS, at) == emergence.transition_decades(STEPS, jump)
    assert emergence.snapshot_resolution(STEPS, 5.0) > emergence.snapshot_resolution(STEPS, 250.0)


def test_the_onset_is_where_half_of_the_change_is_made() -> None:
    rising = [0, 0, 0, 1, 1, 1, 1, 1]
    assert 30 < emergence.onset(STEPS, rising) < 100
    assert emergence.onset(STEPS, [5 - v for v in rising]) == emergence.onset(STEPS, rising)


def test_no_change_is_an_error() -> None:
    with pytest.raises(E3DError, match="no progress"):
        emergence.transition_decades(STEPS, [1.0] * len(STEPS))


def test_a_detour_does_not_count_as_arrived() -> None:
    detour = [0, 0, 1, 0.2, 0.5, 0.8, 0.95, 1]
    assert emergence.onset(STEPS, detour, 0.9) > 1000
    assert emergence.transition_decades(STEPS, detour) > emergence.transition_decades(
        STEPS, [0, 0, 1, 1, 1, 1, 1, 1]
    )


def test_an_error_takes_more_decades_by_its_logarithm_and_other_quantities_do_not() -> None:
    values = 1000 / (1 + np.array(STEPS))
    track = pd.DataFrame({"run": "a-s0", "n_conformations": 10, "seed": 0, "step": STEPS,
                          "error": values, "score": values})  # fmt: skip
    table = emergence.transition_table(track, ["error", "score"], errors=["error"])
    decades = table.set_index(["quantity", "scale"])["decades"]
    assert decades["error", "logarithmic"] > 2 * decades["error", "linear"]
    assert decades["score", "logarithmic"] == decades["score", "linear"]
    onset = table.set_index(["quantity", "scale"]).loc[("error", "logarithmic"), "onset"]
    assert onset == pytest.approx(99, rel=0.01)  # half of four decades


@pytest.fixture
def transitions() -> pd.DataFrame:
    rows = [
        {"run": run, "seed": k // 2, "quantity": quantity, "scale": scale,
         "decades": decades * (1 + k), "resolution": 0.3}
        for k, run in enumerate("abcdef")
        for quantity, decades in (("loss", 1.0), ("bde", 1.5))
        for scale in emergence.SCALES
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_decades_are_told_relative_to_the_loss(transitions: pd.DataFrame) -> None:
    found = emergence.relative_decades(transitions, "loss")
    assert set(found) == {(q, s) for q in ("loss", "bde") for s in emergence.SCALES}
    assert found["bde", "linear"] == pytest.approx({"value": 1.5, "low": 1.5, "high": 1.5, "n": 3})
    slow = (transitions["seed"] == 1) & (transitions["quantity"] == "bde")
    transitions.loc[slow, "decades"] *= 2
    apart = emergence.relative_decades(transitions, "loss")["bde", "linear"]
    assert apart == pytest.approx(seed_interval([1.5, 3.0, 1.5]))
    resolution = emergence.relative_resolution(transitions, "loss")
    of_loss = transitions.query("quantity == 'loss'")["decades"].mean()
    assert resolution["bde", "linear"] == resolution["loss", "linear"]
    assert resolution["bde", "linear"] == pytest.approx(0.3 / of_loss)


def test_a_setback_is_the_worst_on_the_way() -> None:
    track = pd.DataFrame({
        "run": "a-s0", "n_conformations": 10, "seed": 0, "step": [100, 0, 10],
        "bits": [0.4, 0.3, 0.1], "error": [1.0, 5.0, 9.0],
    })  # fmt: skip
    found = emergence.setbacks(track, ["bits"], ["error"]).set_index("quantity")
    assert found.loc["bits", ["before", "worst", "step", "end"]].to_list() == [0.3, 0.1, 10, 0.4]
    assert found.loc["error", ["before", "worst", "step", "end"]].to_list() == [5.0, 9.0, 10, 1.0]


def between(low: float, high: float) -> Estimate:
    return {"value": (low + high) / 2, "low": low, "high": high, "n": 9}


@pytest.mark.parametrize(
    ("relative", "resolution", "word"),
    [
        ([between(0.1, 0.4), between(0.2, 0.3)], [0.1, 0.1], "transition"),
        ([between(0.6, 0.9), between(0.7, 1.3)], [0.1, 0.4], "gradual"),
        ([between(0.6, 0.9), between(0.4, 1.3)], [0.1, 0.1], "undecided"),
        ([between(0.6, 0.9), between(0.1, 0.4)], [0.1, 0.1], "undecided"),
        ([between(0.1, 0.4), between(0.2, 0.3)], [0.1, 0.5], "not resolved"),
    ],
)
def test_a_transition_shows_on_every_scale_and_must_be_resolved(
    relative: list[Estimate], resolution: list[float], word: str
) -> None:
    assert emergence.outcome(relative, resolution, 0.5) == word


def test_what_follows_the_loss_has_no_gap_at_the_same_loss() -> None:
    error = np.array([900.0, 300.0, 100.0])
    rows = [
        {"n_conformations": n, "seed": seed, "error": e, "follows": 2 * np.log(e), "ahead": n}
        for n in (10, 1000)
        for seed in (0, 1)
        for e in error * (1 + (n == 10))
    ]  # fmt: skip
    track = pd.DataFrame(rows)
    ends = track.groupby(["n_conformations", "seed"]).tail(1)
    gaps = emergence.gaps_at_equal_error(track, ends, ["follows", "ahead"], error="error")
    assert list(gaps.index) == [0, 1]
    assert gaps["follows"].abs().max() < 1e-9
    assert (gaps["ahead"] == 10 - 1000).all()


def test_a_correlation_that_seeds_bring_about_goes_when_the_seed_is_fixed() -> None:
    rng = np.random.default_rng(0)
    seed = np.repeat([0, 1, 2], 40)
    x, y, held = seed * 10.0 + rng.normal(size=(3, 120))
    runs = pd.DataFrame({"family": np.tile(np.arange(40), 3), "seed": seed, "x": x, "y": y})
    runs["held"] = held - seed * 10.0
    assert emergence.partial_correlation(runs, "x", "y", ["held"], n_resamples=50)["value"] > 0.8
    fixed = emergence.seed_controlled_correlation(runs, "x", "y", ["held"], n_resamples=50)
    assert abs(fixed.estimate["value"]) < 0.3
    assert len(fixed.without_a_seed) == 3


def test_a_sign_that_hangs_on_one_seed_supports_nothing() -> None:
    steady = emergence.PartialCorrelation(between(0.1, 0.5), [0.2, 0.4, 0.1])
    assert steady.supported == steady.estimate
    shaky = emergence.PartialCorrelation(between(0.1, 0.5), [0.2, 0.4, -0.1])
    assert shaky.supported == {"value": 0.3, "low": None, "high": None, "n": 9}


def test_panels_show_the_mean_over_seeds_of_every_quantity() -> None:
    table = pd.DataFrame({"n": [1, 1, 10, 10], "a": [1.0, 3.0, 5.0, 5.0], "b": 1.0, "c": 2.0})
    fig = emergence.quantity_panels(
        table, {"a": "first", "b": "second", "c": "third"}, along="n", xlabel="size", errors=["b"]
    )
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["first", "second", "third"]
    assert shown[0].lines[0].get_xydata().tolist() == [[1, 2], [10, 5]]
    assert [ax.get_yscale() for ax in shown] == ["linear", "log", "linear"]
    assert [ax.get_xlabel() for ax in shown] == ["", "size", "size"]
    plt.close(fig)
