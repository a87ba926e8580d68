"""Processes to work in: a Dask cluster on this machine, or one that runs elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from e3d import files
from e3d.errors import E3DError, said

#: How often a task may lose its process before the call gives up: it may be the cause.
ALLOWED_FAILURES = 1
#: Seconds between looks at whether there still is a process to wait for.
PATIENCE = 60.0
#: Settings of Dask for its clusters here.
_CONFIG = {
    "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
    # an hour of call stacks in memory, which nobody looks at
    "distributed.worker.profile.enabled": False,
    # compiled code may keep a process from answering for long; that it has ended, its parent sees
    "distributed.scheduler.worker-ttl": None,
    "distributed.comm.timeouts.connect": "300s",
    "distributed.comm.timeouts.tcp": "300s",
    # Ctrl-C, which all processes of a terminal get, is for the caller
    "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
    # set in a worker before anything is imported: small molecules are fastest with one thread
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    },
}  # fmt: skip


class WorkerDied(E3DError):
    """Processes kept ending without a result; what was finished before is kept."""

    def __init__(self) -> None:
        super().__init__(
            "a worker process died, then another over the same task, perhaps for lack of memory; "
            "call again, with fewer workers: finished partial results are kept"
        )


def n_processes(client: Any) -> int:
    """Workers of a cluster, at least one: the first may be about to come."""
    return max(1, len(client.scheduler_info()["workers"]))


def wait_for(client: Any, futures: Collection[Any]) -> Iterable[Any]:
    """Those of some futures that are done, as soon as one is.

    Raises WorkerDied when a cluster here has no process left.
    """
    from distributed import wait

    deserted = False
    while True:
        try:
            return wait(futures, timeout=PATIENCE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            alone = client.cluster is not None and not client.scheduler_info()["workers"]
            if alone and deserted:
                raise WorkerDied from None
            deserted = alone


def result(future: Any) -> Any:
    """Result of a future that is done. Raises WorkerDied, and what its function raised."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise WorkerDied from error


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has under `taskset`."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def worker_name() -> str:
    """Name of the worker that this code runs in, a number on a cluster here; empty elsewhere."""
    from distributed import get_worker

    try:
        return str(get_worker().name)
    except ValueError:
        return ""


@contextmanager
def connected(n_workers: int, scheduler: str | None = None) -> Iterator[Any]:
    """A Dask client: of `n_workers` processes of one thread each here, or of a running scheduler.

    Processes here listen on the loopback interface alone, and encrypted: without that, everybody
    on a shared machine could run code as the caller. They end with the caller, however it ends.
    scheduler: an address, `tcp://HOST:PORT`, or the file that `dask scheduler --scheduler-file`
    wrote. Its workers must see the same files under the same paths.

    Raises E3DError when the scheduler does not answer, WriteError when there is no disk for the
    files of the processes.
    """
    if scheduler is not None:
        with _remote(scheduler) as client:
            yield client
        return
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    any_port = "127.0.0.1:0"  # the fixed one of a dashboard may be taken by another cluster
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="e3d-"))
        stack.enter_context(dask.config.set(_CONFIG))
        try:
            cluster = stack.enter_context(LocalCluster(
                n_workers=n_workers, threads_per_worker=1, host="127.0.0.1", memory_limit=0,
                security=Security.temporary(), dashboard_address=any_port,
                worker_dashboard_address=any_port, local_directory=folder,
                silence_logs=logging.CRITICAL,
            ))  # fmt: skip
        except (OSError, RuntimeError) as error:
            raise _no_cluster(folder, error) from error
        client = stack.enter_context(Client(cluster))
        stack.callback(_await_restarts, client, n_workers)
        if find_spec("bokeh"):
            print(f"dashboard: {cluster.dashboard_link}", file=sys.stderr)
        yield client


def _await_restarts(client: Any, n_workers: int) -> None:
    """Wait for processes that are just being started anew: Dask cannot close a cluster before."""
    with suppress(TimeoutError):
        client.wait_for_workers(n_workers, timeout=PATIENCE)


def _no_cluster(folder: str, error: BaseException) -> E3DError:
    """Why processes could not be started: the disk for their files, or what Dask says."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return files.WriteError(Path(folder), cause.strerror)
    return E3DError(
        f"worker processes could not be started ({said(error)}); is there memory for them? "
        "`--workers 1` needs the least"
    )


@contextmanager
def _remote(scheduler: str) -> Iterator[Any]:
    import dask
    from distributed import Client

    where = {"scheduler_file" if os.path.isfile(scheduler) else "address": scheduler}
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": "10s"}):
            client: Any = Client(**where)
    except (OSError, ValueError, TimeoutError) as error:
        cause = " ".join(str(error).split())
        raise E3DError(
            f"no Dask scheduler answers at {scheduler} ({cause}); expected tcp://HOST:PORT of a "
            "running `dask scheduler`, or its --scheduler-file"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            print(f"{scheduler} has no workers yet: waiting for the first", file=sys.stderr)
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        yield client
