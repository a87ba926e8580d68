"""Interrupted, killed or disturbed, a streamed decomposition loses at most a chunk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import psutil
import pytest
from streams import e3d

from e3d import files
from e3d.data.dataset import Dataset
from e3d.decomposition import statistics_file, stream
from e3d.decomposition.stream import decompose_dataset
from e3d.errors import E3DError
from e3d.paths import DATA, ROOT

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_a_call_that_died_resumes_and_gives_the_identical_file(
    few: Path, checkpoint: Path, begun: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = begun
    evaluator, done = stream.evaluator, []
    monkeypatch.setattr(
        stream, "evaluator", lambda job, names: done.extend(names) or evaluator(job, names)
    )
    decompose_dataset(few, checkpoint, out, n_workers=1)
    with Dataset(few) as dataset:
        assert done == dataset.names[4:]  # the first two chunks are not done again
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in out.parent.iterdir()) == ["data", "out.h5", "whole.h5"]


def test_a_partial_file_of_something_else_is_refused_and_kept(
    few: Path, checkpoint: Path, begun: tuple[Path, Path]
) -> None:
    partial = begun[1].with_name("out.h5.partial")
    before = partial.read_bytes()
    with pytest.raises(E3DError, match=r"begun with another energy_step_eV; delete it"):
        decompose_dataset(few, checkpoint, begun[1], energy_step=0.2, n_workers=1)
    with h5py.File(few, "r+") as file:
        del file["CO"]
    with pytest.raises(E3DError, match=r"begun with another dataset; delete it"):
        decompose_dataset(few, checkpoint, begun[1], n_workers=1)
    assert partial.read_bytes() == before
    partial.write_bytes(before[:100])
    with pytest.raises(E3DError, match=r"out.h5.partial is no statistics file"):
        decompose_dataset(few, checkpoint, begun[1], n_workers=1)


def test_bad_input_never_costs_what_was_done(
    few: Path, checkpoint: Path, begun: tuple[Path, Path]
) -> None:
    whole, out = begun
    times = few.stat()
    with open(few, "r+b") as stream_:
        content = stream_.read()
        stream_.truncate(len(content) // 2)
    partial = out.with_name("out.h5.partial")
    before = partial.read_bytes()
    with pytest.raises(E3DError, match="truncated"):
        decompose_dataset(few, checkpoint, out, n_workers=1)
    assert partial.read_bytes() == before
    few.write_bytes(content)
    os.utime(few, ns=(times.st_atime_ns, times.st_mtime_ns))
    decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_bytes() == whole.read_bytes()


def test_a_second_call_is_refused_while_the_first_runs(few: Path, checkpoint: Path) -> None:
    out = few.parent / "out.h5"
    with files.locked(out):
        done = e3d(few, "--model", checkpoint, "--out", out)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"e3d: {out} is being written by process {os.getpid()} on ")
    assert [p.name for p in few.parent.iterdir()] == ["few.h5"]


def test_an_old_output_is_replaced_but_not_one_that_appears_meanwhile(
    few: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = few.parent / "out.h5"
    out.write_text("old")
    decompose_dataset(few, checkpoint, out, n_workers=1)
    whole = out.read_bytes()
    out.unlink()
    write = statistics_file.write

    def meddling(*arguments: object, **options: object) -> None:
        write(*arguments, **options)
        out.write_text("another's")

    with monkeypatch.context() as patch:
        patch.setattr(statistics_file, "write", meddling)
        with pytest.raises(E3DError, match="is left as it is"):
            decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_text() == "another's"
    out.unlink()
    decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_bytes() == whole
    assert sorted(p.name for p in few.parent.iterdir()) == ["few.h5", "out.h5"]


@pytest.mark.slow
def test_a_killed_command_resumes(checkpoint: Path, tmp_path: Path) -> None:
    given = [DATA / "dft-small.h5", "--model", checkpoint, "--workers", 1]
    whole, out = tmp_path / "whole.h5", tmp_path / "out.h5"
    assert e3d(*given, "--out", whole).returncode == 0
    partial = tmp_path / "out.h5.partial"
    command = [sys.executable, "-m", "e3d", "decompose", *map(str, given), "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        while not partial.exists() and run.poll() is None:
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
    assert partial.exists()
    assert not out.exists()
    done = e3d(*given, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "922 conformations, 95 molecules" in done.stdout
    assert out.read_bytes() == whole.read_bytes()
    assert not partial.exists()


@pytest.mark.slow
def test_a_killed_worker_costs_its_chunk_and_no_result(checkpoint: Path, tmp_path: Path) -> None:
    many, whole, out = tmp_path / "many.h5", tmp_path / "whole.h5", tmp_path / "out.h5"
    with h5py.File(DATA / "dft-small.h5") as source, h5py.File(many, "w") as target:
        target.attrs.update(source.attrs)
        for k in range(8):
            for name in source:
                source.copy(name, target, f"{name} {k}")
    assert e3d(many, "--model", checkpoint, "--workers", 1, "--out", whole).returncode == 0
    command = [sys.executable, "-m", "e3d", "decompose", many, "--model", checkpoint,
               "--workers", "2", "--out", out]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as run:  # fmt: skip
        while not out.with_name("out.h5.partial").exists() and run.poll() is None:
            time.sleep(0.01)
        workers = [p for p in psutil.Process(run.pid).children()
                   if "spawn_main" in " ".join(p.cmdline())]  # fmt: skip
        workers[0].kill()
        _, told = run.communicate()
    assert run.returncode == 0, told
    assert len(workers) == 2
    assert out.read_bytes() == whole.read_bytes()
