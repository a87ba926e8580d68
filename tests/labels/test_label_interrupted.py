"""Whatever ends a call, no molecule that was labelled is lost and no file is overwritten."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from label_runs import FEW, SOURCES, contents

from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels import label as labelling
from e3d.labels.label import label_molecules, read_part

CALL = """
from e3d.labels.label import label_molecules
from e3d.labels.sampling import Sampling
if __name__ == "__main__":
    label_molecules({sources}, "gfn2", "{out}", settings=Sampling(temperatures_K=(300,),
                    frame_interval_fs=5), n_workers=1, progress=False)
"""


def test_a_killed_call_leaves_nothing_running_and_resumes(labelled: Path, tmp_path: Path) -> None:
    """SIGKILL after the first finished molecule; the resumed file equals that made in one go."""
    out, script = tmp_path / "resumed.h5", tmp_path / "call.py"
    script.write_text(CALL.format(sources=SOURCES, out=out))
    with subprocess.Popen([sys.executable, script], start_new_session=True) as process:
        try:
            wait_for(lambda: finished(tmp_path))
        finally:
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: not group_runs(process.pid))
    assert not out.exists()
    first = finished(tmp_path)[0]
    before, read = first.stat().st_mtime_ns, {}

    def reading(path: Path) -> Molecule:
        read[path] = path.stat().st_mtime_ns
        return read_part(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "read_part", reading)
        label_molecules(SOURCES, "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert read[first] == before, "the finished molecule must not be labelled again"
    assert contents(out) == contents(labelled)


def test_of_two_calls_into_one_file_one_is_refused_and_no_molecule_is_lost(tmp_path: Path) -> None:
    listed, out = tmp_path / "list.smi", tmp_path / "out" / "both.h5"
    names = ["C", "CC", "CCC", "CO", "N", "O"]
    listed.write_text("\n".join(names))
    command = [sys.executable, "-m", "e3d", "label", listed, "--method", "gfn2", "--out", out,
               "--frames", "0", "--workers", "1"]  # fmt: skip
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[1].splitlines() for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    winner = next(process for process in both if process.returncode == 0)
    (line,) = next(lines for lines, p in zip(said, both, strict=True) if p is not winner)
    assert line.startswith(f"e3d: {out} is being written by process {winner.pid} on ")
    with Dataset(out) as dataset:
        assert sorted(dataset.names) == names
    assert list(out.parent.iterdir()) == [out]


def finished(folder: Path) -> list[Path]:
    """Partial results of the call that writes into this folder."""
    return [path for path in folder.glob("*.parts/*") if not path.suffix]


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def group_runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_existing_data_set_is_never_overwritten(labelled: Path) -> None:
    before = labelled.read_bytes()
    with pytest.raises(E3DError, match="labels are never overwritten"):
        label_molecules(["O"], "gfn2", labelled, settings=FEW, n_workers=1, progress=False)
    assert labelled.read_bytes() == before


def test_a_failed_write_leaves_no_half_file_and_keeps_the_partial_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data.h5"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(E3DError, match="No space left on device; the old file, if any, is untouc"):
        label_molecules(["O"], "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert not out.exists()
    assert len(finished(tmp_path)) == 1
    assert not list(tmp_path.glob(".*.tmp"))


def test_ctrl_c_in_the_embedding_stops_and_leaves_the_molecule_for_later(tmp_path: Path) -> None:
    """RDKit swallows the signal, and C60 once counted as too strained for good."""
    out = tmp_path / "new.h5"
    command = [sys.executable, "-m", "e3d", "label", "tests/cases/c60.smi", "--method", "gfn2",
               "--out", out, "--workers", "1", "--frames", "0"]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: embeds(process.pid))
        finally:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("e3d: interrupted")
    assert "Traceback" not in said
    assert not out.exists()
    assert not list(tmp_path.glob("*.parts/*.reason"))


def embeds(group: int) -> bool:
    """Whether a process of this group has a child outside it: the one that embeds."""
    parents, groups = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            _, parent, its_group = path.read_text().rsplit(")", 1)[1].split()[:3]
            parents[path.parent.name], groups[path.parent.name] = parent, int(its_group)
    return any(
        groups[process] != group and groups.get(parent) == group
        for process, parent in parents.items()
    )


def test_workers_are_renewed_without_losing_molecules(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelling, "TASKS_PER_WORKER", 2)
    out = tmp_path / "batches.h5"
    label_molecules(SOURCES, "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert contents(out) == contents(labelled)
