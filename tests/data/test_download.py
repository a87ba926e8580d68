"""A server that breaks, refuses ranges and lies, on loopback; what remains on the disk."""

import errno
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from e3d import files
from e3d.data import download as module
from e3d.data.download import download
from e3d.data.source import Source
from e3d.errors import E3DError
from e3d.files import WriteError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
BLOCK = module._BLOCK
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; `lengths` limits what each connection sends before it breaks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.status = CONTENT, True, 200
        self.lengths: list[int] = []
        self.announced: int | None = None
        self.requests: list[str | None] = []

    @property
    def source(self) -> Source:
        return Source(f"http://127.0.0.1:{self.server_port}/file.h5", len(CONTENT), MD5)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        body, total = server.content[start:], len(server.content)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        length = len(body) if server.announced is None else server.announced
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[: server.lengths.pop(0)] if server.lengths else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "external" / "file.h5"
    for _ in range(2):
        assert download(server.source, target, progress=False) == target
    assert target.read_bytes() == CONTENT
    assert server.requests == [None]
    assert names(target.parent) == ["file.h5"]


def test_broken_connections_are_resumed_where_they_stopped(server: Server, tmp_path: Path) -> None:
    server.lengths = [1_000_000, 1_200_000]  # a part of a block is lost
    download(server.source, tmp_path / "file.h5", progress=False)
    assert (tmp_path / "file.h5").read_bytes() == CONTENT
    first = 1_000_000 // BLOCK * BLOCK
    second = first + 1_200_000 // BLOCK * BLOCK
    assert server.requests == [None, f"bytes={first}-", f"bytes={second}-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.lengths = [10 * BLOCK + 5]
    with pytest.raises(E3DError, match=rf"{10 * BLOCK} of 3000000 bytes are kept.*call again"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert names(tmp_path) == ["file.h5.part"]
    assert (tmp_path / "file.h5.part").read_bytes() == CONTENT[: 10 * BLOCK]
    download(server.source, tmp_path / "file.h5", progress=False)
    assert server.requests[-1] == f"bytes={10 * BLOCK}-"
    assert (tmp_path / "file.h5").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.lengths = False, [1_000_000]
    download(server.source, tmp_path / "file.h5", progress=False)
    assert (tmp_path / "file.h5").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_wrong_hash_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(E3DError, match=rf"published is {MD5}; it was removed"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT + b"more"])
def test_a_file_of_another_size_is_refused_at_once(
    server: Server, tmp_path: Path, content: bytes
) -> None:
    server.content = content
    with pytest.raises(E3DError, match=rf"is a file of {len(content)} bytes, expected 3000000"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert not (tmp_path / "file.h5").exists()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content", "error"),
    [(CONTENT + b"more", "sends more than"), (CONTENT[:-5], "cannot be downloaded")],
)
def test_a_server_that_does_not_say_the_size(
    server: Server, tmp_path: Path, content: bytes, error: str
) -> None:
    server.content, server.announced, server.ranges = content, -1, False
    with pytest.raises(E3DError, match=error):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert not (tmp_path / "file.h5").exists()


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, module.ATTEMPTS)])
def test_a_server_that_refuses(server: Server, tmp_path: Path, status: int, attempts: int) -> None:
    server.status = status
    with pytest.raises(E3DError, match=f"the server answers {status}"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert len(server.requests) == attempts
    assert not (tmp_path / "file.h5").exists()


def test_too_small_a_disk_is_seen_before_the_first_byte(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 2_000_000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(WriteError, match=r"file\.h5: .*are still to come"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert server.requests == []


def test_a_disk_that_fills_up_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, n: int) -> None:
        if n and bar_total[0] > 1_500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        bar_total[0] += n

    bar_total = [0]
    monkeypatch.setattr(module.tqdm, "update", full)
    with pytest.raises(WriteError, match=r"No space left on device; what came is kept in file"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert names(tmp_path) == ["file.h5.part"]
    monkeypatch.undo()
    download(server.source, tmp_path / "file.h5", progress=False)
    assert (tmp_path / "file.h5").read_bytes() == CONTENT
    assert server.requests[-1] is not None


def test_two_downloads_at_once(server: Server, tmp_path: Path) -> None:
    with files.locked(tmp_path / "file.h5"), pytest.raises(E3DError, match="being written by"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert server.requests == []


def test_a_file_of_another_size_under_the_name_is_left_alone(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file.h5").write_bytes(b"mine")
    with pytest.raises(E3DError, match="has 4 bytes, expected 3000000"):
        download(server.source, tmp_path / "file.h5", progress=False)
    assert (tmp_path / "file.h5").read_bytes() == b"mine"
    assert server.requests == []


def test_a_machine_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    with pytest.raises(E3DError, match=r"cannot be downloaded: .*call again to go on"):
        download(Source("http://127.0.0.1:9/file.h5", 10, MD5), tmp_path / "f.h5", progress=False)
    assert names(tmp_path) == []
