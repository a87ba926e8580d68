"""Reading HDF5 that nobody vouches for: nothing outside the file, no text but UTF-8, no bombs.

What a file declares is looked at before its contents are read: HDF5 follows links and storage into
other files, and inflates a megabyte to gigabytes, without a word.
"""

from __future__ import annotations

import math
import stat
from pathlib import Path

import h5py
import numpy as np

from e3d.errors import E3DError, said

#: What h5py raises on reading a damaged file.
DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
#: A field may hold this many bytes whatever it takes in the file, and beyond them
#: `MAX_INFLATION` times what it takes there. Compressed coordinates shrink by a factor below two.
FREE_BYTES = 16 * 2**20
MAX_INFLATION = 100
#: Groups in groups that are followed; real files have molecules at the top or one level below.
MAX_DEPTH = 16
#: Bytes of an attribute that is read; the longest here, a provenance, has some hundred.
MAX_ATTRIBUTE = 2**20


def open_file(path: Path) -> h5py.File:
    """The file, opened for reading.

    Raises E3DError when it is missing, no regular file, being written, truncated or not HDF5.
    """
    if not path.exists():
        raise E3DError(f"data set {path} does not exist; `make pull` fetches the project's")
    if path.is_dir():
        raise E3DError(f"data set {path} is a folder; give the .h5 file in it")
    if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe waits for its other end
        raise E3DError(f"data set {path} is no regular file; give an HDF5 file on disk")
    try:
        return h5py.File(path, "r")
    except BlockingIOError as error:
        raise E3DError(f"data set {path} is being written; try again later") from error
    except DAMAGED as error:
        raise E3DError(
            f"data set {path} is truncated or not HDF5 ({said(error)}); download it again"
        ) from error


def names_in(group: h5py.Group) -> list[str]:
    """Names in a group; bytes that are not UTF-8 as surrogates, as Python does for files."""
    return [
        name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
        for name in group
    ]


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def has(group: h5py.Group, name: str) -> bool:
    """Whether a group has a link of this name, wherever that leads."""
    return bool(group.id.links.exists(_raw(name)))


def member(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """What a path below a group names, reached through the file's own (hard) links alone.

    Raises E3DError for a link of another kind, for one that is missing or broken, for what is
    neither a group nor a data set, and for a path of more than `MAX_DEPTH` groups.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) > MAX_DEPTH:
        raise E3DError(f"groups are nested more than {MAX_DEPTH} deep")
    found = group
    for part in parts:
        if not isinstance(found, h5py.Group) or not has(found, part):
            raise E3DError("is missing")
        if found.id.links.get_info(_raw(part)).type != h5py.h5l.TYPE_HARD:
            raise E3DError(
                "is a link that may lead out of the file; only what a data set itself holds is "
                "read: copy the target into it"
            )
        found = found[_raw(part)]
    if not isinstance(found, h5py.Group | h5py.Dataset):
        raise E3DError("is a named type, expected a group or an array")
    return found


def subgroups(group: h5py.Group | h5py.Dataset, known: frozenset[str]) -> list[str]:
    """Names in a group that may hold molecules: groups, and links whose target is not looked at.

    Those in `known` are passed over unseen.
    """
    if not isinstance(group, h5py.Group):
        return []
    names = [name for name in names_in(group) if name not in known]
    return [name for name in names if _may_be_group(group, _raw(name))]


def _may_be_group(group: h5py.Group, raw: bytes) -> bool:
    if group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
        return True
    return bool(h5py.h5o.get_info(group.id, raw).type == h5py.h5o.TYPE_GROUP)


def address(group: h5py.Group) -> int:
    """Where a group lies in its file: the same for every path that leads there."""
    return int(h5py.h5o.get_info(group.id).addr)


def require_contained(stored: h5py.Dataset) -> None:
    """Raise E3DError unless a data set's values lie in the file, in proportion to its size."""
    plan = stored.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise E3DError(
            "holds the values of other files (external or virtual storage), which are not read; "
            "copy them into this one"
        )
    chunk = plan.get_chunk() if plan.get_layout() == h5py.h5d.CHUNKED else ()
    n_bytes = max(math.prod(stored.shape or ()), math.prod(chunk)) * stored.dtype.itemsize
    in_file = stored.id.get_storage_size()
    if n_bytes > FREE_BYTES and n_bytes > MAX_INFLATION * in_file:
        raise E3DError(
            f"is declared to hold {n_bytes / 2**20:,.0f} MiB but takes {in_file / 2**20:,.1f} MiB "
            f"of the file; more than {MAX_INFLATION} times as much is not read"
        )


def text_of(stored: h5py.Dataset) -> str | None:
    """Text of a scalar or one-element string field; None where it is something else.

    Raises E3DError when it is not UTF-8, or not contained in the file.
    """
    require_contained(stored)
    if h5py.check_string_dtype(stored.dtype) is None or stored.size is None or stored.size > 1:
        return None
    values = np.ravel(stored[()])
    return _decoded(values[0]) if values.size else None


def text_attribute(holder: h5py.Group | h5py.Dataset, key: str) -> str | None:
    """An attribute as text: None where it is missing; numbers as Python writes them.

    Raises E3DError when it is not UTF-8, unreadable, or no single value.
    """
    try:
        if key not in holder.attrs:
            return None
        stored = holder.attrs.get_id(key)
        if stored.get_storage_size() > MAX_ATTRIBUTE or math.prod(stored.shape or ()) > 1:
            raise E3DError(f"attribute {key!r} is no single text or number; write it again")
        value = np.ravel(holder.attrs[key])
        if value.size != 1 or value.dtype.kind not in "OSUfiub":
            raise E3DError(f"attribute {key!r} is no single text or number; write it again")
        return _decoded(value[0])
    except UnicodeDecodeError as error:
        raise E3DError(f"attribute {key!r} is not UTF-8 ({error}); write it again") from error
    except DAMAGED as error:
        raise E3DError(
            f"attribute {key!r} is unreadable ({said(error)}); the file is damaged"
        ) from error


def _decoded(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise E3DError(
            f"text {value[:40]!r} is not UTF-8 ({error.reason}); write it again"
        ) from error
