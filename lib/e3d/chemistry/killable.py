"""Calls of compiled code that does not listen: in a child process that can be stopped.

RDKit installs a handler of its own for Ctrl-C while it embeds or assigns bond orders, swallows the
signal, and returns a failure or a wrong result. A child in its own session never sees the signal,
while Python, which waits for it, does.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

_Result = TypeVar("_Result")
_PR_SET_PDEATHSIG = 1


def killable(
    function: Callable[..., _Result], *arguments: Any, seconds: float | int | None = None
) -> _Result:
    """`function(*arguments)`, in a child process that Ctrl-C and the time limit end at once.

    The result, or the exception raised, must be picklable. seconds: None for no limit. Where a
    process cannot be forked the call is made here, and neither stops it.

    Raises TimeoutError; RuntimeError when the child dies; whatever `function` raises.
    """
    if not hasattr(os, "fork"):
        return function(*arguments)
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns of threads, of which the child uses none
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, function, arguments)
    os.close(writing)
    try:
        answer = _read(reading, None if seconds is None else time.monotonic() + seconds)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer:
        raise RuntimeError(f"the process of {function.__name__} died; was its memory exhausted?")
    succeeded, value = pickle.loads(answer)
    if not succeeded:
        raise value
    return value


def die_with_parent() -> None:
    """Let this process not outlive the one that started it, however that ends; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(writing: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> NoReturn:
    """In the child: write whether the call succeeded, with its result or its exception, and end."""
    try:
        os.setsid()  # Ctrl-C of a terminal goes to the parent's group alone
        die_with_parent()
        try:
            answer = pickle.dumps((True, function(*arguments)))
        except Exception as error:
            answer = pickle.dumps((False, error))
        with os.fdopen(writing, "wb") as stream:
            stream.write(answer)
    finally:
        os._exit(0)


def _read(descriptor: int, deadline: float | None) -> bytes:
    """Everything that comes, until the other end closes. Raises TimeoutError after the deadline."""
    chunks: list[bytes] = []
    while True:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], remaining)[0]:
            raise TimeoutError
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
