"""Faults on purpose: processes killed at random moments, full disks, few handles, little memory.

`make faults` writes `results/faults.csv`, one row per command and fault: how often it was tried,
and how often what must hold held. After every fault nothing unfinished may stand under a final
name, no process may live on, and a rerun must end in the bytes of an undisturbed run.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
from tqdm import tqdm

from e3d import files
from e3d.paths import CHECKPOINTS, RESULTS

BIN = Path(sys.executable).parent
#: Kills per command in the full table.
KILLS = 13
#: Seconds within which everything that a killed process began must have ended.
PATIENCE = 20.0


@dataclass(frozen=True)
class Command:
    """A command and its output; both are run in a folder of their own.

    arguments: of the process; output: file or folder that it writes; same: what two equal runs have
    in common, by default all bytes.
    """

    arguments: tuple[str, ...]
    output: str
    same: Callable[[Path], object] = files.digest


def commands(folder: Path) -> dict[str, Command]:
    """The commands that are disturbed; their inputs are written into `folder`."""
    (folder / "molecules.smi").write_text("C\nO\n")
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell('output_dir = ""', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from pathlib import Path\nfor k in range(8):\n"
                                  "    (Path(output_dir) / f'{k}.csv').write_text('x\\n1\\n')"),
    ])  # fmt: skip
    nbformat.write(notebook, folder / "tiny.ipynb")
    pages = folder / "pages"
    pages.mkdir()
    (pages / "_toc.yml").write_text("format: jb-book\nroot: a\n")
    (pages / "_config.yml").write_text("title: a\nexecute: {execute_notebooks: 'off'}\n")
    (pages / "findings.yml").write_text("{}\n")
    (pages / "a.md").write_text("# A\n\nText.\n")
    (folder / "book.py").write_text(
        "from pathlib import Path\nfrom e3d.compendium.book import build\n"
        "p = Path('pages')\n[Path(n).mkdir(exist_ok=True) for n in ('executed', 'records')]\n"
        "build(p, Path('executed'), Path('records'), Path('records'), Path('made'))\n"
    )
    (folder / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: e3d label molecules.smi --method gfn2 --out a.h5\n"
        "    deps: [molecules.smi]\n    outs: [a.h5]\n"
    )
    model = str(CHECKPOINTS / "finetuned-s0")
    e3d = str(BIN / "e3d")
    return {
        "label": Command((e3d, "label", "molecules.smi", "--method", "gfn2", "--out", "label.h5"),
                         "label.h5"),
        "decompose": Command((e3d, "decompose", "set.h5", "--model", model, "--out", "sums.h5",
                              "--compile", "no"), "sums.h5"),
        "run": Command((e3d, "run", "tiny.ipynb", "--out", "run/tiny"), "run/tiny", tables),
        "book": Command((sys.executable, "book.py"), "made/_build/html", pages_of),
        "dvc repro": Command((str(BIN / "dvc"), "repro", "--quiet"), "a.h5"),
    }  # fmt: skip


def tables(folder: Path) -> object:
    """Contents of the tables of a run, whose record has a time."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def pages_of(folder: Path) -> object:
    """Names of the pages of a book that are complete."""
    return [path.name for path in sorted(folder.glob("*.html"))
            if path.read_text().rstrip().endswith("</html>")]  # fmt: skip


def start(
    command: Command, folder: Path, limit: Callable[[], None] | None = None
) -> subprocess.Popen:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    return subprocess.Popen(
        command.arguments, cwd=folder, env=environment, start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit,
    )  # fmt: skip


def living(session: int) -> list[int]:
    """Processes of a session that are not zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = entry.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(entry.parent.name))
    return found


def ended(session: int) -> bool:
    """Whether every process of a session ends by itself in time; what does not is ended."""
    begin = time.monotonic()
    while living(session) and time.monotonic() - begin < PATIENCE:
        time.sleep(0.1)
    left = living(session)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return not left


def prepared(folder: Path, inputs: Path) -> Path:
    """A fresh folder with the inputs of all commands."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(inputs, folder)
    return folder


def left_over(folder: Path, inputs: Path) -> list[str]:
    """Names of locks and unfinished files in a folder in which a command has run to its end."""
    known = {path.name for path in inputs.rglob("*")}
    return [path.name for path in folder.rglob("*") if path.name not in known
            and (path.suffix in {".lock", ".tmp", ".partial"} and path.name != "dvc.lock")
            and ".dvc" not in path.parts]  # fmt: skip


def finished(command: Command, folder: Path, inputs: Path, expected: object) -> dict[str, bool]:
    """What must hold after a rerun; one that finds a finished file may refuse to replace it."""
    output = folder / command.output
    complete = output.is_file() and command.same(output) == expected
    done = start(command, folder)
    done.communicate()
    return {
        "rerun succeeds": complete or done.returncode == 0,
        "same result": output.exists() and command.same(output) == expected,
        "nothing left over": not left_over(folder, inputs),
    }


