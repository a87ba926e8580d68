"""The guide to a new chapter in CONTRIBUTING.md, followed to the letter."""

import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from e3d.compendium import execute, findings, pipeline
from e3d.paths import DATA, PARAMS, PIPELINE, ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GUIDE = CONTRIBUTING.partition("## A new chapter\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)


def notebook() -> nbformat.NotebookNode:
    """The notebook of the guide."""
    new, cells = nbformat.v4, []
    for part in BLOCKS[0][1].split("# %%")[1:]:
        tag, _, source = part.partition("\n")
        tag = tag.strip(" []")
        if tag == "markdown":
            cells.append(new.new_markdown_cell(re.sub(r"^# ", "", source, flags=re.MULTILINE)))
        else:
            cells.append(new.new_code_cell(source, metadata={"tags": [tag] if tag else []}))
    return new.new_notebook(cells=cells)


def addition(name: str) -> str:
    """What the guide adds to a file."""
    return next(text for _, text in BLOCKS if text.startswith(f"# {name}\n"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout to which the guide has been applied."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook(), tmp_path / "notebooks" / "30_ladder.ipynb")
    for path in (PARAMS, PIPELINE):
        shutil.copyfile(path, tmp_path / path.name)
        with open(tmp_path / path.name, "a") as stream:
            stream.write(f"\n{addition(path.name)}")
    (tmp_path / "findings.yml").write_text(addition("book/findings.yml"))
    return tmp_path


def test_the_guide_fits_on_a_page() -> None:
    assert len(GUIDE.splitlines()) < 70


@pytest.mark.skipif(not DATA.is_dir(), reason="not pulled: make pull")
def test_a_chapter_as_in_the_guide_is_a_stage_that_runs_and_says_what_it_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "RUNS", root / "runs")
    stage = pipeline.read_stage("ladder", root)
    chosen = stage.values  # noqa: PD011
    assert chosen == {"n_shown": 5, "output_dir": "results"}
    assert root / "results/ladder.csv" in stage.outputs
    made = root / "executed" / stage.notebook.name
    values = chosen | {"output_dir": str(root / "results")}
    execute.execute(stage.notebook, values, made, name="ladder")
    assert len(pd.read_csv(root / "results" / "ladder.csv")) == 5
    found = findings.read(root / "findings.yml", root / "results")["30_ladder"]
    assert found.lines == ("5 reactions are in the table.",)
    said = nbformat.read(made, as_version=4).cells[-2].outputs[0].data["text/markdown"]
    assert said == "5 reactions are shown."
