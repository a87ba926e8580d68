"""Long work on many items: in parallel, each finished item a file, so that a later call goes on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import TypeVar

from tqdm.auto import tqdm

from e3d import files
from e3d.errors import E3DError
from e3d.pool import available_cores, worker_pool

_Item = TypeVar("_Item")


def work_through(
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
