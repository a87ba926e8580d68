"""How fast and how lean is it? Every number is a ratio, so that it means something elsewhere too.

Both sides of a ratio run in turn, in one thread, and each repeat gives one ratio. Every row is
recorded as soon as it is measured, and an interrupted call goes on with the rows that are missing.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in what is started here

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from inputs import QUICK, Bench, Size
from rows import ROWS, SCALINGS
from tqdm import tqdm

from e3d.compendium import provenance
from e3d.paths import ROOT

RESULTS = ROOT / "bench" / "results.json"
#: What rows are to reach.
AIMS = {
    "decompose_over_bare_forward": "≤ 1.05", "decompose_over_bare_forward_31_atoms": "≤ 1.05",
    "ase_loop_over_decompose": "≥ 10", "ase_loop_over_decompose_31_atoms": "≥ 10",
    "eager_over_compiled": "≥ 2", "eager_over_compiled_31_atoms": "≥ 2",
    "rss_200k_over_20k": "≤ 1.1", "rss_200k_over_20k_tiny": "≤ 1.1",
    "one_worker_over_two": "≥ 1.8", "training_over_nequip_train": "≤ 1.03",
    "bonds_over_import": "≤ 1.2", "bonds_of_ibuprofen_over_import": "≤ 1.6",
    "further_molecule_over_import": "≤ 0.08",
}  # fmt: skip


def spread(ratios: Sequence[float]) -> dict[str, Any]:
    """Median and range of the repeats, to three digits."""
    low, median, high = (float(f"{v:.3g}") for v in np.quantile(ratios, [0, 0.5, 1]))
    return {"median": median, "low": low, "high": high, "repeats": len(ratios)}


def measured(benchmark: Callable[[Bench], Any], bench: Bench) -> dict[str, Any]:
    """A row of the table: what was measured, and on what."""
    found = list(benchmark(bench))
    if isinstance(found[0], dict):
        sizes = {str(size): spread([each[size] for each in found]) for size in found[0]}
        row: dict[str, Any] = {"sizes": sizes}
    else:
        row = spread(found)
    about = {"what": " ".join((benchmark.__doc__ or "").split()),
             "aim": AIMS.get(benchmark.__name__)}  # fmt: skip
    return row | about | circumstances()


def circumstances() -> dict[str, Any]:
    """Where and with what a row was measured."""
    packages = ("torch", "nequip", "nequip-allegro", "tblite")
    return {
        "machine": provenance.machine(),
        "load_average": round(os.getloadavg()[0], 1),
        "code": provenance.code_revision(),
        "versions": {package: version(package) for package in packages},
    }


def table(results: dict[str, Any]) -> str:
    """All rows, for a terminal."""
    lines = [f"{'':38} {'median':>8} {'low':>8} {'high':>8} repeats"]
    for name, row in results.items():
        if not isinstance(row, dict):
            continue
        for size, values in row.get("sizes", {"": row}).items():
            label = f"{name} {size}".strip()
            lines.append(f"{label:38} {values['median']:8.3g} {values['low']:8.3g} "
                         f"{values['high']:8.3g} {values['repeats']:7d}")  # fmt: skip
        lines.append(f"    {row['what']}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = {benchmark.__name__: benchmark for benchmark in (*ROWS, *SCALINGS)}
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, once: does it run? Recorded with --out"
    )
    names = ", ".join(every)
    parser.add_argument("--only", action="append", choices=list(every), metavar="NAME",
                        help=f"measure this row anew; repeat for several: {names}")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="measure recorded rows anew, too")
    parser.add_argument("--out", type=Path, help=f"JSON. Default: {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    out = options.out or (None if options.quick else RESULTS)
    results: dict[str, Any] = json.loads(out.read_text()) if out and out.exists() else {}
    chosen = [
        name
        for name in options.only or every
        if options.only or options.again or name not in results
    ]
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(chosen), unit="row") as bar:
        bench = Bench(QUICK if options.quick else Size(), Path(folder))
        for name in chosen:
            bar.set_description(name)
            results[name] = measured(every[name], bench)
            results["machine"] = provenance.machine()
            if out is not None:
                provenance.write(out, results)
            bar.update()
    print(table(results))
    print(f"\n{provenance.machine()}" + (f"\n{out}" if out else ""))


if __name__ == "__main__":
    main()
