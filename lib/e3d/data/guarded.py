"""Checking a file that may be damaged in a process of its own, with a limit on time and memory.

On some damage the HDF5 library loops for ever, ends the process or asks for all memory; none of
that can be caught inside the process.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import RLock

from e3d.chemistry.killable import killable
from e3d.data.report import Report
from e3d.errors import E3DError, no_memory, out_of_memory

#: Seconds that reading one group may take; a molecule takes milliseconds.
PATIENCE = 60.0
#: Seconds within which the reading process must have imported its libraries; seconds suffice.
START_S = 120.0
#: Bytes of memory beyond those of the imported libraries; a molecule takes megabytes.
MEMORY = 4 * 2**30
#: Groups on which reading may end before the rest of the file is given up.
MAX_LOST = 5


def check_guarded(
    path: str | Path, *, progress: bool = False, patience: float = PATIENCE, memory: int = MEMORY
) -> Report:
    """`check_dataset` in a process of its own; groups on which it ends are problems of the report.

    patience: seconds of one group; memory: bytes in all. Raises E3DError when the file cannot be
    opened, and when reading ends on more than `MAX_LOST` groups.
    """
    lost: dict[str, str] = {}
    while len(lost) <= MAX_LOST:
        outcome = _attempt(Path(path), lost, progress, patience, memory)
        if isinstance(outcome, Report):
            for name, what in lost.items():
                outcome.problem(
                    name, f"{what} on reading it; the file is damaged, download it again"
                )
            return outcome
        where, what = outcome
        if where is None:
            raise E3DError(
                f"data set {path}: {what} on opening it; the file is damaged, download it again"
            )
        lost[where] = what
    raise E3DError(
        f"data set {path}: {'; '.join(f'{what} on {name!r}' for name, what in lost.items())}; the "
        "file is damaged, download it again"
    )


def require_opens(path: str | Path, *, patience: float = PATIENCE) -> None:
    """Raise E3DError when a file's groups and attributes cannot be read within `patience` seconds.

    Opening it in this process might never return.
    """
    try:
        killable(_listed, Path(path), seconds=patience)
    except TimeoutError:
        raise E3DError(
            f"data set {path}: HDF5 does not answer within {patience:g} s on opening it; the file "
            "is damaged, download it again"
        ) from None
    except RuntimeError as error:
        raise E3DError(
            f"data set {path}: HDF5 ended the process on opening it; the file is damaged, download "
            "it again"
        ) from error


def _listed(path: Path) -> int:
    from e3d.data.dataset import Dataset

    with Dataset(path) as dataset:
        with suppress(E3DError):  # said by whoever needs them
            dataset.attributes  # noqa: B018
        return len(dataset)


def _attempt(
    path: Path, without: Collection[str], progress: bool, patience: float, memory: int
) -> Report | tuple[str | None, str]:
    """The report, or the group on which the process ended (None: on opening) and how it did."""
    context = get_context("spawn")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(
        target=_check, args=(its, path, list(without), progress, patience, memory), daemon=True
    )
    process.start()
    its.close()
    name, ready = None, False
    try:
        while mine.poll(patience if ready else START_S):
            ready = True  # the libraries are imported
            kind, content = mine.recv()
            if kind == "report":
                return content
            if kind == "refused":
                raise E3DError(content)
            name = content
        if not ready:
            raise _not_started(path)
        return name, f"HDF5 does not answer within {patience:g} s"
    except EOFError:
        process.join()
        if not ready or (name is None and _is_short(memory)):
            raise _not_started(path) from None
        return name, f"HDF5 {_ending(process.exitcode or 0)}"
    finally:
        process.kill()
        process.join()


def _is_short(memory: int) -> bool:
    """Whether this shell allows less memory than reading may take: then that may be the cause."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return allowed != resource.RLIM_INFINITY and allowed < memory


def _not_started(path: Path) -> E3DError:
    return E3DError(f"the process that would check {path} did not start: {out_of_memory()}")


def _ending(code: int) -> str:
    if code >= 0:
        return "ended"
    if -code == signal.SIGXCPU:
        return "does not come to an end"
    return f"ended with {signal.Signals(-code).name}"


def _check(
    pipe: Connection,
    path: Path,
    without: Collection[str],
    progress: bool,
    patience: float,
    memory: int,
) -> None:
    """Check in the new process; says each group before it is read, and last the report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    try:
        from tqdm import tqdm

        from e3d.data.check import check_dataset
    except Exception as error:
        if no_memory(f"{type(error).__name__}: {error}"):
            os._exit(1)  # the parent says it
        raise

    tqdm.set_lock(RLock())  # its own outlives a process that is killed
    _limit(memory)
    pipe.send(("at", None))

    def tell(name: str) -> None:
        # the kernel ends an endless loop even when nobody is there any more to do it
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = int(time.process_time() + patience) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))
        pipe.send(("at", name))

    try:
        pipe.send(("report", check_dataset(path, progress=progress, without=without, tell=tell)))
    except BrokenPipeError:  # the parent was killed
        os._exit(1)
    except E3DError as error:
        pipe.send(("refused", str(error)))


def _limit(memory: int) -> None:
    """Bound the memory of this process, and let it leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not on Linux: without a limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
