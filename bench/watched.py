"""A call in a process of its own: how it ends, and what it prints, whatever it does."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

#: Seconds of processor time, of any time, and bytes of memory beyond what is there, of one call.
PROCESSOR_S, PATIENCE_S, MEMORY = 30, 90.0, 3 * 2**30
_SHOWN = 1500


@dataclass(frozen=True)
class Outcome:
    """Exit code; standard output and error; and, if the call did not end as it should, how."""

    code: int
    printed: str
    errors: str
    why: str

    def shown(self) -> dict[str, object]:
        """Its ends, for people."""
        return {key: value[-_SHOWN:] if isinstance(value, str) else value
                for key, value in asdict(self).items()}  # fmt: skip


def called(function: Callable[[], object]) -> Outcome:
    """Call a function in a fork of this process. The libraries are imported here already."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        sys.stdout.flush()  # or the child would print it again
        child = os.fork()
        if child == 0:
            _call(function, printed, errors)
        code, why = _awaited(child)
        texts = [_text(stream) for stream in (printed, errors)]
    if "Traceback (most recent call last)" in texts[1]:
        why = why or "a traceback"
    if any(not (c.isprintable() or c == "\n") for c in texts[1]):
        why = why or "a control character"
    return Outcome(code, *texts, why)


def _call(function: Callable[[], object], printed: IO[bytes], errors: IO[bytes]) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(printed.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        sys.stdout, sys.stderr = (open(k, "w", closefd=False) for k in (1, 2))  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + PROCESSOR_S, used + PROCESSOR_S + 1))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        function()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _awaited(child: int) -> tuple[int, str]:
    """Exit code of a process, and how it ended otherwise: by a signal, or not at all."""
    descriptor = os.pidfd_open(child)
    try:
        ended = bool(select.select([descriptor], [], [], PATIENCE_S)[0])
    finally:
        os.close(descriptor)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not ended:
        return code, f"no end within {PATIENCE_S:g} s"
    return code, f"ended by {signal.Signals(-code).name}" if code < 0 else ""


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "backslashreplace")
