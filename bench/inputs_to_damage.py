"""Kinds of input for `fuzz.py`: sound ones, the damage, and the command that reads them."""

from __future__ import annotations

import ast
import gzip
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import damage
import nbformat
import numpy as np
from ase.build import molecule
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from rdkit import Chem
from watched import Outcome

from e3d.bde import ensemble  # noqa: F401  (imported once, before the calls are forked)
from e3d.chemistry.bonding import embed, parse_smiles
from e3d.cli import app
from e3d.compendium import execute, kernel, pipeline, provenance, rendering
from e3d.compendium.difference import page  # noqa: F401
from e3d.compendium.parameters import cells_without_id
from e3d.decomposition import report, zeros  # noqa: F401
from e3d.errors import E3DError
from e3d.models import allegro
from e3d.models.checkpoint import save_checkpoint

Call = Callable[[], object]
TYPES = ["H", "C", "N", "O"]
_SMILES = ("O", "CO", "C=O", "C#N", "[H][H]", "CC", "C1CO1", "N#N", "C[C@H](O)N", r"C/N=N/C",
           "C[N+](=O)[O-]", "[CH2-][N+]#N", "c1ccoc1", "OO")  # fmt: skip
_LETTERS = [
    *"CNOHFScnos()[]=#$123%09+-@/\\.:*~ ",
    "Cl",
    "Br",
    "[H]",
    "[Na+]",
    "@@",
    "%10",
    "é",
    "-2",
]


@dataclass(frozen=True)
class Case:
    """One input and its call. base: the sound input it was made of; about: what it is, for people.

    may_differ: whether another result can be right, because the input is valid and another one.
    forbidden: what its output must not contain.
    """

    call: Call
    base: str
    about: str
    may_differ: bool = True
    forbidden: Callable[[Outcome], bool] = lambda outcome: False


@dataclass(frozen=True)
class Kind:
    """A kind of input: how its sound ones are written, called, and damaged.

    says: beginnings of lines on standard error; refusals, successes: exit codes.
    """

    name: str
    prepare: Callable[[Path], None]
    sound: Callable[[Path, str], Call]
    case: Callable[[Path, int, np.random.Generator], Case]
    says: tuple[str, ...] = ("e3d: ",)
    refusals: frozenset[int] = field(default=frozenset({1}))
    successes: frozenset[int] = field(default=frozenset({0}))


def _command(*words: object) -> Call:
    return lambda: app([str(word) for word in words])


def _small_model(folder: Path) -> None:
    architecture = {
        "seed": 1, "model_dtype": "float32", "type_names": TYPES, "r_max": 4.0, "l_max": 1,
        "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 8.0, "per_type_energy_scales": dict.fromkeys(TYPES, 2.0),
        "per_type_energy_shifts": dict.fromkeys(TYPES, -1.0),
    }  # fmt: skip
    save_checkpoint(folder / "model", allegro.build(architecture), architecture, dataset={},
                    training={}, cost={}, history="step\n1\n")  # fmt: skip
    ase.io.write(folder / "water.xyz", molecule("H2O"))


def _bonds(folder: Path, text: object, model: Path | None = None, *options: object) -> Call:
    model = model or folder / "model"
    return _command("bonds", "--json", "--model", model, *options, "--", text)


def _broken_sum(outcome: Outcome) -> bool:
    """Whether a report is no JSON, or its energies do not add up."""
    try:
        found = json.loads(outcome.printed, parse_constant=float)
    except ValueError:
        return True
    reports = found if isinstance(found, list) else [found]
    return not all(abs(one["sum_rule_error_eV"]) < 1e-3 for one in reports)


def _checkpoint(folder: Path, k: int, rng: np.random.Generator) -> Case:
    """Weights and architecture are known by their hashes: any other result would be a wrong one."""
    copy = folder / "damaged" / "model"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "model", copy)
    name = ("weights.safetensors", "model.yaml")[k % 2]
    content = (copy / name).read_bytes()
    damaged = (
        damage.of_file(content, rng) if name == "model.yaml" else damage.of_bytes(content, rng)
    )
    (copy / name).write_bytes(damaged)
    return Case(_bonds(folder, folder / "water.xyz", copy), "", name, may_differ=False)


