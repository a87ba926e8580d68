"""Work in parallel: in order, resumable after a kill, one process at a time, no result lost."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import psutil
import pytest
import workers
from distributed import LocalCluster

from e3d import cluster, files, parallel
from e3d.cluster import WorkerDied
from e3d.errors import E3DError
from e3d.parallel import map_ordered, map_resumable, partial_path


def test_results_are_in_the_order_of_the_items():
    numbers = list(range(7))
    found = map_ordered(math.factorial, numbers, n_workers=2, progress=False)
    assert list(found) == [math.factorial(n) for n in numbers]
    assert list(map_ordered(math.factorial, [], progress=False)) == []


def test_an_error_of_one_item_is_raised():
    with pytest.raises(ValueError, match="negative"):
        list(map_ordered(math.factorial, [3, -1, 4], n_workers=2, progress=False))


def test_a_process_that_dies_is_told():
    with pytest.raises(WorkerDied, match="worker process died"):
        list(map_ordered(os._exit, [3], n_workers=1, progress=False))


def test_a_killed_process_costs_one_task_and_no_result(tmp_path: Path) -> None:
    items = ["1", f"DIE:{tmp_path / 'died'}", "2", "3"]
    assert list(map_ordered(workers.number, items, n_workers=1, progress=False)) == [1, 0, 2, 3]
    assert (tmp_path / "died").exists()


def test_processes_listen_on_the_loopback_interface_alone_and_encrypted() -> None:
    with cluster.connected(1) as client:
        addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
        ports = [c for p in [psutil.Process(), *psutil.Process().children(recursive=True)]
                 for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]  # fmt: skip
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    assert {connection.laddr.ip for connection in ports} == {"127.0.0.1"}


def test_a_running_scheduler_serves_too(tmp_path: Path) -> None:
    any_port = "127.0.0.1:0"
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=any_port,
        worker_dashboard_address=any_port,
    ) as elsewhere:  # fmt: skip
        options = {"scheduler": elsewhere.scheduler_address, "progress": False}
        (found,) = map_ordered(workers.address, [0], **options)
        assert found == next(iter(elsewhere.scheduler.workers))
        assert work(tmp_path / "out.txt", "a", "bad", **options) == [("bad", "bad is left out")]
    with pytest.raises(E3DError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        list(map_ordered(workers.address, [0], scheduler="tcp://127.0.0.1:9", progress=False))


def work(out: Path, *items: str, **options) -> list[tuple[str, str]]:
    options = {"n_workers": 1, "progress": False} | options
    return map_resumable(workers.write, items, out, workers.join, **options)


def test_what_has_a_reason_is_left_out_and_nothing_remains(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert work(out, "b", "bad", "a", n_workers=2, renew_after=1) == [("bad", "bad is left out")]
    assert out.read_text() == "B\nA"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(E3DError, match="never overwritten"):
        work(out, "c")
    assert list(tmp_path.iterdir()) == [out]


def test_items_that_cannot_be_told_apart_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match="'a' is given twice"):
        work(tmp_path / "out.txt", "a", "b", "a")
    with pytest.raises(E3DError, match="list of items is empty"):
        work(tmp_path / "out.txt")
    assert not list(tmp_path.iterdir())


def test_where_all_fail_the_first_reason_is_told_and_nothing_remains(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match=r"1 of 1 items of .* failed; first reason: bad is"):
        work(tmp_path / "out.txt", "bad")
    assert not list(tmp_path.iterdir())


def test_where_every_item_is_needed_failed_ones_are_tried_again(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with pytest.raises(E3DError, match="1 of 2 items"):
        work(out, "a", "bad", complete=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt.parts"]
    partial_path(out, "bad").write_text("MENDED")
    assert work(out, "a", "bad", complete=True) == []
    assert out.read_text() == "A\nMENDED"


def test_a_full_disk_is_no_reason_to_leave_an_item_out(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with pytest.raises(files.WriteError, match="No space left on device"):
        work(out, "a", "disk")
    assert partial_path(out, "a").read_text() == "A"
    assert list(partial_path(out, "a").parent.iterdir()) == [partial_path(out, "a")]
    assert not out.exists()


def test_a_partial_result_that_disappears_is_not_left_out_in_silence(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with pytest.raises(E3DError, match="has disappeared; was its folder changed"):
        work(out, "a", "b", f"wreck:{partial_path(out, 'a')}")
    assert not out.exists()
    assert work(out, "a", "b") == []
    assert out.read_text() == "A\nB"


def test_an_output_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"

    def late(paths: list[Path], new: Path) -> None:
        workers.join(paths, new)
        out.write_text("another's")

    with pytest.raises(E3DError, match=r"out\.txt appeared while its content was computed"):
        map_resumable(workers.write, ["a"], out, late, n_workers=1, progress=False)
    assert out.read_text() == "another's"
    out.unlink()
    assert work(out, "a") == []
    assert out.read_text() == "A"


@pytest.mark.parametrize("links", [True, False])
def test_publishing_overwrites_only_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", none)
    source, target = tmp_path / "source", tmp_path / "target"
    for content, overwrite in (("first", False), ("second", True)):
        source.write_text(content)
        files.publish(source, target, overwrite=overwrite)
        assert target.read_text() == content
        assert list(tmp_path.iterdir()) == [target]
    source.write_text("third")
    with pytest.raises(E3DError, match="is left as it is"):
        files.publish(source, target, overwrite=False)
    assert target.read_text() == "second"


CALL = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import workers
from e3d.parallel import map_resumable
if __name__ == "__main__":
    map_resumable(workers.write, {items}, Path({out!r}), workers.join, n_workers=1, progress=False)
"""


