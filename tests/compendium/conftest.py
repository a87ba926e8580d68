"""What tests of the scripts in `bench/` share."""

import sys
from collections.abc import Iterator

import pytest

from e3d.paths import ROOT


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    yield
    # these alone: a library such as h5py cannot be imported twice
    for script in (ROOT / "bench").glob("*.py"):
        sys.modules.pop(script.stem, None)