def _structure_files() -> dict[str, bytes]:
    """A small molecule in the formats that people have."""
    graph = parse_smiles("CO")
    conformer = Chem.Conformer(graph.GetNumAtoms())
    for k, place in enumerate(embed(graph, seed=0)):
        conformer.SetAtomPosition(k, place.tolist())
    graph.AddConformer(conformer)
    atoms = molecule("CH3OH")
    crystal = atoms.copy()
    crystal.set_cell([9.0, 9.0, 9.0])
    crystal.pbc = True

    def written(what: Any, kind: str) -> bytes:
        with io.StringIO() as stream:
            ase.io.write(stream, what, format=kind)
            return stream.getvalue().encode()

    cif = io.BytesIO()
    ase.io.write(cif, crystal, format="cif")
    block = Chem.MolToMolBlock(graph)
    return {
        "a.xyz": written(atoms, "xyz"), "two.xyz": written([atoms, atoms], "extxyz"),
        "crystal.extxyz": written(crystal, "extxyz"),
        "a.xyz.gz": gzip.compress(written(atoms, "xyz"), mtime=0),
        "a.pdb": Chem.MolToPDBBlock(graph).encode(), "a.cif": cif.getvalue(),
        "a.mol": block.encode(), "a.sdf": f"{block}$$$$\n{block}$$$$\n".encode(),
        "v3000.mol": Chem.MolToV3KMolBlock(graph).encode(), "POSCAR": written(crystal, "vasp"),
        "a.gen": written(atoms, "gen"), "a.traj.json": written(atoms, "json"),
        "list.smi": b"O water\nCO methanol\n",
    }  # fmt: skip


STRUCTURES = _structure_files()


def _structure(folder: Path, k: int, rng: np.random.Generator) -> Case:
    name = list(STRUCTURES)[k % len(STRUCTURES)]
    content = STRUCTURES[name]
    damaged = damage.of_bytes(content, rng) if name.endswith("gz") else damage.of_file(content, rng)
    (folder / "damaged").mkdir(exist_ok=True)
    path = folder / "damaged" / name
    path.write_bytes(damaged)
    return Case(_bonds(folder, path), name, name, forbidden=_broken_sum)


def _sound_structure(folder: Path, name: str) -> Call:
    (folder / name).write_bytes(STRUCTURES[name])
    return _bonds(folder, folder / name)


def _smiles(folder: Path, k: int, rng: np.random.Generator) -> Case:
    base = _SMILES[k % len(_SMILES)]
    letters = list(base)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        here = int(rng.integers(len(letters) + 1))
        new = str(rng.choice(damage.STRANGE if rng.integers(6) == 0 else _LETTERS))
        letters[here : here + int(rng.integers(2))] = [new][: int(rng.integers(5))]
    text = "".join(letters)
    return Case(_bonds(folder, text), base, ascii(text), forbidden=_broken_sum)


_NOTEBOOK = nbformat.v4.new_notebook(cells=[
    nbformat.v4.new_markdown_cell("# A"),
    nbformat.v4.new_code_cell(
        'output_dir = ""\nn = 3\nx = 0.5\nname = "a"\nflag = True\nmany = [1.0]\nwords = ["a"]\n'
        'table = {"a": 1}\nnothing = None',
        metadata={"tags": ["parameters"]},
    ),
])  # fmt: skip
_NAMES = ("n", "x", "name", "flag", "many", "words", "table", "nothing")
_VALUES = {"n": "4", "x": "1e-3", "name": "b", "flag": "no", "many": "1 2.5", "words": "[a, b]",
           "table": "{a: 2}", "nothing": "3"}  # fmt: skip
_PIPELINE = {
    "dvc.yaml": "stages:\n  one:\n    cmd: x\n    deps: [a.ipynb]\n    params: [one]\n"
    "    outs: [results/a.csv]\n  two:\n    foreach: ${two.runs}\n    do:\n      cmd: x\n"
    '      deps: [a.ipynb, "${item.name}"]\n      params: [two.defaults, "two.runs.${key}"]\n',
    "params.yaml": "one: {n: 3, x: 1}\ntwo:\n  defaults: {flag: true}\n"
    "  runs:\n    a: {n: 1, name: b}\n",
}


def _injected(notebook: Path, working: Path, values: dict[str, Any]) -> nbformat.NotebookNode:
    """In the place of an execution: the values that a kernel would see must be those given."""
    with cells_without_id():
        found = load_notebook_node(str(notebook))
    found = parameterize_notebook(found, values, kernel_name="python3", language="python")
    (source,) = [cell.source for cell in found.cells
                 if "injected-parameters" in cell.metadata.get("tags", [])]  # fmt: skip
    seen = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(source).body}  # type: ignore[attr-defined]
    print("as given" if seen == values else f"INJECTED: {seen}")
    working.write_text("")
    return found


def _run(folder: Path, notebook: Path, *assignments: str) -> Call:
    def call() -> None:
        kernel.executed = _injected
        rendering.write_page = lambda path: "page"  # type: ignore[assignment,return-value]
        execute.RUNS = folder / "runs"
        provenance.code_revision = lambda: ""
        shutil.rmtree(folder / "out", ignore_errors=True)
        words = [word for text in assignments for word in ("-p", text)]
        app(["run", str(notebook), *words, "--out", str(folder / "out")])

    return call


