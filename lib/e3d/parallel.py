"""Work in several processes, one thread each: in order, or resumable after an interruption."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from e3d import cluster, files
from e3d.cluster import available_cores
from e3d.errors import E3DError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
#: Tasks given to each process at a time: the next one is at hand when one is done.
AHEAD = 2


def map_ordered(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    unit: str = "it",
    n_workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Iterator[_Result]:
    """Results of `function` for all items, in their order, computed in several processes.

    They are `n_workers` processes here (default: one per core), or those of the Dask cluster at the
    address `scheduler`. A task whose process dies is given to another one. At most two items per
    process are computed ahead of the result that is asked for, so that large results do not pile
    up. Function and items must be picklable.

    Raises WorkerDied, and whatever `function` raises.
    """
    n_workers = min(n_workers or available_cores(), max(len(items), 1))
    bar = tqdm(total=len(items), unit=unit, disable=not progress)
    with bar, cluster.connected(n_workers, scheduler) as client:
        for result in in_order(client, function, items):
            bar.update()
            yield result


def in_order(
    client: Any, function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """`map_ordered` with the client of `cluster.connected`; items are asked for as they come up."""
    remaining = iter(items)
    ahead: deque[Any] = deque()
    while True:
        # fewer processes than before leave less than no room
        room = max(0, AHEAD * cluster.n_processes(client) - len(ahead))
        ahead.extend(client.submit(function, i, pure=False) for i in islice(remaining, room))
        if not ahead:
            return
        cluster.wait_for(client, [ahead[0]])
        yield cluster.result(ahead.popleft())


def as_they_end(
    client: Any, function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Results of all items in the order in which they are finished."""
    remaining = iter(items)
    running: set[Any] = set()
    while True:
        # fewer processes than before leave less than no room
        room = max(0, AHEAD * cluster.n_processes(client) - len(running))
        running |= {client.submit(function, i, pure=False) for i in islice(remaining, room)}
        if not running:
            return
        for future in cluster.wait_for(client, running):
            running.remove(future)
            yield cluster.result(future)


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
    scheduler: str | None = None,
    renew_after: int = 0,
    progress: bool = True,
) -> list[tuple[_Item, str]]:
    """Compute all items in several processes and write one file; an interrupted call resumes.

    `function(item, path)` writes the partial result of an item, or raises E3DError with the reason
    why there is none. Either is kept in the folder `<out>.parts` under the item's `key`, which must
    tell apart whatever the result depends on. When all items are done, `assemble(paths, new)`
    writes the output file from the partial results, in the order of the items, and the folder is
    removed.

    complete: every item is needed; when one fails, the others are kept and a later call tries the
    failed ones again. renew_after: items per process until it is replaced (0: never; processes of
    a scheduler are never). n_workers, scheduler: see `map_ordered`. `function` and items must be
    picklable.

    Returns the items left out, each with its reason. Raises E3DError when there is no item or two
    have the same key, when another process writes `out`, when `out` exists or appears before it is
    written, when no item (with `complete`: not every one) succeeds, and when a partial result has
    disappeared; WorkerDied; and WriteError when the disk is full.
    """
    # other machines may start in other folders
    tasks = _tasks(items, out if scheduler is None else out.resolve(), key)
    with files.locked(out):
        if out.exists():
            raise E3DError(f"{out} exists; labels are never overwritten: choose another name")
        todo = [task for task in tasks if not (task[1].exists() or _reason(task[1]).exists())]
        bar = tqdm(total=len(tasks), initial=len(tasks) - len(todo), unit=unit,
                   disable=not progress)  # fmt: skip
        with bar:
            for _ in _computed(function, todo, n_workers, scheduler, renew_after):
                bar.update()
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


def _computed(
    function: Callable[[_Item, Path], None],
    todo: Sequence[tuple[_Item, Path]],
    n_workers: int | None,
    scheduler: str | None,
    renew_after: int,
) -> Iterator[None]:
    """Compute tasks, in any order; yields when one is done."""
    n_workers = n_workers or available_cores()
    size = 0 if scheduler else n_workers * renew_after
    size = size or max(len(todo), 1)
    for batch in (todo[k : k + size] for k in range(0, len(todo), size)):
        with cluster.connected(min(n_workers, len(batch)), scheduler) as client:
            yield from as_they_end(client, partial(_write, function), batch)


def _write(function: Callable[[_Item, Path], None], task: tuple[_Item, Path]) -> None:
    """Write a partial result, or the reason why there is none."""
    item, path = task
    try:
        with files.replacing(path) as new:
            function(item, new)
    except files.WriteError:
        raise  # a full disk is no property of the item
    except E3DError as error:
        with files.replacing(_reason(path)) as new:
            new.write_text(str(error), encoding="utf-8")
