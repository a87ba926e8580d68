"""Damaged data sets by the hundred: one line, or harmless; never a traceback, never a hang."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.paths import ROOT

sys.path.insert(0, str(Path(__file__).parent))
import fuzz

#: Cases of damaged bytes, and of another content under a sound structure.
N_BYTES, N_CONTENTS = 400, 250


def test_damaged_bytes() -> None:
    done = subprocess.run(
        [sys.executable, "tests/data/fuzz.py", "0", str(N_BYTES)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *bad, counts = map(json.loads, done.stdout.splitlines())
    assert not bad
    assert sum(counts.values()) == N_BYTES
    assert counts["refused"] > N_BYTES / 2, "the damage must be some"
    assert counts.get("other numbers", 0) < N_BYTES / 20


FIELDS = ("O", *(f"O/{key}" for key in (
    "atomic_numbers", "conformations", "dft_total_energy", "dft_total_gradient",
    "formation_energy", "smiles", "subset", "temperature", "mayer_indices",
)))  # fmt: skip
KINDS = ("f2", "f4", "f8", ">f8", "i1", "u8", "?", "c8", "S5", "O")
NUMBERS = st.one_of(
    st.floats(allow_subnormal=True), st.integers(-(2**31), 2**31), st.just(0), st.booleans()
)
TEXTS = st.one_of(st.text(max_size=40).filter(lambda t: "\x00" not in t), st.binary(max_size=40))


@st.composite
def contents(draw: st.DrawFn) -> Any:
    """What may lie where an array is expected, or in an attribute."""
    if draw(st.booleans()):
        return draw(TEXTS.filter(lambda t: not isinstance(t, bytes) or b"\x00" not in t))
    shape = draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    kind = draw(st.sampled_from(KINDS[:7]))
    with np.errstate(all="ignore"):
        return np.full(shape, draw(NUMBERS)).astype(kind)


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, Any]:
    """Where, what, and with what a sound file is changed."""
    what = draw(st.sampled_from(["put", "drop", "group", "type", "link", "units", "root", "name"]))
    where = draw(st.sampled_from(FIELDS))
    root = st.sampled_from(["atomic_energies", "atomic_energies_aligned", "level_of_theory", "x"])
    if what == "root":
        return draw(root), what, draw(contents())
    if what == "name":
        names = st.text(min_size=1, max_size=9).filter(lambda t: t.strip("./") and "\x00" not in t)
        return where, what, draw(names)
    return where, what, draw(contents()) if what in ("put", "units") else None


def change(raw: h5py.File, where: str, what: str, content: Any) -> None:
    if what == "root":
        raw.attrs[where] = content
    elif what == "units":
        if where in raw:
            raw[where].attrs["units"] = content
    elif what == "name":
        if where in raw:
            raw.move(where, content)
    else:
        if where in raw:
            del raw[where]
        if what == "put":
            raw[where] = content
        elif what == "group":
            raw.create_group(where)
        elif what == "type":
            raw[where] = np.dtype("f8")
        elif what == "link":
            raw[where] = h5py.SoftLink("/CO")


@settings(
    max_examples=N_CONTENTS, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(changes(), min_size=1, max_size=3))
def test_other_contents(tmp_path: Path, edits: list[tuple[str, str, Any]]) -> None:
    path = tmp_path / "changed.h5"
    path.write_bytes(fuzz.sound("new"))
    with h5py.File(path, "r+") as raw:
        for where, what, content in edits:
            try:
                change(raw, where, what, content)
            except (KeyError, ValueError, TypeError, OSError):  # h5py refuses to write it
                continue
    report = check_dataset(path)
    assert "\x1b" not in report.text()
    json.dumps(report.as_dict(), allow_nan=False)
    for strict in (True, False):
        molecules, refused = used(path, strict=strict)
        assert "\n" not in refused
        assert not (refused and report.ok), "what cannot be read must not pass the check"
        assert all(found in ([8, 1, 1], [6, 8, 1, 1, 1, 1]) for found in molecules)


def used(path: Path, *, strict: bool) -> tuple[list[list[int]], str]:
    """Atomic numbers of the usable molecules, and why reading ended, if it did."""
    try:
        with Dataset(path) as dataset:
            return [m.atomic_numbers.tolist() for m in dataset.usable(strict=strict)], ""
    except E3DError as error:
        return [], str(error)


def test_the_cases_are_the_same_in_every_run() -> None:
    assert fuzz.mutated(5) == fuzz.mutated(5)
    assert fuzz.mutated(5) != fuzz.mutated(9)
    with pytest.raises(KeyError):
        fuzz.sound("other")