def _stage(root: Path, name: str) -> Call:
    def call() -> None:
        try:
            print(pipeline.read_stage(name, root))
        except E3DError as error:
            print(f"e3d: {error}", file=sys.stderr)
            raise SystemExit(1) from None

    return call


def _prepare_parameters(folder: Path) -> None:
    nbformat.write(_NOTEBOOK, folder / "a.ipynb")
    for name, text in _PIPELINE.items():
        (folder / name).write_text(text)


def _parameter(folder: Path, k: int, rng: np.random.Generator) -> Case:
    what = ("value", "notebook", "pipeline", "stage")[k % 4]
    there = folder / "damaged"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    _prepare_parameters(there)
    wrong: dict[str, Any] = {"forbidden": lambda outcome: "INJECTED" in outcome.printed}
    if what == "value":
        name = str(rng.choice(_NAMES))
        text = f"{name}={_VALUES[name]}"
        text = str(rng.choice(damage.STRANGE)) if k % 9 == 0 else damage.of_text(text, rng)
        text = text.replace("\0", "")  # which no shell can hand over
        return Case(_run(folder, folder / "a.ipynb", text), "value", ascii(text), **wrong)
    if what == "notebook":
        path = there / "a.ipynb"
        path.write_bytes(damage.of_file(path.read_bytes(), rng))
        return Case(_run(folder, path), "notebook", "a damaged notebook", **wrong)
    if what == "pipeline":
        path = there / str(rng.choice(list(_PIPELINE)))
        path.write_bytes(damage.of_file(path.read_bytes(), rng))
        name = str(rng.choice(["one", "two@a"]))
        return Case(_stage(there, name), name, f"{name} with a damaged {path.name}")
    name = damage.of_text(str(rng.choice(["one", "two@a"])), rng)
    return Case(_stage(there, name), "one", ascii(name))


def _sound_parameter(folder: Path, base: str) -> Call:
    if base in ("value", "notebook"):
        return _run(folder, folder / "a.ipynb")
    return _stage(folder, base)


def _prepare_tables(folder: Path) -> None:
    _small_model(folder)
    run = folder / "run"
    run.mkdir()
    (run / "t.csv").write_text("class,n,energy\nC-H,12,-4.5\nC-C,3,\nH-O,1,-5.25\n")
    (run / "m.json").write_text(json.dumps({"a.b": {"value": 1.5, "low": 1, "high": 2, "n": 3},
                                            "verdicts": {"x": "yes"}}))  # fmt: skip
    record = {"name": "a", "notebook": "a.ipynb", "parameters": {"n": 3}, "inputs": {"data/x": "0"},
              "code": "1", "requirements_lock_sha256": "2", "versions": {"torch": "2"},
              "python": "3", "machine": "m", "wall_time_s": 1.0}  # fmt: skip
    (run / "provenance.json").write_text(json.dumps(record))
    (folder / "zero.json").write_text(json.dumps({"H": -13.6, "C": -1030.0, "O": -2042.0}))


def _table(folder: Path, k: int, rng: np.random.Generator) -> Case:
    name = ("t.csv", "m.json", "provenance.json", "zero.json")[k % 4]
    if name == "zero.json":
        path = folder / "damaged.json"
        path.write_bytes(damage.of_file((folder / name).read_bytes(), rng))
        call = _bonds(folder, folder / "water.xyz", None, "--zero", path)
        return Case(call, "zero", name, forbidden=_broken_sum)
    copy = folder / "damaged" / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "run", copy)
    (copy / name).write_bytes(damage.of_file((copy / name).read_bytes(), rng))
    html = folder / "difference.html"
    html.unlink(missing_ok=True)
    call = _command("diff", folder / "run", copy, "--json", "--html", html)
    return Case(call, "run", name,
                forbidden=lambda outcome: "<script>alert" in html.read_text())  # fmt: skip


def _sound_table(folder: Path, base: str) -> Call:
    if base == "zero":
        return _bonds(folder, folder / "water.xyz", None, "--zero", folder / "zero.json")
    return _command("diff", folder / "run", folder / "run", "--json")


KINDS = {kind.name: kind for kind in (
    Kind("checkpoints", _small_model, lambda folder, _: _bonds(folder, folder / "water.xyz"),
         _checkpoint),
    Kind("structure files", _small_model, _sound_structure, _structure),
    Kind("SMILES", _small_model, _bonds, _smiles),
    Kind("parameters", _prepare_parameters, _sound_parameter, _parameter),
    Kind("tables", _prepare_tables, _sound_table, _table, says=("e3d: ", "wrote "),
         refusals=frozenset({1, 2}), successes=frozenset({0, 1})),
)}  # fmt: skip
