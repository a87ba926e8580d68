"""What the system was short of, found in whatever a library made of it."""

import errno
import resource
import subprocess
import sys

import pytest

from e3d.errors import E3DError, shortage
from e3d.paths import ROOT


def chained(inner: Exception, outer: Exception) -> Exception:
    try:
        try:
            raise inner
        except Exception as error:
            raise outer from error
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "too little memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "too little memory"),
        (chained(OSError(errno.ENOMEM, "x"), ImportError("y")), "too little memory"),
        (RuntimeError("can't start new thread"), "too little memory"),
        (RuntimeError("std::bad_alloc"), "too little memory"),
        (OSError(errno.ENOSPC, "x", "file"), "the disk is full (No space left on device: file)"),
        (OSError(errno.EFBIG, "x"), "the disk is full (File too large)"),
        (chained(OSError(errno.EMFILE, "x"), RuntimeError("y")), "too few open files"),
        (PermissionError(errno.EACCES, "x", "file"), "no permission (Permission denied: file)"),
        (OSError(errno.EROFS, "x"), "no permission (Read-only file system)"),
    ],
)
def test_what_is_short(error: Exception, said: str) -> None:
    found = shortage(error)
    assert found is not None
    assert found.startswith(said)
    assert "\n" not in found


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        BlockingIOError(errno.EAGAIN, "unable to lock file: Resource temporarily unavailable"),
        ImportError("No module named 'x'"),
    ],
)
def test_a_defect_is_not_taken_for_a_shortage(error: Exception) -> None:
    assert shortage(error) is None


CHECK, BONDS, RUN = ["check", "tests/cases/radical.h5"], ["bonds", "O"], ["run", "08_emergence"]


@pytest.mark.parametrize(
    ("command", "megabytes"),
    [(CHECK, 250), (CHECK, 400), (BONDS, 250), (BONDS, 400), (RUN, 250), (RUN, 400)],
)
def test_commands_with_little_memory_end_in_a_line(command: list[str], megabytes: int) -> None:
    amount = megabytes * 2**20
    done = subprocess.run(
        [sys.executable, "-m", "e3d", *command], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (amount, amount)),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if command[0] != "check" or done.returncode != 1 or not done.stdout:
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("e3d: ")
        assert f"allows {megabytes} MB" in line


def test_what_a_file_holds_cannot_move_the_cursor() -> None:
    assert str(E3DError("a\x1b[2Jb\nc")) == "a\\x1b[2Jb\nc"
