"""Work in a pool of processes, one thread each: in order, or resumable after an interruption."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TypeVar

from tqdm import tqdm

from e3d import files
from e3d.errors import E3DError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class WorkerDied(E3DError):
    """A process of the pool ended without a result; what was finished before is kept."""


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has under `taskset`."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def worker_pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of one-thread processes; on an error or Ctrl-C, what has not begun is dropped.

    Raises WorkerDied.
    """
    pool = ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=_start_worker
    )
    try:
        yield pool
    except BrokenProcessPool as error:
        raise WorkerDied(
            "a worker process died, perhaps for lack of memory; call again, with fewer workers: "
            "finished partial results are kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def map_ordered(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    unit: str = "it",
    n_workers: int | None = None,
    progress: bool = True,
) -> Iterator[_Result]:
    """Results of `function` for all items, in their order, computed in a pool of processes.

    At most two items per process are computed ahead of the result that is asked for, so that large
    results do not pile up. Function and items must be picklable.

    Raises WorkerDied, and whatever `function` raises.
    """
    n_workers = min(n_workers or available_cores(), max(len(items), 1))
    bar = tqdm(total=len(items), unit=unit, disable=not progress)
    with bar, worker_pool(n_workers) as pool:
        futures = (pool.submit(function, item) for item in items)
        ahead = deque(islice(futures, 2 * n_workers))
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(islice(futures, 1))
            bar.update()
            yield result


def map_resumable(
    function: Callable[[_Item, Path], None],
    items: Sequence[_Item],
    out: Path,
    assemble: Callable[[list[Path], Path], None],
    *,
    key: Callable[[_Item], str] = str,
    complete: bool = False,
    unit: str = "it",
    n_workers: int | None = None,
    renew_after: int = 0,
    progress: bool = True,
) -> list[tuple[_Item, str]]:
    """Compute all items in a pool of processes and write one file; an interrupted call resumes.

    `function(item, path)` writes the partial result of an item, or raises E3DError with the reason
    why there is none. Either is kept in the folder `<out>.parts` under the item's `key`, which must
    tell apart whatever the result depends on. When all items are done, `assemble(paths, new)`
    writes the output file from the partial results, in the order of the items, and the folder is
    removed.

    complete: every item is needed; when one fails, the others are kept and a later call tries the
    failed ones again. renew_after: items per process until it is replaced (0: never). `function`
    and items must be picklable.

    Returns the items left out, each with its reason. Raises E3DError when there is no item or two
    have the same key, when another process writes `out`, when `out` exists or appears before it is
    written, when no item (with `complete`: not every one) succeeds, and when a partial result has
    disappeared; WorkerDied; and WriteError when the disk is full.
    """
    tasks = _tasks(items, out, key)
    with files.locked(out):
        if out.exists():
            raise E3DError(f"{out} exists; labels are never overwritten: choose another name")
        _compute(function, tasks, unit, n_workers, renew_after, progress)
        return _finish(tasks, out, assemble, complete)


def _finish(
    tasks: Sequence[tuple[_Item, Path]],
    out: Path,
    assemble: Callable[[list[Path], Path], None],
    complete: bool,
) -> list[tuple[_Item, str]]:
    """Write the output from the partial results; the items left out with their reasons."""
    left_out = [(item, _recorded(path)) for item, path in tasks if not path.exists()]
    if len(left_out) == len(tasks) or (complete and left_out):
        for _, path in tasks:
            _reason(path).unlink(missing_ok=True)
        if len(left_out) == len(tasks):
            shutil.rmtree(_folder(out))
        raise E3DError(
            f"{len(left_out)} of {len(tasks)} items of {out} failed; first reason: {left_out[0][1]}"
        )
    with files.replacing(out, overwrite=False) as new:
        assemble([path for _, path in tasks if path.exists()], new)
    shutil.rmtree(_folder(out))
    return left_out


def partial_path(out: Path, key: str) -> Path:
    """Where the partial result with this key lies; named by a hash, because SMILES hold slashes."""
    return _folder(out) / hashlib.sha256(key.encode()).hexdigest()[:24]


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _reason(path: Path) -> Path:
    """The file that says why there is no partial result `path`."""
    return path.with_suffix(".reason")


def _recorded(path: Path) -> str:
    if not _reason(path).exists():
        raise E3DError(
            f"the partial result {path} has disappeared; was its folder changed? Nothing was "
            "written; call again to compute what is missing"
        )
    return _reason(path).read_text(encoding="utf-8")


def _tasks(
    items: Sequence[_Item], out: Path, key: Callable[[_Item], str]
) -> list[tuple[_Item, Path]]:
    """Each item with the path of its partial result."""
    if not items:
        raise E3DError(f"nothing to do for {out}: the list of items is empty")
    keys = [key(item) for item in items]
    if repeated := [name for name, count in Counter(keys).items() if count > 1]:
        raise E3DError(f"nothing done for {out}: {repeated[0]!r} is given twice")
    return [(item, partial_path(out, name)) for item, name in zip(items, keys, strict=True)]


def _compute(
    function: Callable[[_Item, Path], None],
    tasks: Sequence[tuple[_Item, Path]],
    unit: str,
    n_workers: int | None,
    renew_after: int,
    progress: bool,
) -> None:
    """Run the tasks that have neither a partial result nor a recorded reason yet."""
    todo = [task for task in tasks if not (task[1].exists() or _reason(task[1]).exists())]
    n_workers = n_workers or available_cores()
    size = n_workers * renew_after or max(len(todo), 1)
    bar = tqdm(total=len(tasks), initial=len(tasks) - len(todo), unit=unit, disable=not progress)
    with bar:
        for batch in (todo[k : k + size] for k in range(0, len(todo), size)):
            with worker_pool(min(n_workers, len(batch))) as pool:
                futures = [pool.submit(_write, function, item, path) for item, path in batch]
                for future in as_completed(futures):
                    future.result()
                    bar.update()


def _write(function: Callable[[_Item, Path], None], item: _Item, path: Path) -> None:
    """Write a partial result, or the reason why there is none."""
    try:
        with files.replacing(path) as new:
            function(item, new)
    except files.WriteError:
        raise  # a full disk is no property of the item
    except E3DError as error:
        with files.replacing(_reason(path)) as new:
            new.write_text(str(error), encoding="utf-8")


def _start_worker() -> None:
    """One thread, fastest for small molecules; set before tblite is imported. Ends with its parent:
    a killed call must not leave workers behind."""
    os.environ["OMP_NUM_THREADS"] = "1"
    Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
