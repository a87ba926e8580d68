"""Folders are replaced as a whole, and by one process at a time."""

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
