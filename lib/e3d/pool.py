"""Work in a pool of processes, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from tqdm.auto import tqdm

from e3d.errors import E3DError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has under `taskset`."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def worker_pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of one-thread processes; on an error or Ctrl-C, what has not begun is dropped."""
    pool = ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=_start_worker
    )
    try:
        yield pool
    except BrokenProcessPool as error:
        raise E3DError(
            "a worker process died, perhaps for lack of memory; call again, with fewer workers: "
            "finished pieces of labels are kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_parallel(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    unit: str = "it",
    n_workers: int | None = None,
    progress: bool = True,
) -> list[_Result]:
    """`function` of every item, in their order; both must be importable, as pickles are.

    Raises E3DError when a process dies, and what `function` raises.
    """
    with worker_pool(min(n_workers or available_cores(), max(len(items), 1))) as pool:
        results = pool.map(function, items)
        return list(tqdm(results, total=len(items), unit=unit, disable=not progress))


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
