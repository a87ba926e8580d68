"""Folders are replaced as a whole, and by one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from e3d import files
from e3d.errors import E3DError


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "old.txt").write_text("old")
    return tmp_path / "html"


def contents(target: Path) -> list[str]:
    """Names in the folder; nothing may lie beside it."""
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return sorted(path.name for path in target.iterdir())


def test_a_folder_is_replaced_as_a_whole(target: Path) -> None:
    for name in ("new.txt", "newer.txt"):
        with files.replacing_folder(target) as new:
            new.mkdir()
            (new / name).write_text("new")
        assert contents(target) == [name]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_folder_stays_when_its_successor_fails(target: Path, error: type[BaseException]) -> None:
    def fails() -> None:
        with files.replacing_folder(target) as new:
            new.mkdir()
            (new / "half.txt").write_text("half")
            raise error

    with pytest.raises((error, files.WriteError)):
        fails()
    assert contents(target) == ["old.txt"]


def test_what_an_ended_process_left_is_put_back_first(target: Path) -> None:
    target.rename(target.with_name(".html.old"))  # between the two renames
    target.with_name(".html.new").mkdir()
    with pytest.raises(ZeroDivisionError), files.replacing_folder(target):
        raise ZeroDivisionError
    assert contents(target) == ["old.txt"]


def test_two_processes_do_not_replace_one_folder(target: Path) -> None:
    with files.replacing_folder(target) as new:
        new.mkdir()
        with pytest.raises(E3DError, match="is being written"), files.replacing_folder(target):
            pass
    assert contents(target) == []


HALF = """
import os, sys
import subprocess
import sys
from pathlib import Path
from e3d import files
with files.replacing(Path(sys.argv[1])) as new:
    new.write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "data[1].h5"  # with a pattern in its name
    begun = [
        subprocess.Popen([sys.executable, "-c", HALF, str(path)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    for process in begun:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    begun[0].kill()
    begun[0].communicate()
    (tmp_path / ".other.csv.tmp").write_text("of somebody else")
    assert len(list(tmp_path.glob(".data*.tmp"))) == 2
    with files.locked(path):
        assert len(list(tmp_path.glob(".data*.tmp"))) == 1
    begun[1].communicate("")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.csv.tmp", path.name]
