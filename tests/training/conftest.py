"""A small data set and settings of a small model for trainings that take seconds."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import h5py
import pytest

from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.training.settings import Settings

DFT = Path("data/dft-small.h5")


@pytest.fixture(scope="session")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file with molecules of every fold."""
    path = tmp_path_factory.mktemp("labels") / "some.h5"
    wanted = Counter(train=12, validation=2, test=2)
    with Dataset(DFT) as dataset, h5py.File(DFT) as source, h5py.File(path, "w") as copy:
        copy.attrs.update(source.attrs)
        for molecule in dataset.usable():
            part = fold(molecule.canonical_smiles)
            if wanted[part]:
                source.copy(molecule.name, copy)
                wanted[part] -= 1
    return path


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Settings]:
    """Settings of a small model, trained on the file given, with changes."""

    def settings(labels: Path, **changes: object) -> Settings:
        base = Settings(
            dataset=str(labels), n_scalar_features=8, n_tensor_features=2, l_max=1, steps=40,
            batch_size=8, compile=False,
        )  # fmt: skip
        return Settings(**{**asdict(base), **changes})

    return settings
