"""One notebook in a kernel of this environment, and in a line what can go wrong with it."""

from __future__ import annotations

import errno
import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError
from zmq import ZMQError

from e3d.errors import E3DError, said
from e3d.paths import ROOT, shown

#: What mends an error of the system, by its number.
_MENDS: dict[int | None, str] = {
    errno.ENOSPC: "; free space and run it again",
    errno.EDQUOT: "; free space and run it again",
    errno.EMFILE: "; a run needs 256 open files: `ulimit -n 256`",
}
#: Open files that a run and its kernel need at most.
HANDLES = 256
#: Environment variables for the folders of Jupyter and IPython, which lie in HOME otherwise.
_OF_JUPYTER = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


def executed(notebook: Path, working: Path, values: dict[str, Any]) -> nbformat.NotebookNode:
    """The notebook, executed with these parameters in the root; `working` is its copy meanwhile.

    Raises E3DError when a cell raises, when the kernel dies or does not start, and when a disk is
    full; the unfinished copy then stays.
    """
    _enough_handles(notebook)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    # one thread: faster for small molecules, and sums come out the same on any number of cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it is said below, in one line
    with _failures_said(notebook, working), _folders_of_jupyter():
        return papermill.execute_notebook(
            notebook,
            working,
            values,
            kernel_name="python3",
            language="python",
            cwd=ROOT,
            coalesce_streams=True,
            extra_arguments=["--log-level=CRITICAL"],  # the kernel's own log is not the reader's
        )


def _enough_handles(notebook: Path) -> None:
    """Raise E3DError where a kernel could not open its sockets; it fails in odd ways then."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < HANDLES <= most or (allowed < HANDLES and most == resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (HANDLES, most))
    elif allowed < HANDLES:
        raise E3DError(
            f"{notebook.name} cannot be executed: this shell allows {allowed} open files, a run "
            f"needs {HANDLES}; raise the limit with `ulimit -n`"
        )


@contextmanager
def _failures_said(notebook: Path, working: Path) -> Iterator[None]:
    """Turn what goes wrong while a notebook is executed into an E3DError of one line."""
    try:
        yield
    except PapermillExecutionError as error:
        raise E3DError(_explain(notebook, error, working)) from None
    except DeadKernelError:
        raise E3DError(
            f"{notebook.name}: its process died, perhaps for lack of memory "
            f"(unfinished copy: {shown(working)})"
        ) from None
    except (nbformat.ValidationError, PapermillException) as error:
        raise E3DError(f"{notebook} cannot be executed: {said(error)}") from None
    except (OSError, ZMQError) as error:
        why = os.strerror(error.errno) if error.errno else said(error)
        raise E3DError(f"{notebook.name} cannot be executed: {why}{_MENDS.get(error.errno, '')}") \
            from None  # fmt: skip
    except (RuntimeError, MemoryError) as error:  # the kernel ended before it answered
        raise E3DError(
            f"{notebook.name}: its process could not be started: {said(error)}; is there memory "
            "left, and room in the temporary folder?"
        ) from None


@contextmanager
def _folders_of_jupyter() -> Iterator[None]:
    """Let a kernel keep its files, and its socket's key, in a folder that ends with it.

    Nothing of a user's own configuration enters a run, and HOME need not be writable.
    """
    kept = {name: os.environ.get(name) for name in _OF_JUPYTER}
    with tempfile.TemporaryDirectory(prefix="e3d-kernel-", ignore_cleanup_errors=True) as folder:
        os.environ |= dict.fromkeys(_OF_JUPYTER, folder)
        try:
            yield
        finally:
            for name, value in kept.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _explain(notebook: Path, error: PapermillExecutionError, copy: Path) -> str:
    """One line: which notebook, which cell, which exception, where the failing copy is."""
    hint = "; `make pull` fetches data, labels and checkpoints" \
        if error.ename == "FileNotFoundError" else ""  # fmt: skip
    message = " ".join(str(error.evalue).split())
    return (
        f"{notebook.name}, cell {error.exec_count}: {error.ename}: {message}{hint} "
        f"(failing copy: {shown(copy)})"
    )
