"""Notebooks: their form, and that people can run them with parameters of their own."""

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from e3d.compendium import execute, parameters
from e3d.paths import CHECKPOINTS, LABELS, NOTEBOOKS, RESULTS, RUNS

ALL = sorted(NOTEBOOKS.rglob("*.ipynb"))
CHAPTERS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
MAX_CODE_CELLS, MAX_LINES = 28, 25  # about 25 and 15: past that, think again
#: The same analysis, small: less of what takes long, nothing of what is asserted.
SMALL: dict[str, list[str]] = {
    "03_decomposition": [
        "runs=[finetuned-s0, finetuned-s1]",
        "untrained_like=[finetuned-s0]",
        "data_sets={dft: [data/dft-small.h5]}",
        "n_resamples=20",
    ],
    "04_bde": ["n_resamples=50"],
    "05_entropy": ["n_resamples=20", "n_permutations=5", "n_wiberg_molecules=200"],
    "06_runs": ["only=[n100-s0, n1000-s0, l_max-1-s0]", "n_test=20"],
    "07_scaling": ["n_resamples=50"],
    "08_emergence": ["n_resamples=50"],
    "09_identifiability": ["n_resamples=20"],
    "10_training_sets": ["n_resamples=50"],
    "11_within_class": ["n_resamples=50"],
    "12_error_sources": ["n_resamples=50"],
    "13_bond_strengths": ["n_resamples=50"],
    "14_layers": [
        "networks={trained: [finetuned-s0, finetuned-s1], from scratch: [dft-s0], "
        "shuffled: [shuffled-s0]}",
        "n_untrained=2",
        "n_molecules=120",
        "n_repeats=1",
        "n_resamples=50",
    ],
    "15_stretching": ["n_resamples=50"],
    "16_reactions": ["n_resamples=50"],
    "17_dynamics": ["n_resamples=50"],
    "18_bse49": ["n_resamples=50"],
    "19_limitations": ["n_resamples=50"],
    "20_synthesis": ["n_resamples=50"],
    "21_answer": [],
    "22_bound": ["n_resamples=50"],
    "23_agreement": ["n_resamples=50"],
    "24_teacher": ["n_resamples=50"],
    "25_broken": ["n_resamples=50"],
    "26_control": ["n_resamples=50"],
    "27_interplay": [
        "n_resamples=50",
        "n_molecules=10",
        "only=[n100-s0, n10000-s0, n10000-s1, n10000-s2]",
    ],
    "28_inorganic": ["max_seeds=2", "n_compared=10", "n_untrained=2", "n_resamples=50"],
    "29_scenarios": ["n_test=20", "n_shown=25"],
}

#: Chapters that take seconds, executed as they are.
OPENED = ["08_emergence", "13_bond_strengths", "21_answer"]


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_stripped_short_and_parameterised(path: Path) -> None:
    cells = code_cells(path)
    assert not [c for c in cells if c["outputs"] or c["execution_count"] is not None]
    assert len(cells) <= MAX_CODE_CELLS
    tables = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tables) == 1
    longest = max(len("".join(c["source"]).splitlines()) for c in cells if c not in tables)
    assert longest <= MAX_LINES
    assert parameters.defaults(path)["output_dir"] == ""
    place = path.relative_to(NOTEBOOKS).with_suffix("")
    sources = ["".join(c["source"]) for c in cells]
    assert any(f'output_dir = start("{place}", output_dir)' in source for source in sources)
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_defines_nothing_and_tells_its_findings_once(path: Path) -> None:
    cells = code_cells(path)
    defined = [node for cell in cells for node in ast.walk(ast.parse("".join(cell["source"])))
               if isinstance(node, ast.FunctionDef | ast.ClassDef)]  # fmt: skip
    assert not defined
    assert sum("findings" in c["metadata"].get("tags", []) for c in cells) == 1


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_narrative_has_no_typed_results(path: Path) -> None:
    """Numbers with a unit of a result belong into a computed cell, not into Markdown."""
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            assert not re.search(r"\d\s*(?:meV|kcal/mol|bits)\b", text), text


@pytest.mark.skipif(
    not (RESULTS / "edges" / "molecules.csv").exists() or not (LABELS / "bulk.h5").exists(),
    reason="the pipeline has not run: make book",
)
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_small_into_a_folder_of_its_own(name: str, tmp_path: Path) -> None:
    path = NOTEBOOKS / f"{name}.ipynb"
    assert (CHECKPOINTS / "finetuned-s0").exists()
    before = {p: p.stat().st_mtime_ns for p in RESULTS.rglob("*") if p.is_file()}
    out = execute.run_here(path, SMALL[name], tmp_path / "out")
    assert (out / path.name).exists()
    assert (out / "provenance.json").exists()
    assert len(list(out.rglob("*.csv"))) > 0
    assert before == {p: p.stat().st_mtime_ns for p in RESULTS.rglob("*") if p.is_file()}


@pytest.mark.skipif(
    not list(CHECKPOINTS.glob("finetuned-s*/model.yaml")), reason="no checkpoints: make pull"
)
def test_the_notebook_about_your_molecule_runs_with_yours(tmp_path: Path) -> None:
    values = ["molecule=O", "models=[checkpoints/finetuned-s0]"]
    out = execute.run_here(NOTEBOOKS / "your_molecule.ipynb", values, tmp_path / "out")
    (report,) = json.loads((out / "bonds.json").read_text())
    assert report["smiles"] == "O"
    assert (out / "bonds.csv").read_text().count("H-O") == 2
    assert "<table" in (out / "bonds.html").read_text()
    shown = json.dumps(nbformat.read(out / "your_molecule.ipynb", as_version=4))
    assert "widget-view" in shown


@pytest.mark.skipif(not (RESULTS / "study").exists(), reason="the pipeline has not run: make book")
@pytest.mark.parametrize("name", OPENED)
def test_a_notebook_runs_as_it_is_when_opened_from_its_folder(name: str) -> None:
    """As in JupyterLab: cell by cell in the notebook's folder, with the values of params.yaml."""
    before = {p: p.stat().st_mtime_ns for p in RESULTS.rglob("*") if p.is_file()}
    runs = set((RUNS / name).glob("*"))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, kernel_name="python3", resources={
        "metadata": {"path": str(NOTEBOOKS)}}).execute()  # fmt: skip
    (made,) = set((RUNS / name).glob("*")) - runs
    written = {p for p in made.rglob("*") if p.suffix in (".csv", ".json")}
    written.remove(made / "parameters.json")  # of a run by hand alone
    assert written
    for path in written:  # the same numbers as those of the pipeline
        assert path.read_bytes() == (RESULTS / path.relative_to(made)).read_bytes(), path.name
    assert before == {p: p.stat().st_mtime_ns for p in RESULTS.rglob("*") if p.is_file()}
    shutil.rmtree(made)
