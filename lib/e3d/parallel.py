"""Work in a pool of processes, one thread each."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TypeVar

from tqdm.auto import tqdm

from e3d import files
from e3d.errors import E3DError

_Item = TypeVar("_Item")


def map_resumable(
    function: Callable[[_Item, Path], None],
    items: Sequence[_Item],
    out: Path,
    *,
    key: Callable[[_Item], str] = str,
    unit: str = "it",
    n_workers: int | None = None,
    renew_after: int = 0,
    progress: bool = True,
) -> tuple[dict[str, Path], dict[str, str]]:
    """Call `function(item, piece)` for every item without a piece yet; it writes the file `piece`.

    Pieces lie in the folder `<out>.parts`, one for each `key`. Returns the pieces, and the items
    that raised E3DError with the reason, both by key and in the order of the items. A reason is not
    kept: a later call tries again. `function` must be importable, as pickles are. renew_after:
    items per process until it is replaced; 0: never. Raises E3DError when `out` exists, when there
    is no item, or when all of them fail.
    """
    if out.exists():
        raise E3DError(f"{out} exists; labels are never overwritten: choose another name")
    if not items:
        raise E3DError(f"nothing to do for {out}: the list of items is empty")
    pieces = {key(item): piece_of(out, key(item)) for item in items}
    _folder(out).mkdir(parents=True, exist_ok=True)
    todo = [item for item in items if not pieces[key(item)].exists()]
    failed: dict[str, str] = {}
    n_workers = n_workers or available_cores()
    size = n_workers * renew_after or max(len(todo), 1)
    bar = tqdm(total=len(items), initial=len(items) - len(todo), unit=unit, disable=not progress)
    with bar:
        for batch in (todo[k : k + size] for k in range(0, len(todo), size)):
            with worker_pool(min(n_workers, len(batch))) as pool:
                futures = {
                    pool.submit(_write, function, item, pieces[key(item)]): item for item in batch
                }
                for future in as_completed(futures):
                    try:
                        future.result()
                    except E3DError as error:
                        failed[key(futures[future])] = str(error)
                    bar.update()
    found = {name: piece for name, piece in pieces.items() if piece.exists()}
    if not found:
        raise E3DError(f"no item of {out} succeeded; first reason: {next(iter(failed.values()))}")
    return found, {name: failed[name] for name in pieces if name in failed}


def piece_of(out: Path, key: str) -> Path:
    """Where the finished item of this key lies; its name is a hash, because SMILES hold slashes."""
    return _folder(out) / hashlib.sha256(key.encode()).hexdigest()[:24]


def discard(out: Path) -> None:
    """Remove the pieces of `out`, once it is written."""
    shutil.rmtree(_folder(out))


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _write(function: Callable[[_Item, Path], None], item: _Item, piece: Path) -> None:
    with files.replacing(piece) as temporary:
        function(item, temporary)


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
