"""Molecules that cannot be used are left out and named; what no run can mend is refused."""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from streams import NAMES, assert_equal, e3d

from e3d.data import guarded
from e3d.data.rules import FOREIGN, NOT_FINITE, UNREADABLE, steep
from e3d.decomposition import edges, maps, stream
from e3d.decomposition.statistics_file import read
from e3d.decomposition.stream import decompose_dataset
from e3d.errors import E3DError

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.mark.parametrize(
    ("field", "value", "n_workers", "reason", "cause"),
    [
        ("conformations", np.nan, 2, NOT_FINITE, "field 'conformations' is not finite"),
        ("dft_total_gradient", np.nan, 1, NOT_FINITE, "field 'dft_total_gradient' is not finite"),
        ("conformations", 0.0, 1, maps.FLAWED, "two atoms coincide"),
        ("atomic_numbers", 16, 1, UNREADABLE, "its atoms are not those"),
        ("smiles", "N#N", 1, UNREADABLE, "atom maps do not number every atom"),
        ("smiles", "C1(", 1, UNREADABLE, "cannot be parsed"),
    ],
)
def test_a_bad_molecule_among_good_ones_is_left_out_and_named(
    few: Path, checkpoint: Path, field: str, value: float | str, n_workers: int, reason: str,
    cause: str,
) -> None:  # fmt: skip
    with h5py.File(few, "r+") as file:
        n_conformations = sum(len(file[name]["conformations"]) for name in NAMES)
        n_bad = len(file["N#N/conformations"])
        file["N#N"][field][...] = value
    out = few.parent / "out.h5"
    found = decompose_dataset(few, checkpoint, out, n_workers=n_workers)
    assert found.n_conformations == n_conformations - n_bad
    assert found.n_molecules == len(NAMES) - 1
    ((why, entry),) = found.left_out.reasons.items()
    assert (why, entry.n_molecules) == (reason, 1)
    assert entry.n_conformations == (0 if reason == UNREADABLE else n_bad)
    assert entry.first[0].startswith("N#N: ")
    assert cause in entry.first[0]
    assert_equal(read(out), found)
    assert sorted(p.name for p in few.parent.iterdir()) == ["few.h5", "out.h5"]


def test_what_is_passed_over_is_counted(few: Path, checkpoint: Path) -> None:
    whole = decompose_dataset(few, checkpoint, few.parent / "whole.h5", n_workers=1)
    with h5py.File(few, "r+") as file:
        n_left_out = len(file["N#N/conformations"])
        file["N#N/atomic_numbers"][...] = 53
        file["CO/dft_total_gradient"][0] = 2.0
    found = decompose_dataset(few, checkpoint, few.parent / "out.h5", n_workers=1)
    assert {why: entry.n_conformations for why, entry in found.left_out.reasons.items()} == {
        FOREIGN: n_left_out, steep(): 1
    }  # fmt: skip
    assert found.n_conformations == whole.n_conformations - n_left_out - 1
    assert found.n_molecules == whole.n_molecules - 1
    assert_equal(read(few.parent / "out.h5"), found)
    with h5py.File(few, "r+") as file:
        for name in file:
            file[name]["atomic_numbers"][...] = 53
    with pytest.raises(E3DError, match=r"no conformation to decompose: .* outside the model's"):
        decompose_dataset(few, checkpoint, few.parent / "none.h5", n_workers=1)
    assert not (few.parent / "none.h5.partial").exists()


def test_charged_molecules_are_decomposed_on_demand(few: Path, checkpoint: Path) -> None:
    with h5py.File(few, "r+") as file:
        n_charged = len(file["N#N/conformations"])
        file["N#N/smiles"][...] = "[N-:1]=[N-:2]"
    for charged in (False, True):
        out = few.parent / f"{charged}.h5"
        found = decompose_dataset(few, checkpoint, out, n_workers=1, charged=charged)
        assert found.left_out.lines() == (
            [] if charged else [f"{n_charged} conformations of 1 molecule, charged: N#N: -2"]
        )
    partial = few.parent / "True.h5.partial"
    out.rename(partial)
    with pytest.raises(E3DError, match="begun with another charged"):
        decompose_dataset(few, checkpoint, out, n_workers=1)


@pytest.mark.parametrize(
    ("name", "n_conformations", "n_molecules"),
    [
        ("one-bad-molecule", 29, 3), ("nan-in-one-gradient", 29, 3), ("empty-molecule", 30, 3),
        ("radical", 30, 3), ("nested-groups", 40, 4), ("smiles-not-utf8", 20, 2),
    ],
)  # fmt: skip
def test_inputs_that_once_ended_a_run(
    name: str, n_conformations: int, n_molecules: int, checkpoint: Path, tmp_path: Path
) -> None:
    """Thirty good conformations of three molecules, and one thing wrong or unusual."""
    path = Path(__file__).parents[1] / "cases" / f"{name}.h5"
    found = decompose_dataset(path, checkpoint, tmp_path / "out.h5", n_workers=1)
    assert (found.n_conformations, found.n_molecules) == (n_conformations, n_molecules)
    assert bool(found.left_out) == (name != "nested-groups")


def test_a_model_that_can_decompose_nothing_is_told_at_once(
    few: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SUM_RULE_TOLERANCE", {})
    monkeypatch.setattr(edges, "flaw", lambda *_: "no sum over edges")
    with pytest.raises(E3DError, match="no conformation can be decomposed; C: no sum over edges"):
        decompose_dataset(few, checkpoint, few.parent / "out.h5", n_workers=1)


def test_a_truncated_data_set_leaves_nothing_behind(few: Path, checkpoint: Path) -> None:
    with open(few, "r+b") as stream_:
        stream_.truncate(few.stat().st_size // 2)
    done = e3d(few, "--model", checkpoint, "--out", few.parent / "out.h5")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"e3d: data set {few} is truncated or not HDF5")
    assert [p.name for p in few.parent.iterdir()] == ["few.h5"]


def test_a_data_set_on_which_hdf5_loops_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "require_opens", partial(guarded.require_opens, patience=2.0))
    looping = Path(__file__).parents[1] / "cases" / "hdf5-loops.h5"
    with pytest.raises(E3DError, match="HDF5 does not answer within 2 s"):
        decompose_dataset(looping, checkpoint, tmp_path / "out.h5")


def test_a_device_that_is_not_there_is_told(few: Path, checkpoint: Path) -> None:
    for device, cause in (("gpu7", "unknown device 'gpu7'"), ("cuda:99", "sees no GPU")):
        if device.startswith("cuda") and torch.cuda.is_available():
            continue
        with pytest.raises(E3DError, match=cause):
            decompose_dataset(few, checkpoint, few.parent / "out.h5", device=device)


def test_the_output_may_not_be_the_input(few: Path, checkpoint: Path) -> None:
    for out in (few, few.parent):
        with pytest.raises(E3DError, match="choose another output file"):
            decompose_dataset(few, checkpoint, out, n_workers=1)