def start(tmp_path: Path, out: Path, *items: str, **options: Any) -> subprocess.Popen:
    """The same work in a process of its own; returns when its first item is finished."""
    script = tmp_path / "call.py"
    script.write_text(CALL.format(tests=str(Path(__file__).parent), items=items, out=str(out)))
    process = subprocess.Popen([sys.executable, script], start_new_session=True, **options)
    wait_for(partial_path(out, items[0]).exists)
    return process


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_second_process_is_refused_and_the_first_finishes(tmp_path: Path) -> None:
    out, go = tmp_path / "out" / "out.txt", tmp_path / "go"
    items = ["a", f"wait:{go}", "b"]
    with start(tmp_path, out, *items) as process:
        try:
            for _ in range(2):
                with pytest.raises(E3DError) as refused:
                    work(out, *items)
                assert str(refused.value).startswith(
                    f"{out} is being written by process {process.pid} on "
                )
        finally:
            go.touch()
    assert process.returncode == 0
    assert out.read_text().splitlines() == [item.upper() for item in items]
    assert list(out.parent.iterdir()) == [out]


def test_an_interrupt_ends_all_processes_and_only_the_caller_tells(tmp_path: Path) -> None:
    out, items = tmp_path / "out" / "out.txt", ["a", f"wait:{tmp_path / 'never'}"]
    attention = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # not so in the background
    with start(
        tmp_path, out, *items, stderr=subprocess.PIPE, text=True, preexec_fn=attention
    ) as process:  # fmt: skip
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    assert told.count("Traceback") == 1
    assert told.rstrip().endswith("KeyboardInterrupt")
    psutil.wait_procs(started, timeout=60)
    assert not [child for child in started if child.is_running()]
    assert partial_path(out, "a").exists()


def test_the_lock_of_a_killed_process_is_free_and_its_results_are_kept(tmp_path: Path) -> None:
    out, go = tmp_path / "out" / "out.txt", tmp_path / "go"
    items = ["a", f"wait:{go}"]
    with start(tmp_path, out, *items) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "out" / "out.txt.lock").exists()
    go.touch()
    partial_path(out, "a").write_text("KEPT")
    assert work(out, *items) == []
    assert out.read_text().splitlines() == ["KEPT", items[1].upper()]
    assert list(out.parent.iterdir()) == [out]


class _Client:
    """A client that runs what is submitted at once."""

    def submit(self, function: Callable[[int], int], item: int, *, pure: bool) -> int:
        return function(item)


@pytest.mark.parametrize("in_turn", [parallel.in_order, parallel.as_they_end])
def test_results_go_on_when_processes_are_lost(
    in_turn: Callable[..., Iterator[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = chain([4, 4], repeat(1))
    monkeypatch.setattr(parallel.cluster, "n_processes", lambda client: next(numbers))
    monkeypatch.setattr(parallel.cluster, "wait_for", lambda client, futures: list(futures)[:1])
    monkeypatch.setattr(parallel.cluster, "result", lambda future: future)
    found = in_turn(_Client(), lambda k: 10 * k, range(20))
    assert sorted(found) == [10 * k for k in range(20)]
