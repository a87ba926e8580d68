"""Data pulled from a remote: the bytes that were asked for, or a refusal."""

import hashlib
import logging
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dvc.exceptions import CheckoutError
from dvc.repo import Repo

from e3d.paths import BOOK, ROOT

CONTENT = b"an energy: -1.0"
MD5 = hashlib.md5(CONTENT).hexdigest()
pytestmark = pytest.mark.filterwarnings("ignore")  # of DVC's dependencies


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The one object of a static web server on loopback, and the server's address."""
    item = tmp_path / "store" / "files" / "md5" / MD5[:2] / MD5[2:]
    item.parent.mkdir(parents=True)
    item.write_bytes(CONTENT)
    handler = partial(Quiet, directory=str(tmp_path / "store"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield item, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def checkout(folder: Path, address: str, options: list[str]) -> Repo:
    """A repository of DVC with one tracked file, whose remote is set up as the book says."""
    (folder / ".dvc").mkdir(parents=True)
    settings = "".join(f"    {option}\n" for option in options)
    config = f"""[core]
    analytics = false
    no_scm = true
    remote = store
    site_cache_dir = {folder}/.dvc/tmp/site
['remote "store"']
    url = {address}
{settings}"""
    (folder / ".dvc" / "config").write_text(config)
    outs = f"outs:\n- md5: {MD5}\n  size: {len(CONTENT)}\n  hash: md5\n  path: data.txt\n"
    (folder / "data.txt.dvc").write_text(outs)
    return Repo(str(folder))


def test_a_damaged_object_is_refused_and_a_sound_one_pulled(
    store: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    item, address = store
    remote = (BOOK / "rerun.md").read_text()
    told = re.findall(r"dvc remote modify store (\w+) (\w+)$", remote, re.MULTILINE)
    options = [" = ".join(pair) for pair in told]
    checkout(tmp_path / "sound", address, options[-1:]).pull()
    assert (tmp_path / "sound" / "data.txt").read_bytes() == CONTENT

    item.write_bytes(CONTENT.replace(b"-", b"+"))  # as many bytes
    repo = checkout(tmp_path / "refused", address, options[-1:])
    with pytest.raises(CheckoutError):
        repo.pull()
    assert not (tmp_path / "refused" / "data.txt").exists()

    checkout(tmp_path / "taken", address, []).pull()  # what the option is for
    assert (tmp_path / "taken" / "data.txt").exists()


def test_every_remote_verifies_what_it_gets() -> None:
    page = (BOOK / "rerun.md").read_text()
    added = re.findall(r"dvc remote add (\w+) .*\n\$ .*dvc remote modify (\w+) verify true", page)
    assert len(added) == page.count("dvc remote add ") == 3
    sections = (ROOT / ".dvc" / "config").read_text().split("['remote ")[1:]
    assert sections
    assert all("verify = true" in section for section in sections)


def test_no_object_of_the_repositorys_remote_is_damaged() -> None:
    """By name and content, also where git was told to ignore a change."""
    for path in (ROOT / "remote" / "files" / "md5").glob("0?/*"):  # a sixteenth: it takes seconds
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "md5").hexdigest()
        assert path.parent.name + path.stem == digest, path


def test_objects_that_dvc_removed_are_named(tmp_path: Path) -> None:
    """`make pull` says how to get back what git has."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote" / "object").write_text("x")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "x"], cwd=tmp_path, check=True)
    (tmp_path / "dvc").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "dvc").chmod(0o755)
    make = ["make", "-s", "-f", ROOT / "Makefile", "-o", "environment", f"BIN={tmp_path}", "pull"]
    said = partial(subprocess.run, make, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "git restore" not in said().stdout
    (tmp_path / "remote" / "object").unlink()
    done = said()
    assert done.returncode != 0
    assert "`git restore remote`" in done.stdout
