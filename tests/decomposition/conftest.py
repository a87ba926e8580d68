"""Fixtures of the streamed decompositions."""

from pathlib import Path

import h5py
import pytest
from streams import NAMES, random_checkpoint

from e3d.decomposition import maps, statistics_file, stream
from e3d.decomposition.stream import decompose_dataset
from e3d.models.allegro import Model, load_model
from e3d.paths import DATA


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoints") / "random")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A data set of some small molecules, in a folder of its own."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "few.h5"
    with h5py.File(DATA / "dft-small.h5") as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in NAMES:
            source.copy(name, target)
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two molecules at a time, and blocks that cut molecules."""
    monkeypatch.setattr(stream, "MOLECULES", 2)
    monkeypatch.setattr(maps, "BLOCK", 7)


class Killed(BaseException):
    """Stands for a kill: nothing in the library catches it."""


@pytest.fixture
def begun(
    few: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A file that was never interrupted, and the place of one whose call died in its third chunk.

    The third chunk was worked on, but not written.
    """
    whole, out = tmp_path / "whole.h5", tmp_path / "out.h5"
    decompose_dataset(few, checkpoint, whole, n_workers=1)
    write, calls = statistics_file.write, []

    def dying(path: Path, *arguments: object, **options: object) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise Killed
        write(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(statistics_file, "write", dying)
        with pytest.raises(Killed):
            decompose_dataset(few, checkpoint, out, n_workers=1)
    assert not out.exists()
    assert out.with_name("out.h5.partial").exists()
    return whole, out