def killed(
    command: Command, folder: Path, inputs: Path, expected: object, after_s: float
) -> dict[str, bool]:
    """SIGKILL after so many seconds, then a rerun."""
    process = start(command, prepared(folder, inputs))
    time.sleep(after_s)
    process.kill()
    process.communicate()
    alone = ended(process.pid)
    output = folder / command.output
    # a run writes its tables one by one into a folder of its own: each is whole or not there
    partial = output.is_dir() and command.same is tables
    whole = not output.exists() or partial or command.same(output) == expected
    return {"nothing half-written": whole, "no process left": alone,
            **finished(command, folder, inputs, expected)}  # fmt: skip


def limited(
    command: Command, folder: Path, inputs: Path, expected: object, which: int, amount: int
) -> dict[str, bool]:
    """One resource of the system is short, then a rerun without the limit."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(which, (amount, amount))

    process = start(command, prepared(folder, inputs), limit)
    said = process.communicate()[1]
    alone = ended(process.pid)
    refused = process.returncode != 0 and "Traceback" not in said
    unharmed = process.returncode == 0 or not (folder / command.output).is_file()
    return {"nothing half-written": unharmed,
            "no process left": alone, "said without traceback": process.returncode == 0 or refused,
            **finished(command, folder, inputs, expected)}  # fmt: skip


def twice(command: Command, folder: Path, inputs: Path, expected: object) -> dict[str, bool]:
    """Two at once into one output: one result, and whoever is refused is told in a line."""
    prepared(folder, inputs)
    both = [start(command, folder) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    told = all(code == 0 or "Traceback" not in text for code, text in zip(codes, said, strict=True))
    return {"nothing half-written": 0 in codes, "said without traceback": told,
            "no process left": all(ended(process.pid) for process in both),
            **finished(command, folder, inputs, expected)}  # fmt: skip


def trials(
    folder: Path, names: list[str], kills: int, seed: int, *, limits: bool
) -> Iterator[dict[str, object]]:
    """Rows, one per fault that was tried."""
    inputs, work = folder / "inputs", folder / "work"
    inputs.mkdir()
    known = commands(inputs)
    subprocess.run([BIN / "dvc", "init", "--no-scm", "--quiet"], cwd=inputs, check=True)
    subprocess.run((*known["label"].arguments[:-1], "set.h5"), cwd=inputs, check=True,
                   capture_output=True)  # fmt: skip
    generator = random.Random(seed)
    bar = tqdm(total=len(names) * (kills + 4 * limits), unit="fault")
    for name in names:
        command = known[name]
        prepared(work, inputs)
        begin = time.monotonic()
        undisturbed = start(command, work)
        said = undisturbed.communicate()[1]
        if undisturbed.returncode != 0:
            raise SystemExit(f"{name} fails undisturbed: {said.strip()}")
        seconds, expected = time.monotonic() - begin, command.same(work / command.output)
        tried: list[tuple[str, Callable[[], dict[str, bool]]]] = [
            ("killed", lambda c=command, e=expected, s=seconds:
             killed(c, work, inputs, e, generator.uniform(0.1, 1.0) * s))
        ] * kills  # fmt: skip
        if limits:
            shortages = {"full disk": (resource.RLIMIT_FSIZE, 4096),
                         "24 file handles": (resource.RLIMIT_NOFILE, 24),
                         "400 MB of memory": (resource.RLIMIT_AS, 400 * 2**20)}  # fmt: skip
            for fault, (which, amount) in shortages.items():
                tried.append((fault, lambda c=command, e=expected, w=which, a=amount:
                              limited(c, work, inputs, e, w, a)))  # fmt: skip
            tried.append(("two at once", lambda c=command, e=expected: twice(c, work, inputs, e)))
        for fault, trial in tried:
            yield {"command": name, "fault": fault, **trial()}
            bar.update()
    bar.close()


def summary(rows: list[dict[str, object]]) -> pd.DataFrame:
    """One row per command and fault: number of trials, and how many of them each thing held in."""
    table = pd.DataFrame(rows)
    held = [column for column in table if column not in ("command", "fault")]
    groups = table.groupby(["command", "fault"], sort=False)
    counts = groups[held].sum(min_count=1).astype("Int64")
    counts.insert(0, "trials", groups.size())
    return counts.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="per command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of commands")
    parser.add_argument("--out", type=Path, default=RESULTS / "faults.csv")
    options = parser.parse_args()
    names = options.only or ["label", "decompose", "run", "book", "dvc repro"]
    with tempfile.TemporaryDirectory() as name:
        rows = []
        for row in trials(Path(name), names, options.kills, options.seed, limits=True):
            rows.append(row)
            table = summary(rows)
            with files.replacing(options.out) as temporary:
                table.to_csv(temporary, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
