"""Does a checkout compute what an earlier one did, although its code has moved?

    .venv/bin/python bench/compare_layouts.py

compares with the last revision that had a flat lib/e3d, or with another one; with --train also the
weights after 60 steps of one training, which takes some minutes. Both sides run in processes of
their own: the nequip configurations of all runs, the conformations that each is trained on and the
order of its first batches, the molecules that labelling draws, GFN2-xTB energies of three
molecules, DFT energies of stored geometries, and the hashes of what DVC keeps. --training leaves
out what labelling makes. Needs `make pull`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from e3d.paths import ROOT

#: The last revision before the library became packages.
REVISION = "49a1f3f"
SMILES = ("CCO", "C=CC#N", "O[SiH2]C")
#: Where each side has what is compared.
PLACES = {
    "old": {
        "Settings": "e3d.configuration", "configuration": "e3d.configuration",
        "train": "e3d.training", "bulk_molecules": "e3d.enumeration",
        "draw_for_training": "e3d.enumeration", "parse_smiles": "e3d.molecule",
        "embed": "e3d.molecule", "relax": "e3d.quantum", "METHODS": "e3d.quantum",
        "read_molecules": "e3d.dataset",
    },
    "new": {
        "Settings": "e3d.training.settings", "configuration": "e3d.training.nequip",
        "train": "e3d.training.train", "bulk_molecules": "e3d.labels.enumeration",
        "draw_for_training": "e3d.labels.enumeration", "parse_smiles": "e3d.chemistry.bonding",
        "embed": "e3d.chemistry.bonding", "relax": "e3d.chemistry.xtb",
        "METHODS": "e3d.chemistry.levels", "read_molecules": "e3d.data.dataset",
    },
}  # fmt: skip
PROBE = Path(__file__).with_name("layout_probe.py")


def merged(params: dict[str, Any], *paths: str) -> dict[str, Any]:
    """Entries of params.yaml, later ones over earlier ones, without what is no setting."""
    values: dict[str, Any] = {}
    for path in paths:
        node: Any = params
        for part in path.split("."):
            node = node[part]
        values |= node
    return {key: value for key, value in values.items() if key != "output_dir"}


def runs_of(stages: dict[str, Any], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of every training run, by the name of its stage."""
    found = {}
    for name, stage in stages.items():
        body = stage.get("do", {})
        if not any("train.ipynb" in str(d) for d in body.get("deps", [])):
            continue
        for key in params[name]["runs"]:
            paths = [path.replace("${key}", key) for path in body["params"]]
            found[f"{name}@{key}"] = merged(params, *paths)
    return found


def probe(root: Path, side: str, task: dict[str, Any]) -> dict[str, Any]:
    """What one side computes, in a process that imports its library."""
    with tempfile.TemporaryDirectory() as folder:
        task = task | {"places": PLACES[side], "out": folder, "answer": f"{folder}/answer.json"}
        environment = os.environ | {"PYTHONPATH": str(root / "lib"), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, str(PROBE)], input=json.dumps(task), text=True,
                       cwd=root, env=environment, check=True)  # fmt: skip
        return json.loads(Path(task["answer"]).read_text())


def without_targets(node: Any) -> Any:
    """A configuration without the names of the project's own classes, which have moved."""
    if isinstance(node, dict):
        return {k: "own" if k == "_target_" and str(v).startswith("e3d.") else without_targets(v)
                for k, v in node.items()}  # fmt: skip
    if isinstance(node, list):
        return [without_targets(item) for item in node]
    return node.rpartition("/")[2] if isinstance(node, str) and "/" in node else node


def kept_hashes(lock: str) -> list[str]:
    """Hashes of all outputs of label, simulation and training stages in a dvc.lock."""
    stages = yaml.safe_load(lock)["stages"]
    return sorted(
        out["md5"] for stage in stages.values() for out in stage["outs"]
        if out["path"].startswith(("labels/", "simulations/", "checkpoints/"))
    )  # fmt: skip


def old_checkout(revision: str, folder: Path) -> Path:
    """The earlier revision, with the data of this checkout."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", revision], check=True,
                             capture_output=True).stdout  # fmt: skip
    with tarfile.open(fileobj=BytesIO(archive)) as content:
        content.extractall(folder, filter="data")
    for name in ("data", "labels", "checkpoints"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="compare weights after 60 steps too")
    parser.add_argument("--training", action="store_true", help="leave out what labelling makes")
    parser.add_argument("--data-of", action="append", metavar="RUN",
                        help="compare the conformations of these runs alone, STAGE@RUN; * and ? as "
                             "in a shell, repeat for several")  # fmt: skip
    parser.add_argument("--revision", default=REVISION, help=f"default: {REVISION}")
    wanted = parser.parse_args()
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    runs = runs_of(stages, params)
    short = merged(params, "train.defaults", "tune.defaults") | {"steps": 60, "compile": False}
    task = {"runs": runs, "smiles": SMILES, "train": short if wanted.train else None,
            "data": [run for run in runs
                     if any(fnmatch(run, pattern) for pattern in wanted.data_of or ["*"])],
            "labelling": not wanted.training}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        earlier = old_checkout(wanted.revision, Path(folder))
        layout = "new" if (earlier / "lib/e3d/training").is_dir() else "old"
        with ThreadPoolExecutor(2) as pool:
            old, new = pool.map(probe, (earlier, ROOT), (layout, "new"), (task, task))
        before = kept_hashes((earlier / "dvc.lock").read_text())
    after = kept_hashes((ROOT / "dvc.lock").read_text())
    checks = {
        f"configurations of {len(runs)} runs": without_targets(old["configurations"])
        == without_targets(new["configurations"]),
        f"conformations and batches of {len(task['data'])} runs": old["data"] == new["data"],
    }  # fmt: skip
    if not wanted.training:
        checks |= labelling_checks(old, new)
    checks[f"{len(before)} hashes of what DVC keeps"] = not set(before) - set(after)
    if wanted.train:
        checks["weights after 60 steps"] = old["weights"] == new["weights"]
    for name, same in checks.items():
        print(f"{'same' if same else 'DIFFERENT':10} {name}")
    sys.exit(not all(checks.values()))


def labelling_checks(old: dict[str, Any], new: dict[str, Any]) -> dict[str, bool]:
    """Whether both sides label alike."""
    return {
        "molecules drawn": (old["molecules"], old["drawn"]) == (new["molecules"], new["drawn"]),
        "GFN2-xTB energies": old["gfn2"] == new["gfn2"],
        "DFT energies of stored geometries": all(
            np.ptp([*old["dft"][name], *new["dft"][name]]) < 1e-6 for name in old["dft"]),
    }  # fmt: skip


if __name__ == "__main__":
    main()
