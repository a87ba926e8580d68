"""Bonds that break in trajectories: when, by which measure, and who agrees."""

from dataclasses import replace

import numpy as np
import pytest
from examples import random_model, torn, well

from chapters.dynamics import bond_breaking
from e3d.chemistry.bonding import bond_lengths


def test_a_crossing_is_the_last_one_and_lies_between_frames() -> None:
    times = np.arange(6.0)
    values = np.array([0.0, 2.0, 0.0, 0.5, 2.0, 3.0])
    assert bond_breaking.time_beyond(times, values, 1.0, rising=True) == pytest.approx(3 + 1 / 3)
    assert bond_breaking.time_beyond(times, -values, -1.0, rising=False) == pytest.approx(3 + 1 / 3)
    assert np.isnan(bond_breaking.time_beyond(times, values, 4.0, rising=True))
    assert bond_breaking.time_beyond(times, values + 5, 1.0, rising=True) == 0


def test_the_torn_bond_is_the_one_event_and_nothing_is_gone_at_the_start() -> None:
    record = torn()
    (energies,) = bond_breaking.edge_energies_along(random_model(), [record])
    assert energies.gone.shape == (21, len(record.bonds))
    np.testing.assert_allclose(energies.gone[0], 0, atol=1e-12)
    assert energies.total[0] == 0
    (pair,) = bond_breaking.pair_energies_along(well(), [record])
    lengths = bond_lengths(record.positions, record.bonds)
    expected = 1 - well()("H", "O", lengths[:, 0]) / well()("H", "O", lengths[:1, 0])
    np.testing.assert_allclose(pair[:, 0], expected)
    frames = bond_breaking.frame_table([record], {"energy": [energies.gone], "pair": [pair]})
    events = bond_breaking.breaking_events(frames, ["energy", "pair"])
    assert events["bond"].tolist() == [0]
    relaxed = lengths[0, 0]
    assert events["stretch"].item() == pytest.approx(0.5 * relaxed / 0.1 * 2, abs=1e-6)
    assert events["order"].item() == pytest.approx(20)
    torn_away = frames[frames["bond"] == 0]["elongation_A"]
    np.testing.assert_allclose(torn_away, 0.1 * np.arange(21), atol=1e-9)
    later = bond_breaking.breaking_events(frames, ["pair"], gone=0.7)["pair"].item()
    assert later > events["pair"].item()


def test_far_beyond_the_cutoff_everything_is_gone() -> None:
    record = torn(n_frames=45)
    (energies,) = bond_breaking.edge_energies_along(random_model(), [record])
    assert energies.gone[-1, 0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("times", "begin"), [
    ([0, 100, 200, 260, 262, 264], 260), ([0, 2, 4, 6], 0), ([0, 100, 102, 200, 202], 200),
    ([0], 0),
])  # fmt: skip
def test_frames_are_dense_from_the_last_gap_on(times: list[float], begin: float) -> None:
    record = replace(torn(), times=np.array(times, dtype=np.float32))
    assert bond_breaking.dense_from(record) == begin


def test_thresholds_come_from_other_molecules_alone() -> None:
    broken = np.array([False, True] * 20)
    groups = np.repeat(["a", "b"], 20)
    score = broken + np.where(groups == "a", 0.0, 10.0)
    calls = bond_breaking.calls_by_others(broken, score, groups)
    assert not calls[groups == "a"].any(), "the threshold of b is far above all of a"
    assert calls[groups == "b"].all()
    same = bond_breaking.calls_by_others(broken, broken.astype(float), groups)
    np.testing.assert_array_equal(same, broken)
