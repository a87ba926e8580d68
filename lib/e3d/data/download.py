"""Downloading one large file: resumed after a break, verified, and never half under its name.

pooch verifies but does not resume: what has arrived is kept here as `<name>.part` beside the target
and continued by HTTP Range requests. One process downloads at a time.
"""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from e3d import files
from e3d.data.source import Source
from e3d.errors import E3DError

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT_S = (20, 60)
#: Attempts without a single new byte before giving up, and the first pause between them, in s,
#: which doubles.
ATTEMPTS, PAUSE_S = 6, 1.0
#: Bytes that are written at once, and at most lost when a connection breaks.
_BLOCK = 1 << 16
_GB = 1e9
#: Answers worth another attempt: the server is busy or restarting.
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class _Broken(Exception):
    """The connection broke; another attempt may get further."""


def download(source: Source, target: Path, *, progress: bool = True) -> Path:
    """Fetch a file unless it is there; a call after an interruption goes on where it stopped.

    Returns `target`, which exists only complete and with the right MD5. Progress, in bytes, on
    standard error.

    Raises E3DError when the server cannot be reached or offers another file, when the content is
    not what was published (it is then removed), and when another process downloads the same file;
    WriteError when the disk is full, checked before the first byte.
    """
    with files.locked(target):
        if target.exists():
            return _present(source, target)
        part = target.with_name(f"{target.name}.part")
        if part.exists() and part.stat().st_size > source.size:
            part.unlink()  # of another file
        _check_space(source, part)
        with tqdm(
            total=source.size, initial=_size(part), unit="B", unit_scale=True,
            desc=target.name, disable=not progress,
        ) as bar:  # fmt: skip
            _fetch(source, part, bar)
        _verify(source, part)
        files.publish(part, target, overwrite=False)
    return target


def _present(source: Source, target: Path) -> Path:
    """A file that is there already; its hash was verified when it came."""
    if target.stat().st_size != source.size:
        raise E3DError(
            f"{target} has {target.stat().st_size} bytes, expected {source.size} as in "
            f"{source.url}; move it away and call again"
        )
    return target


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check_space(source: Source, part: Path) -> None:
    needed, free = source.size - _size(part), shutil.disk_usage(part.parent).free
    if free < needed:
        raise files.WriteError(
            part.with_suffix(""),
            f"{needed / _GB:.1f} GB are still to come, {free / _GB:.1f} GB are free",
        )


def _fetch(source: Source, part: Path, bar: tqdm) -> None:
    """Append to `part` until it is complete, over as many connections as it takes."""
    failures = 0
    while (before := _size(part)) < source.size:
        try:
            _one_connection(source, part, bar)
        except _Broken as error:
            failures = failures + 1 if _size(part) <= before else 1
            if failures == ATTEMPTS:
                raise E3DError(
                    f"{source.url} cannot be downloaded: {error}; {_size(part)} of {source.size} "
                    f"bytes are kept in {part}: call again to go on"
                ) from error
            time.sleep(PAUSE_S * 2 ** (failures - 1))


def _one_connection(source: Source, part: Path, bar: tqdm) -> None:
    """Append what one connection brings. Raises _Broken when it ends early."""
    start = _size(part)
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {
        "Accept-Encoding": "identity"}  # fmt: skip
    try:
        with requests.get(source.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code in _BUSY:
                raise _Broken(f"the server answers {answer.status_code} {answer.reason}")
            start = _check_answer(source, answer, start)
            bar.n = start
            _append(source, part, start, answer, bar)
    except requests.RequestException as error:
        raise _Broken(str(error)) from error
    if _size(part) < source.size:
        raise _Broken(f"the connection ended after {_size(part)} bytes")


def _check_answer(source: Source, answer: requests.Response, start: int) -> int:
    """The byte that an answer begins with: 0 where the server does not serve ranges.

    Raises E3DError when the server refuses, or offers a file of another size.
    """
    if answer.status_code not in (200, 206):
        raise E3DError(
            f"{source.url} cannot be downloaded: the server answers {answer.status_code} "
            f"{answer.reason}; is the address still right?"
        )
    if answer.status_code == 200:
        start, offered = 0, answer.headers.get("Content-Length", "")
    else:
        first, _, offered = answer.headers.get("Content-Range", "").rpartition("/")
        if not first.startswith(f"bytes {start}-"):
            raise E3DError(
                f"{source.url}: asked for the bytes from {start} on, the server sends {first!r}; "
                "remove the .part file and call again"
            )
    if offered.isdigit() and int(offered) != source.size:
        raise E3DError(
            f"{source.url} is a file of {offered} bytes, expected {source.size}; it is not the "
            "published version"
        )
    return start


def _append(source: Source, part: Path, start: int, answer: requests.Response, bar: tqdm) -> None:
    try:
        with open(part, "r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            for block in answer.iter_content(_BLOCK):
                if file.tell() + len(block) > source.size:
                    raise E3DError(
                        f"{source.url} sends more than the expected {source.size} bytes; it is not "
                        "the published version"
                    )
                file.write(block)
                bar.update(len(block))
    except requests.RequestException:
        raise  # an OSError too, but of the network
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS):
            raise _Broken(str(error)) from error
        raise files.WriteError(
            part.with_suffix(""), f"{error.strerror}; what came is kept in {part.name}"
        ) from error


def _verify(source: Source, part: Path) -> None:
    """Raise E3DError, and remove the file, when its MD5 is not the published one."""
    found = pooch.file_hash(str(part), alg="md5")
    if found != source.md5:
        part.unlink()
        raise E3DError(
            f"{source.url}: the MD5 of what came is {found}, published is {source.md5}; it was "
            "removed, call again"
        )
