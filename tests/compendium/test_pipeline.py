"""The contract of dvc.yaml and params.yaml: complete dependencies, typed values, nothing stale."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e3d.compendium import parameters, pipeline
from e3d.errors import E3DError
from e3d.paths import BOOK, NOTEBOOKS, PARAMS, PIPELINE, ROOT

STAGES: dict[str, dict[str, Any]] = yaml.safe_load(PIPELINE.read_text())["stages"]
VALUES: dict[str, Any] = yaml.safe_load(PARAMS.read_text())
NUMBERED = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
CHAPTERS = [name for name, stage in STAGES.items() if (NOTEBOOKS.glob(f"[0-9][0-9]_{name}.ipynb"))
            and list(NOTEBOOKS.glob(f"[0-9][0-9]_{name}.ipynb"))]  # fmt: skip
SLOW = [name for name in STAGES if name not in (*CHAPTERS, "book")]
GROUPS = [name for name, stage in STAGES.items() if "foreach" in stage]
TARGETS = [name for name in STAGES if name not in (*GROUPS, "book")] + [
    f"{name}@{key}" for name in GROUPS for key in VALUES[name]["runs"]
]


def names(entries: list[Any]) -> list[str]:
    """Paths of a list of dependencies or outputs, which may be mappings with options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def fields(name: str) -> dict[str, Any]:
    return STAGES[name].get("do", STAGES[name])


def source_of(path: Path) -> str:
    """Python source of a module, or of the code cells of a notebook."""
    if path.suffix == ".py":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def imported(path: Path) -> set[Path]:
    """Modules of the project that a module or notebook imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source_of(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {ROOT / "lib" / f"{name.replace('.', '/')}.py" for name in found}
    return {path for path in paths if path.exists()}


def rooms(notebook: Path) -> set[str]:
    """What of lib/ a notebook needs, directly or not: `lib/e3d`, and rooms of `lib/chapters`."""
    found: set[Path] = set()
    todo = imported(notebook)
    while todo:
        module = todo.pop()
        found.add(module)
        todo |= imported(module) - found
    parts = [module.relative_to(ROOT).parts for module in found]
    return {"/".join(p[:2] if p[1] == "e3d" else p[:3]) for p in parts}


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_depends_on_the_code_that_it_imports(name: str) -> None:
    listed = {d for d in names(STAGES[name]["deps"]) if d.startswith("lib/")}
    assert listed == rooms(pipeline.read_stage(name).notebook)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_depends_on_no_executed_notebook(name: str) -> None:
    assert not [d for d in names(STAGES[name]["deps"]) if d.startswith(("book/", "provenance/"))]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_executed_afresh_on_every_clone(name: str) -> None:
    stage = STAGES[name]
    outputs = [*stage["outs"], *stage.get("metrics", [])]
    assert all(next(iter(o.values())).get("cache") is False for o in outputs), "cached output"
    made = names(outputs)
    assert f"book/executed/{pipeline.read_stage(name).notebook.name}" in made
    assert f"provenance/{name}.json" in made


def test_every_chapter_is_a_stage_of_its_name() -> None:
    assert sorted(CHAPTERS) == sorted(path.stem[3:] for path in NUMBERED)


@pytest.mark.parametrize("name", [name for name in STAGES if name != "book"])
def test_a_stage_runs_itself(name: str) -> None:
    key = "@${key}" if name in GROUPS else ""
    assert fields(name)["cmd"] == f".venv/bin/e3d stage {name}{key}"
    assert f"provenance/{name}{key}.json" in names(fields(name)["outs"])


@pytest.mark.parametrize("target", TARGETS)
def test_values_have_the_names_and_types_of_the_notebook(target: str) -> None:
    stage = pipeline.read_stage(target)  # raises otherwise
    known = parameters.defaults(stage.notebook)
    assert stage.values["output_dir"]
    if "@" in target and "run" in known:
        assert stage.values["run"] == target.partition("@")[2]


def test_what_a_stage_reads_is_a_dependency() -> None:
    for target in TARGETS:
        stage = pipeline.read_stage(target)
        given = [v for value in stage.values.values()
                 for v in (value if isinstance(value, list) else [value])]  # fmt: skip
        read = [text for text in given if isinstance(text, str) and text.startswith(
            ("data/", "labels/")) and text != stage.values["output_dir"]]  # fmt: skip
        for text in read:
            assert any((ROOT / text).is_relative_to(path) for path in stage.inputs), (target, text)


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_a_notebook_opened_by_hand_has_the_values_of_the_pipeline(path: Path) -> None:
    known = parameters.defaults(path)
    given = pipeline.read_stage(path.stem[3:]).values
    assert {k: v for k, v in given.items() if k != "output_dir"}.items() <= {
        **known}.items() if not any(isinstance(v, list | dict) for v in given.values()) else all(
            known[k] == v for k, v in given.items() if k != "output_dir")  # fmt: skip
    assert known["output_dir"] == ""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing", "no stage 'nothing'"),
        ("entropi", "there are entropy"),
        ("study", "no run of study ''"),
        ("study@n10000", "no run of study 'n10000'; there are n1"),
        ("study@../../x", "no run of study"),
        ("emergence@/../../../x", "no group of runs"),
        ("book", "runs no notebook"),
    ],
)
def test_wrong_targets_are_one_line(target: str, said: str) -> None:
    with pytest.raises(E3DError, match=said) as caught:
        pipeline.read_stage(target)
    assert "\n" not in str(caught.value)


def test_the_run_says_only_how_it_differs_and_wins() -> None:
    stage = pipeline.read_stage("study@n1000-s1")
    assert stage.values["n_conformations"] == 1000
    assert stage.values["seed"] == 1
    assert stage.values["learning_rate"] == VALUES["recipe"]["learning_rate"]
    assert stage.values["output_dir"] == "checkpoints/study"
    assert ROOT / "labels" / "more.h5" in stage.inputs


def test_labelling_and_training_depend_on_as_little_as_possible() -> None:
    for name in SLOW:
        trains = "notebooks/make/train.ipynb" in names(fields(name)["deps"])
        modules = [d for d in names(fields(name)["deps"]) if d.startswith("lib/")]
        assert modules == (["lib/e3d/training"] if trains else []), name


def test_every_dependency_exists_or_is_made_by_a_stage() -> None:
    made = [o for name in STAGES for o in names(fields(name).get("outs", []))]
    made += [o for stage in STAGES.values() for o in names(stage.get("metrics", []))]
    for name in STAGES:
        for dependency in names(fields(name)["deps"]):
            if "${" not in dependency and not dependency.startswith("checkpoints/"):
                known = dependency in made or any(o.startswith(f"{dependency}/") for o in made)
                assert known or (ROOT / dependency).exists(), (name, dependency)


def test_the_book_depends_on_every_page() -> None:
    dependencies = names(STAGES["book"]["deps"])
    pages = [p for p in BOOK.iterdir() if p.name not in ("_build", "executed")]
    assert {f"book/{page.name}" for page in pages} <= set(dependencies)
    assert {"book/executed", "provenance"} <= set(dependencies)


def test_every_entry_of_the_parameters_is_used() -> None:
    used = {path.partition(".")[0] if path.count(".") == 0 else path
            for name in STAGES for path in fields(name).get("params", [])}  # fmt: skip
    for section, entry in VALUES.items():
        if section in used:
            continue
        for part in entry:
            path = f"{section}.{part}"
            assert path in used or f"{path}.${{key}}" in used, f"no stage uses {path}"


def test_no_label_simulation_or_training_stage_is_out_of_date() -> None:
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


def test_imports_point_downwards() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
