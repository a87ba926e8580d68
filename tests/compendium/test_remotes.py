"""Data pulled from a remote: the bytes that were asked for, or a refusal."""

import hashlib
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
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


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Callable[[bytes], None], list[str]]]:
    """A server of S3 on loopback: what puts the one object there, and how to reach it."""
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-nobody")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket="store")
    key = f"files/md5/{MD5[:2]}/{MD5[2:]}"
    put = partial(client.put_object, Bucket="store", Key=key)
    put(Body=CONTENT)
    yield lambda content: put(Body=content), [f"endpointurl = {address}", "region = us-east-1"]
    client.close()
    server.stop()


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


def told() -> list[str]:
    """The option of a remote that the page on remotes tells to set."""
    remote = (BOOK / "rerun.md").read_text()
    found = re.findall(r"dvc remote modify store (\w+) (\w+)$", remote, re.MULTILINE)
    return [" = ".join(found[-1])]


def pulled_and_refused(
    folder: Path, address: str, options: list[str], put: Callable[[bytes], object]
) -> None:
    """A sound object is pulled; a damaged one is not, unless the option is missing."""
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    checkout(folder / "sound", address, [*options, *told()]).pull()
    assert (folder / "sound" / "data.txt").read_bytes() == CONTENT

    put(CONTENT.replace(b"-", b"+"))  # as many bytes
    repo = checkout(folder / "refused", address, [*options, *told()])
    with pytest.raises(CheckoutError):
        repo.pull()
    assert not (folder / "refused" / "data.txt").exists()

    checkout(folder / "taken", address, options).pull()  # what the option is for
    assert (folder / "taken" / "data.txt").exists()


def test_a_static_web_server(store: tuple[Path, str], tmp_path: Path) -> None:
    item, address = store
    pulled_and_refused(tmp_path, address, [], item.write_bytes)


def test_a_bucket_of_s3(bucket: tuple[Callable[[bytes], None], list[str]], tmp_path: Path) -> None:
    put, options = bucket
    pulled_and_refused(tmp_path, "s3://store", options, put)


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
