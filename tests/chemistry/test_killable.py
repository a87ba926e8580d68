"""Calls in a child process: results, errors, time limits and Ctrl-C."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from e3d.chemistry.killable import killable
from e3d.errors import E3DError


def test_the_result_comes_back_whole() -> None:
    values = np.arange(300_000.0)
    np.testing.assert_array_equal(killable(np.square, values), values**2)


def test_an_exception_comes_back() -> None:
    def fail() -> None:
        raise E3DError("reason")

    with pytest.raises(E3DError, match="reason"):
        killable(fail)


def test_it_ends_at_its_time_limit() -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        killable(time.sleep, 60, seconds=0.1)
    assert time.monotonic() - start < 20


def test_a_child_that_dies_is_no_result() -> None:
    with pytest.raises(RuntimeError, match="died"):
        killable(os._exit, 3)


def test_an_interrupt_ends_the_call_though_the_function_ignores_it(tmp_path) -> None:
    """As RDKit does, which has a handler of its own."""
    pid = tmp_path / "pid"

    def deaf() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        pid.write_text(str(os.getpid()))
        time.sleep(60)

    def interrupt() -> None:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        killable(deaf)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
