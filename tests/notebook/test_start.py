"""Where a notebook works and writes, by hand and in the pipeline."""

from pathlib import Path

import pytest

from e3d.notebook import start as module
from e3d.paths import ROOT


def test_opened_by_hand_it_works_in_the_root_and_writes_into_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "RUNS", ROOT / "runs" / "tests" / tmp_path.name)
    monkeypatch.chdir(tmp_path)
    first, second = module.start("05_entropy"), module.start("05_entropy")
    assert Path.cwd() == ROOT
    assert first != second
    assert (ROOT / first).is_dir()
    assert first in capsys.readouterr().out
    for folder in (first, second):
        (ROOT / folder / "parameters.json").unlink()
        (ROOT / folder).rmdir()
    (ROOT / first).parent.rmdir()
    (ROOT / first).parent.parent.rmdir()


def test_the_folder_that_a_stage_gives_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert module.start("05_entropy", "results") == "results"
    assert Path.cwd() == ROOT
