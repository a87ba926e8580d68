"""Trials of `faults.py`: a command is disturbed, and what must hold afterwards is looked at."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from disturbed import Command, environment, left_over

#: What must hold after a fault, in the order of the table; the third where the command could speak.
CHECKS = ("nothing half-written", "no process left", "said without traceback", "rerun succeeds",
          "same result", "nothing left over")  # fmt: skip
#: Seconds within which everything that a killed process began must have ended.
PATIENCE = 60.0
#: Resources of the system, and how little of them a command is given.
_LIMITS = {
    "full disk": (resource.RLIMIT_FSIZE, 4096),  # bytes in a file, so that none gets further
    "24 file handles": (resource.RLIMIT_NOFILE, 24),
    "400 MB of memory": (resource.RLIMIT_AS, 400 * 2**20),
}
READ_ONLY = "read-only folder"
SHORTAGES = (*_LIMITS, READ_ONLY)
#: Numbers of `prctl` and of the capabilities by which root may write and search anywhere.
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2
_marks = count()


class Unfit(Exception):
    """This system cannot be brought into the state that a trial needs."""


@dataclass(frozen=True)
class Place:
    """A checkout as it was made, and the folder in which a copy of it is worked in."""

    checkout: Path
    work: Path

    def renew(self) -> None:
        """Make the working copy anew; the files that nothing writes into are not copied."""
        for folder in (self.work, self.work.with_name(f"{self.work.name}-tmp")):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.checkout, self.work, copy_function=os.link)


Result = dict[str, bool | str]


def start(
    command: Command, root: Path, mark: str = "", limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command.arguments, cwd=root, env=environment(root, mark), start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, errors="replace", preexec_fn=limit,
    )  # fmt: skip


def killed(
    place: Place,
    command: Command,
    expected: dict[str, str],
    *,
    seconds: float,
    share: float,
    all_at_once: bool,
) -> Result:
    """SIGKILL after a share of the undisturbed time, then a rerun."""
    while True:
        place.renew()
        mark = _mark()
        process = start(command, place.work, mark)
        time.sleep(share * seconds)
        if process.poll() is None:
            break
        process.communicate()
        share *= 0.7  # it was faster this time
    process.kill()
    if all_at_once:
        for child in living(mark):
            os.kill(child, signal.SIGKILL)
    process.communicate()
    alone = ended(mark)
    return _looked_at(place, command, expected, {"no process left": alone})


def short(
    place: Place, command: Command, expected: dict[str, str], *, seconds: float, shortage: str
) -> Result:
    """A command with little of something, then a rerun with enough of it."""
    place.renew()
    mark = _mark()
    limit = _bound_by_permissions if shortage == READ_ONLY else _limit(*_LIMITS[shortage])
    if shortage == READ_ONLY:
        _require_permissions_to_bind()
        _permit(place.work, 0o555)
    process = start(command, place.work, mark, limit)
    try:
        said = process.communicate(timeout=20 * seconds + PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        said = "Traceback: it never ends"
    alone = ended(mark)
    if shortage == READ_ONLY:
        _permit(place.work, 0o755)
    told = process.returncode == 0 or (process.returncode > 0 and is_said(said))
    return _looked_at(place, command, expected,
                      {"no process left": alone, "said without traceback": told}, said)  # fmt: skip


def twice(place: Place, command: Command, expected: dict[str, str], *, seconds: float) -> Result:
    """Two at once into one output: one result, and whoever is refused is told in a line."""
    place.renew()
    mark = _mark()
    both = [start(command, place.work, mark) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    told = all(code == 0 or is_said(text) for code, text in zip(codes, said, strict=True))
    found = {"no process left": ended(mark), "said without traceback": told and 0 in codes}
    return _looked_at(place, command, expected, found, "\n".join(said))


def is_said(text: str) -> bool:
    """Whether a command that failed says why: some lines, none of them out of a traceback."""
    lines = [line for line in text.splitlines() if line.strip() and "%|" not in line]
    if not 0 < len(lines) <= 6 or "Traceback" in text:  # progress bars are no words
        return False
    return not re.match(r"(\w+\.)*\w+(Error|Exception): ", lines[0])


def _looked_at(
    place: Place, command: Command, expected: dict[str, str], held: Result, said: str = ""
) -> Result:
    """What holds after a fault, before and after a rerun; and what was said, if anything fails."""
    found = command.contents(place.work)
    partly = command.piecewise and found.items() <= expected.items()
    whole = not found or found == expected or partly
    rerun = start(command, place.work)
    refusal = rerun.communicate()[1]
    # a command that never overwrites may refuse to, where its result is complete
    succeeds = rerun.returncode == 0 or (found == expected and is_said(refusal))
    held = {"nothing half-written": whole, **held, "rerun succeeds": succeeds,
            "same result": command.contents(place.work) == expected}  # fmt: skip
    left = left_over(place.work)
    held["nothing left over"] = not left
    if not all(held.values()):
        held["about"] = f"{said[-2000:]}\n{refusal[-2000:]}\n{' '.join(left)}".strip()
    return held


def _mark() -> str:
    """A name that the processes of one trial have in their environment."""
    return f"{os.getpid()}-{next(_marks)}"


def living(mark: str) -> list[int]:
    """Processes that inherited a mark, whatever session they are in; zombies have none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"E3D_TRIAL={mark}".encode() in variables:
            found.append(int(entry.parent.name))
    return found


def ended(mark: str) -> bool:
    """Whether every process of a trial ends by itself in time; what does not is ended."""
    begin = time.monotonic()
    while living(mark) and time.monotonic() - begin < PATIENCE:
        time.sleep(0.1)
    left = living(mark)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return not left


def _limit(which: int, amount: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(which, (amount, amount))

    return limit


def _bound_by_permissions() -> None:
    """Let a process of root be refused what the permissions of a folder refuse everybody else."""
    library = ctypes.CDLL(None)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _require_permissions_to_bind() -> None:
    """Raise Unfit where a process may write into a folder that is read-only."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        made = subprocess.run(["touch", f"{folder}/x"], preexec_fn=_bound_by_permissions,
                              capture_output=True, check=False).returncode == 0  # fmt: skip
        os.chmod(folder, 0o755)
    if made:
        raise Unfit("a folder's permissions bind nobody here")


def _permit(root: Path, mode: int) -> None:
    """Set the permissions of a folder and of all folders in it."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(mode)
