"""Faults on purpose: processes killed at random moments, full disks, few handles, little memory.

`make faults` writes `results/faults.csv`, one row per command and fault: how often it was tried,
and how often what must hold held. After every fault nothing unfinished may stand under a final
name, no process may live on, and a rerun must end in the bytes of an undisturbed run.

Every trial is kept in `runs/faults.jsonl` as soon as it is over: an interrupted call goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from disturbed import COMMANDS, Command, make_checkout
from tqdm import tqdm
from trials import CHECKS, SHORTAGES, Place, Unfit, killed, short, start, twice

from e3d import files
from e3d.paths import RESULTS, RUNS

#: Kills of each command in the full table.
KILLS = 10
Row = dict[str, Any]


def faults(
    name: str, kills: int, seed: int, *, others: bool
) -> Iterator[tuple[str, int, Callable[..., Row]]]:
    """Each fault of the command `name` with its number and its trial, in the order of the table.

    Every other kill is one of the process alone, whose children must then end by themselves; the
    rest end all at once, as a loss of power does.
    """
    for k in range(kills):
        share = random.Random(f"{seed}/{name}/{k}").uniform(0.05, 1.0)
        yield "killed", k, partial(killed, share=share, all_at_once=k % 2 == 1)
    if others:
        for shortage in SHORTAGES:
            yield shortage, 0, partial(short, shortage=shortage)
        yield "two at once", 0, twice


def trials(
    folder: Path, names: list[str], kills: int, seed: int, *, others: bool, known: list[Row]
) -> Iterator[Row]:
    """Rows of all trials of the commands that are not known yet, one after the other."""
    place = Place(folder / "checkout", folder / "work")
    make_checkout(place.checkout)
    done = {(row["command"], row["fault"], row["trial"]) for row in known}
    todo = {name: [fault for fault in faults(name, kills, seed, others=others)
                   if (name, *fault[:2]) not in done] for name in names}  # fmt: skip
    with tqdm(total=sum(map(len, todo.values())), unit="trial") as bar:
        for name in filter(todo.get, names):
            seconds, expected = _undisturbed(place, name, COMMANDS[name])
            for fault, number, trial in todo[name]:
                bar.set_postfix_str(f"{name}, {fault}")
                row: Row = {"command": name, "fault": fault, "trial": number}
                try:
                    yield row | trial(place, COMMANDS[name], expected, seconds=seconds)
                except Unfit as reason:
                    tqdm.write(f"{name}, {fault}: not tried, {reason}")
                bar.update()


def _undisturbed(place: Place, name: str, command: Command) -> tuple[float, dict[str, str]]:
    """Seconds that a command takes, and what it writes."""
    place.renew()
    begin = time.monotonic()
    process = start(command, place.work)
    said = process.communicate()[1]
    found = command.contents(place.work)
    if process.returncode != 0 or not found:
        raise SystemExit(f"{name} fails undisturbed: {said.strip()}")
    return time.monotonic() - begin, found


def summary(rows: list[Row]) -> pd.DataFrame:
    """One row per command and fault: number of trials, and how many of them each thing held in."""
    table = pd.DataFrame(rows, columns=["command", "fault", "trial", *CHECKS])
    groups = table.groupby(["command", "fault"], sort=False)
    counts = groups[list(CHECKS)].sum(min_count=1).astype("Int64")
    counts.insert(0, "trials", groups.size())
    return counts.reset_index()


def merged(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The new rows, and the old ones of other commands and faults; in the order of the commands."""
    both = pd.concat([new, old]).drop_duplicates(["command", "fault"])
    order = {name: k for k, name in enumerate(COMMANDS)}
    return both[both.command.isin(order)].sort_values("command", key=lambda c: c.map(order),
                                                      kind="stable")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS),
                        help="commands; rows of others stay")  # fmt: skip
    parser.add_argument("--log", type=Path, default=RUNS / "faults.jsonl",
                        help="where trials are kept, and known from")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS / "faults.csv")
    options = parser.parse_args()
    options.log.parent.mkdir(exist_ok=True)
    text = options.log.read_text() if options.log.exists() else ""
    rows = [row for row in map(json.loads, text.splitlines()) if row["seed"] == options.seed]
    old = pd.read_csv(options.out, dtype={c: "Int64" for c in ("trials", *CHECKS)}) \
        if options.out.exists() else pd.DataFrame()  # fmt: skip
    with files.locked(options.log), tempfile.TemporaryDirectory() as name:
        for row in trials(Path(name), options.only, options.kills, options.seed, others=True,
                          known=rows):  # fmt: skip
            rows.append(row | {"seed": options.seed})
            with open(options.log, "a") as log:
                log.write(json.dumps(rows[-1]) + "\n")
            with files.replacing(options.out) as temporary:
                merged(old, summary(rows)).to_csv(temporary, index=False)
        options.log.unlink(missing_ok=True)
    print(merged(old, summary(rows)).to_string(index=False))


if __name__ == "__main__":
    main()
