"""Labelling, killed at random moments: nothing half-written, nothing left, the same bytes."""

import importlib.util
import sys
from pathlib import Path

import pytest

from e3d.paths import ROOT

KILLS = 6


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = importlib.util.spec_from_file_location("faults", ROOT / "bench" / "faults.py")
    assert place is not None
    assert place.loader is not None
    faults = importlib.util.module_from_spec(place)
    monkeypatch.setitem(sys.modules, "faults", faults)
    place.loader.exec_module(faults)
    for row in faults.trials(tmp_path, ["label"], KILLS, seed=1, limits=False):
        broken = [what for what, held in row.items() if held is False]
        assert not broken, (row["fault"], broken)
