"""Damaged and hostile input by the thousand, through the commands that read it.

`make fuzz` writes `results/fuzzing.csv`, one row per kind of input: how many cases were refused in
a line, changed nothing, or were another valid input; the last column counts everything else: a
traceback, a crash, a hang, a wrong number. A case is made from its number and can be made again:
`python bench/fuzz.py --only checkpoints --first 17 --cases 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from inputs_to_damage import KINDS, Case, Kind
from tqdm import tqdm
from watched import Outcome, called

from e3d import files
from e3d.paths import RESULTS, ROOT

REFUSED, UNCHANGED, OTHER, FAULT = "refused in a line", "same result", "read as another", "faults"
COLUMNS = (REFUSED, UNCHANGED, OTHER, FAULT)
#: Cases of each kind.
CASES = 450
DATA_SETS = "data sets"
#: What the outcomes of `tests/data/fuzz.py` are called here.
_OF_DATA_SETS = {"refused": REFUSED, "ended": REFUSED, "harmless": UNCHANGED, "noted": OTHER,
                 "other numbers": OTHER, "bad": FAULT}  # fmt: skip


def judged(kind: Kind, case: Case, outcome: Outcome, sound: Outcome) -> str:
    """What became of a case, by what the command said and how it ended."""
    lines = outcome.errors.splitlines()
    if outcome.why or not all(line.startswith(kind.says) for line in lines):
        return FAULT
    if outcome.code in kind.refusals and any(line.startswith("e3d: ") for line in lines):
        return REFUSED
    if outcome.code not in kind.successes or case.forbidden(outcome):
        return FAULT
    if (outcome.code, outcome.printed) == (sound.code, sound.printed):
        return UNCHANGED
    return OTHER if case.may_differ else FAULT


def fuzzed(kind: Kind, folder: Path, first: int, count: int) -> Counter[str]:
    """Counts of the outcomes of some cases of a kind; faults are printed."""
    kind.prepare(folder)
    counts: Counter[str] = Counter()
    known: dict[str, Outcome] = {}
    for k in tqdm(range(first, first + count), desc=kind.name, unit="case"):
        case = kind.case(folder, k, np.random.default_rng([21, k]))
        if case.base not in known:
            known[case.base] = called(kind.sound(folder, case.base))
            if known[case.base].code not in kind.successes or known[case.base].errors:
                raise SystemExit(f"{kind.name}: the sound input fails: {known[case.base]}")
        outcome = called(case.call)
        verdict = judged(kind, case, outcome, known[case.base])
        counts[verdict] += 1
        if verdict == FAULT:
            tqdm.write(json.dumps({"kind": kind.name, "case": k, "input": case.about,
                                   **outcome.shown()}, ensure_ascii=False))  # fmt: skip
    return counts


def data_sets(first: int, count: int) -> Counter[str]:
    """The same of data sets, whose cases the tests have."""
    done = subprocess.run(
        [sys.executable, "tests/data/fuzz.py", str(first), str(count)], cwd=ROOT, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    *bad, counts = done.stdout.splitlines()
    for line in bad:
        print(line)
    found: Counter[str] = Counter()
    for name, n in json.loads(counts).items():
        found[_OF_DATA_SETS[name]] += n
    return found


def main() -> None:
    names = [DATA_SETS, *KINDS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--cases", type=int, default=CASES, help="of each kind")
    parser.add_argument("--out", type=Path, help="table; default: none for a part of the cases")
    options = parser.parse_args()
    whole = options.first == 0 and options.cases == CASES
    out = options.out or (RESULTS / "fuzzing.csv" if whole else None)
    rows = {}
    if out and out.exists():
        rows = pd.read_csv(out).set_index("input").to_dict("index")
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            counts = data_sets(options.first, options.cases) if name == DATA_SETS \
                else fuzzed(KINDS[name], Path(folder), options.first, options.cases)  # fmt: skip
        rows[name] = {"cases": counts.total(), **{column: counts[column] for column in COLUMNS}}
        table = pd.DataFrame([{"input": n, **rows[n]} for n in names if n in rows])
        if out:
            with files.replacing(out) as temporary:
                table.to_csv(temporary, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
