"""Files that reach out of themselves, or hold more than their size: refused before being read."""

import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.errors import E3DError, printable

DFT = Path("data/dft-small.h5")
SECRET = b"root:x:0:0:root:/root:/bin/bash\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.h5"
    with h5py.File(DFT) as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in ("C", "CO"):
            source.copy(name, target)
    (tmp_path / "secret").write_bytes(SECRET * 100)
    with h5py.File(tmp_path / "other.h5", "w") as other, h5py.File(DFT) as source:
        source.copy("O", other)
    os.mkfifo(tmp_path / "pipe")
    return path


def replaced(raw: h5py.File, key: str, **options) -> h5py.Dataset:
    """Methanol's field anew, with its shape, type and units, but other storage."""
    old = raw[f"CO/{key}"]
    shape, kind, units = old.shape, old.dtype, dict(old.attrs)
    del raw[f"CO/{key}"]
    options = {"shape": shape, "dtype": kind} | options
    field = raw["CO"].create_dataset(key, **options)
    field.attrs.update(units)
    return field


def external_storage(raw: h5py.File) -> None:
    replaced(raw, "formation_energy", external=[("secret", 0, h5py.h5f.UNLIMITED)])


def virtual(raw: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(10,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "O/dft_total_energy", shape=(10,))
    del raw["CO/dft_total_energy"]
    field = raw["CO"].create_virtual_dataset("dft_total_energy", layout)
    field.attrs["units"] = "hartree"


def field_elsewhere(raw: h5py.File) -> None:
    del raw["CO/dft_total_energy"]
    raw["CO/dft_total_energy"] = h5py.ExternalLink("other.h5", "O/dft_total_energy")


def group_elsewhere(raw: h5py.File) -> None:
    del raw["CO"]
    raw["CO"] = h5py.ExternalLink("other.h5", "O")


def through_a_soft_link(raw: h5py.File) -> None:
    raw["C/elsewhere"] = h5py.ExternalLink("other.h5", "/")
    del raw["CO"]
    raw["CO"] = h5py.SoftLink("/C/elsewhere/O")
    del raw["C/elsewhere"]


def pipe(raw: h5py.File) -> None:
    del raw["CO/conformations"]
    raw["CO/conformations"] = h5py.ExternalLink("pipe", "x")


def compressed_bomb(raw: h5py.File) -> None:
    field = replaced(
        raw, "dft_total_gradient", shape=(2_000_000, 6, 3), chunks=(100_000, 6, 3),
        compression="gzip", compression_opts=9,
    )  # fmt: skip
    field[:100_000] = 0


def bomb_of_one_chunk(raw: h5py.File) -> None:
    """Its shape is small, but the chunk that holds it is not."""
    replaced(
        raw, "dft_total_energy", maxshape=(None,), chunks=(50_000_000,), compression="gzip",
    )[:] = 0  # fmt: skip


def bomb_never_written(raw: h5py.File) -> None:
    replaced(raw, "atomic_numbers", shape=(2**40,), dtype="i2", chunks=(1000,))


def bomb_of_text(raw: h5py.File) -> None:
    del raw["CO/smiles"]
    raw["CO"].create_dataset(
        "smiles", shape=(1,), dtype="S400000000", chunks=(1,), compression="gzip"
    )[0] = b"C"


TRICKS: dict[Callable, str] = {
    external_storage: "'formation_energy' holds the values of other files",
    virtual: "'dft_total_energy' holds the values of other files",
    field_elsewhere: "'dft_total_energy' is a link that may lead out of the file",
    group_elsewhere: "is a link that may lead out of the file",
    through_a_soft_link: "is a link that may lead out of the file",
    pipe: "'conformations' is a link that may lead out of the file",
    compressed_bomb: "'dft_total_gradient' is declared to hold 137 MiB but takes 0.0 MiB",
    bomb_of_one_chunk: "'dft_total_energy' is declared to hold 381 MiB but takes 0.4 MiB",
    bomb_never_written: "'atomic_numbers' is declared to hold 2,097,152 MiB",
    bomb_of_text: "'smiles' is declared to hold 381 MiB but takes 0.4 MiB",
}


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_a_trick_is_refused_in_one_line_and_the_rest_is_used(file: Path, trick: Callable) -> None:
    with h5py.File(file, "r+") as raw:
        trick(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = check_dataset(file)
    assert {where for where, _ in report.problems} == {"CO"}
    assert TRICKS[trick] in report.problems[0][1]
    with Dataset(file) as dataset:
        with pytest.raises(E3DError, match="molecule 'CO'"):
            dataset["CO"]
        assert [molecule.name for molecule in dataset.usable(strict=False)] == ["C"]
        (line,) = dataset.left_out.lines()
    assert "cannot be read: CO" in line
    assert "root:" not in report.text() + line
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, "kB: the contents must not be read"


def test_a_pipe_is_no_data_set(file: Path) -> None:
    with pytest.raises(E3DError, match="is no regular file"):
        Dataset(file.parent / "pipe")


def test_groups_that_hold_each_other_are_read_once(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw["C/more"] = raw["CO"]
        raw["CO/back"] = raw["C"]
    with Dataset(file) as dataset:
        assert [molecule.name for molecule in dataset] == ["C", "C/more", "CO", "CO/back"]


def test_groups_nested_too_deep_are_a_problem(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw.move("CO", "a/" * 40 + "CO")
    report = check_dataset(file)
    ((where, what),) = report.problems
    assert where.startswith("a/a/")
    assert "nested more than 16 deep" in what


def test_names_cannot_move_the_cursor(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw.move("CO", "\x1b[2J\nproblem")
        del raw["\x1b[2J\nproblem/smiles"]
        raw.attrs["level_of_theory"] = "\x1b[31mred"
        raw.id.links.create_soft(b"\xff\xfe", b"nowhere")
    text = check_dataset(file).text()
    assert "\x1b" not in text
    assert r"\x1b[2J\nproblem: field 'smiles' is missing" in text
    assert printable(b"a\xff\n") == r"a\xff\n"
    said = re.escape(r"molecule '\x1b[2J\nproblem': field 'smiles'")
    with Dataset(file) as dataset, pytest.raises(E3DError, match=said):
        list(dataset)
