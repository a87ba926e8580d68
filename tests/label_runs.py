"""What the tests of labelling call, and how they compare its files."""

from pathlib import Path

from e3d.data.dataset import Dataset
from e3d.labels.sampling import Sampling

FEW = Sampling(temperatures_K=(300,), frame_interval_fs=5)
SOURCES = ["C", "N", "O", "[NH4+]"]


def contents(path: Path) -> dict:
    with Dataset(path) as dataset:
        molecules = {m.name: m for m in dataset}
        return {**dataset.attributes, **{k: repr(vars(m)) for k, m in molecules.items()}}
