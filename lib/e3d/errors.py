"""The one error that users see: a single line that says what, where, why and how to mend it."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator


class E3DError(Exception):
    """Bad input or state. The command line prints its message without a traceback.

    What a file contains may be quoted in it: of that, nothing moves a terminal's cursor.
    """

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


def printable(text: str | bytes) -> str:
    """Text that cannot move a terminal's cursor: what is not printable as an escape."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def said(error: BaseException) -> str:
    """The message of an exception on one line; its kind where it has none."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return printable(" ".join(str(text).split())) or type(error).__name__


#: What libraries say when the system refuses memory, or a thread for want of it.
_NO_MEMORY = re.compile(
    r"failed to map segment|annot allocate memory|can't allocate|not enough memory|bad_alloc|"
    r"can't start new thread|[Mm]emory allocation|MemoryError"
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HANDLES = (errno.EMFILE, errno.ENFILE)
_PERMISSION = (errno.EACCES, errno.EROFS, errno.EPERM)


def shortage(error: BaseException) -> str | None:
    """In one line what the system was short of, and what mends it; None for any other error.

    What an error came from counts too: a library that finds no room is reported in many words.
    """
    for cause in _causes(error):
        number = cause.errno if isinstance(cause, OSError) else None
        where = f": {cause.filename}" if isinstance(cause, OSError) and cause.filename else ""
        if number in _DISK:
            return f"the disk is full ({os.strerror(number)}{where}); free space and call again"
        if number in _HANDLES:
            return (
                f"too few open files: this shell allows {_limit(resource.RLIMIT_NOFILE)}; raise "
                "the limit with `ulimit -n 1024`"
            )
        if number in _PERMISSION:
            return (
                f"no permission ({os.strerror(number)}{where}); choose a place that you may write"
            )
        if isinstance(cause, MemoryError) or number == errno.ENOMEM or no_memory(str(cause)):
            return out_of_memory()
    return None


def no_memory(text: str) -> bool:
    """Whether the words of an error are those for a lack of memory."""
    return _NO_MEMORY.search(text) is not None


def out_of_memory() -> str:
    """What to say and to do where memory does not suffice."""
    allowed = _limit(resource.RLIMIT_AS)
    shell = "" if allowed is None else f": this shell allows {allowed / 2**20:.0f} MB (`ulimit -v`)"
    return f"too little memory{shell}; give more, close other programs, or use fewer --workers"


def _limit(which: int) -> int | None:
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
