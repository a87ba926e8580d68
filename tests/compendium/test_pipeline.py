"""The contract of dvc.yaml: dependencies are complete, and nothing slow is out of date."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e3d.paths import BOOK, ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
SLOW = {name for name, stage in STAGES.items() if name.startswith("label_") or "foreach" in stage}
ANALYSES = [
    name
    for name, stage in STAGES.items()
    if "cmd" in stage and "--stage" in stage["cmd"] and name not in SLOW
]


def names(entries: list[Any]) -> list[str]:
    """Paths of a list of dependencies or outputs, which may be mappings with options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def notebook_of(stage: dict[str, Any]) -> Path:
    words = stage["cmd"].split()
    return ROOT / words[words.index("run") + 1]


def source_of(path: Path) -> str:
    """Python source of a module, or of the code cells of a notebook."""
    if path.suffix == ".py":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def imported(source: str) -> set[Path]:
    """Modules of e3d that a source imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("e3d.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "e3d":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("e3d."):
            found.add(str(node.module).split(".")[1])
    paths = {ROOT / "lib" / "e3d" / f"{name}.py" for name in found}
    return {path for path in paths if path.exists()}


def closure(path: Path) -> set[str]:
    """Modules of e3d that a notebook needs, directly or indirectly, relative to the root."""
    found: set[Path] = set()
    todo = imported(source_of(path))
    while todo:
        module = todo.pop()
        found.add(module)
        todo |= imported(source_of(module)) - found
    return {str(module.relative_to(ROOT)) for module in found}


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_depends_on_exactly_the_modules_it_imports(name: str) -> None:
    listed = {d for d in names(STAGES[name]["deps"]) if d.startswith("lib/")}
    assert listed == closure(notebook_of(STAGES[name]))


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_depends_on_its_notebook_and_on_no_executed_one(name: str) -> None:
    dependencies = names(STAGES[name]["deps"])
    assert str(notebook_of(STAGES[name]).relative_to(ROOT)) in dependencies
    assert not [d for d in dependencies if d.startswith(("book/", "provenance/"))]


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_really_runs_on_a_fresh_clone(name: str) -> None:
    stage = STAGES[name]
    outputs = [*stage["outs"], *stage.get("metrics", [])]
    assert all(next(iter(o.values())).get("cache") is False for o in outputs), "cached output"
    made = names(outputs)
    assert f"book/executed/{notebook_of(stage).name}" in made
    assert f"provenance/{name}.json" in made
    assert f"--stage {name}" in " ".join(stage["cmd"].split())


def test_training_depends_on_as_little_as_possible() -> None:
    trainings = [name for name, stage in STAGES.items() if "foreach" in stage]
    assert {"train", "study", "finetune"} <= set(trainings)
    for name in trainings:
        modules = [d for d in STAGES[name]["do"]["deps"] if d.startswith("lib/")]
        expected = ("configuration", "training", "training_data")
        assert modules == [f"lib/e3d/{module}.py" for module in expected]


def test_every_dependency_exists_or_is_made_by_a_stage() -> None:
    made = {o for stage in STAGES.values() for o in names(stage.get("outs", []))}
    made |= {o for stage in STAGES.values() for o in names(stage.get("metrics", []))}
    for name, stage in STAGES.items():
        for dependency in names(stage.get("do", stage)["deps"]):
            if "${" not in dependency and not dependency.startswith("checkpoints/"):
                assert dependency in made or (ROOT / dependency).exists(), (name, dependency)


def test_the_book_depends_on_every_page_and_every_executed_notebook() -> None:
    dependencies = names(STAGES["book"]["deps"])
    pages = [p for p in BOOK.iterdir() if p.name not in ("_build", "executed")]
    assert {f"book/{page.name}" for page in pages} <= set(dependencies)
    for name in ANALYSES:
        assert f"book/executed/{notebook_of(STAGES[name]).name}" in dependencies
        assert f"provenance/{name}.json" in dependencies


def test_every_parameter_is_used() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    for section, values in yaml.safe_load((ROOT / "params.yaml").read_text()).items():
        if f"foreach: ${{{section}}}" in text:
            used = {key for key in STAGES[section]["do"]["cmd"].split() if "${item." in key}
            keys = set().union(*(run.keys() for run in values.values()))
            assert keys == {word.split("${item.")[1].split("}")[0] for word in used}
        else:
            for path in _leaves(values, section):
                assert f"${{{path}}}" in text, f"{path} is in params.yaml but no stage uses it"


def _leaves(values: Any, path: str) -> list[str]:
    if not isinstance(values, dict):
        return [path]
    return [leaf for key, value in values.items() for leaf in _leaves(value, f"{path}.{key}")]


def test_parameters_of_stages_are_parameters_of_their_notebooks() -> None:
    from e3d.compendium import parameters

    for stage in STAGES.values():
        command = stage.get("do", stage)["cmd"]
        if " run " not in command:
            continue
        words = command.replace('"', "").split()
        given = [words[k + 1].split("=")[0] for k, word in enumerate(words) if word == "-p"]
        known = parameters.defaults(ROOT / words[words.index("run") + 1])
        assert set(given) <= set(known)


def test_no_label_or_training_stage_is_out_of_date() -> None:
    dvc = Path(sys.executable).with_name("dvc")
    plan = subprocess.run(
        [dvc, "repro", "--pull", "--dry", "--allow-missing", *sorted(SLOW)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert plan.returncode == 0, plan.stderr
    assert "Running stage" not in plan.stdout
