"""A labelled data set."""

from pathlib import Path

import pytest
from label_runs import FEW, SOURCES

from e3d.labels.label import label_molecules


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set labelled in one go; the cation is left out with a reason."""
    path = tmp_path_factory.mktemp("label") / "whole.h5"
    skipped = label_molecules(SOURCES, "gfn2", path, settings=FEW, n_workers=1, progress=False)
    assert list(skipped) == ["[NH4+]"]
    assert "charge +1" in skipped["[NH4+]"]
    return path
