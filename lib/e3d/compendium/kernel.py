"""One notebook in a kernel of this environment, and in a line what can go wrong with it."""

from __future__ import annotations

import errno
import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError
from zmq import ZMQError

from e3d.chemistry import killable
from e3d.compendium.parameters import cells_without_id
from e3d.errors import E3DError, no_memory, out_of_memory, said
from e3d.paths import ROOT, shown

#: What mends an error of the system, by its number.
_MENDS: dict[int | None, str] = {
    errno.ENOSPC: "; free space and run it again",
    errno.EDQUOT: "; free space and run it again",
    errno.EMFILE: "; a run needs 256 open files: `ulimit -n 256`",
}
#: Open files that a run and its kernel need at most.
HANDLES = 256
#: Bytes of address space below which no kernel starts reliably.
MEMORY = 1536 * 2**20
#: Where a kernel writes what it cannot say otherwise, because it is only starting or dying.
_ERRORS = "errors.txt"
#: Environment variables for the folders of Jupyter and IPython, which lie in HOME otherwise.
_OF_JUPYTER = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


class _Kernel(AsyncKernelManager):
    """A kernel that ends with its caller, and whose own standard error goes to a file.

    It would end by itself, too, but by a thread that a system short of memory may refuse.
    """

    async def start_kernel(self, **options: Any) -> Any:  # type: ignore[override]
        with open(Path(os.environ["JUPYTER_RUNTIME_DIR"], _ERRORS), "a") as errors:
            return await super().start_kernel(
                **options, stderr=errors, preexec_fn=killable.die_with_parent
            )


def executed(notebook: Path, working: Path, values: dict[str, Any]) -> nbformat.NotebookNode:
    """The notebook, executed with these parameters in the root; `working` is its copy meanwhile.

    Raises E3DError when a cell raises, when the kernel dies or does not start, and when a disk is
    full; the unfinished copy then stays.
    """
    _enough_handles(notebook)
    _enough_memory(notebook)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    # one thread: faster for small molecules, and sums come out the same on any number of cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it is said below, in one line
    with (
        _folders_of_jupyter() as folder,
        _failures_said(notebook, working, folder / _ERRORS),
        cells_without_id(),
    ):
        return papermill.execute_notebook(
            notebook,
            working,
            values,
            kernel_name="python3",
            language="python",
            cwd=ROOT,
            coalesce_streams=True,
            extra_arguments=["--log-level=CRITICAL"],  # the kernel's own log is not the reader's
            kernel_manager_class=_Kernel,
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


def _enough_memory(notebook: Path) -> None:
    """Raise E3DError where a kernel could not start its threads; it may wait for ever then."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < MEMORY:
        raise E3DError(
            f"{notebook.name} cannot be executed: this shell allows {allowed / 2**20:.0f} MB of "
            f"memory, a run needs {MEMORY / 2**20:.0f} MB at least; raise the limit, `ulimit -v`"
        )


@contextmanager
def _failures_said(notebook: Path, working: Path, errors: Path) -> Iterator[None]:
    """Turn what goes wrong while a notebook is executed into an E3DError of one line."""
    try:
        yield
    except PapermillExecutionError as error:
        raise E3DError(_explain(notebook, error, working)) from None
    except DeadKernelError:
        why = out_of_memory() if _lacked_memory(errors) else "perhaps for lack of memory"
        raise E3DError(
            f"{notebook.name}: its process died, {why} (unfinished copy: {shown(working)})"
        ) from None
    except (nbformat.ValidationError, PapermillException) as error:
        raise E3DError(f"{notebook} cannot be executed: {said(error)}") from None
    except (OSError, ZMQError) as error:
        why = os.strerror(error.errno) if error.errno else said(error)
        raise E3DError(f"{notebook.name} cannot be executed: {why}{_MENDS.get(error.errno, '')}") \
            from None  # fmt: skip
    except (RuntimeError, MemoryError) as error:  # the kernel ended before it answered
        why = "is there memory left, and room in the temporary folder?"
        raise E3DError(
            f"{notebook.name}: its process could not be started: {said(error)}; "
            f"{out_of_memory() if _lacked_memory(errors) else why}"
        ) from None


def _lacked_memory(errors: Path) -> bool:
    return errors.exists() and no_memory(errors.read_text(errors="replace"))


@contextmanager
def _folders_of_jupyter() -> Iterator[Path]:
    """Let a kernel keep its files, and its socket's key, in a folder that ends with it.

    Nothing of a user's own configuration enters a run, and HOME need not be writable.
    """
    kept = {name: os.environ.get(name) for name in _OF_JUPYTER}
    with tempfile.TemporaryDirectory(prefix="e3d-kernel-", ignore_cleanup_errors=True) as folder:
        os.environ |= dict.fromkeys(_OF_JUPYTER, folder)
        try:
            yield Path(folder)
        finally:
            for name, value in kept.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _explain(notebook: Path, error: PapermillExecutionError, copy: Path) -> str:
    """One line: which notebook, which cell, which exception, where the failing copy is."""
    hint = "; `make pull` fetches data, labels and checkpoints" \
        if error.ename == "FileNotFoundError" else ""  # fmt: skip
    message = " ".join(f"{error.ename}: {error.evalue}{hint}".split())
    if no_memory(message) or no_memory(_errors_of_cells(copy)):
        message = out_of_memory()
    return f"{notebook.name}, cell {error.exec_count}: {message} (failing copy: {shown(copy)})"


def _errors_of_cells(copy: Path) -> str:
    """What the cells of an executed copy wrote to stderr; empty where that cannot be read."""
    with suppress(Exception):
        cells = nbformat.read(copy, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        return "".join(str(o.get("text", "")) for o in outputs if o.get("name") == "stderr")
    return ""
