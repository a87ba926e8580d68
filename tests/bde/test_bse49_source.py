"""BSE49 is fetched and verified without a network, or the reason said."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bse49_copies import REACTIONS, archive, benchmark

from e3d.bde.bse49 import matching, source
from e3d.bde.bse49.source import (
    SOURCE_VARIABLE,
    digest,
    obtain,
    read_separations,
    structure,
)
from e3d.compendium import parameters
from e3d.errors import E3DError
from e3d.paths import NOTEBOOKS

#: A copy of the real data, where there is one.
COPY = os.environ.get(SOURCE_VARIABLE, "")


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return benchmark()


@pytest.fixture
def server() -> Iterator[dict]:
    """A loopback server: `answers` by path, `asked` the paths asked for, `url` its address."""
    state: dict = {"answers": {}, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state["asked"].append(self.path)
            data = state["answers"].get(self.path)
            self.send_response(404 if data is None else 200)
            if "length" in state:
                self.send_header("Content-Length", str(state["length"]))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        state["url"] = f"http://127.0.0.1:{running.server_port}/bse49.tar.gz"
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_source_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOURCE_VARIABLE, raising=False)


def test_a_download_is_verified_and_kept(
    contents: dict[str, bytes], server: dict, tmp_path: Path
) -> None:
    server["answers"]["/bse49.tar.gz"] = archive(contents)
    cache = tmp_path / "inside" / "bse49.tar.gz"
    options = {"url": server["url"], "cache": cache, "sha256": digest(contents)}
    assert obtain("", **options) == contents
    assert obtain("", **options) == contents
    assert server["asked"] == ["/bse49.tar.gz"]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [cache], "nothing is unpacked"


def test_a_download_shows_its_progress_and_is_not_kept_when_cut_short(
    contents: dict[str, bytes], server: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = archive(contents)
    server["answers"]["/bse49.tar.gz"] = data
    options = {"url": server["url"], "cache": tmp_path / "bse49.tar.gz", "sha256": digest(contents)}
    server["length"] = len(data) + 1
    with pytest.raises(E3DError, match="cannot be downloaded") as caught:
        obtain("", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    server["length"] = len(data)
    assert obtain("", **options) == contents
    assert "100%" in capsys.readouterr().err


def test_another_content_is_refused(
    contents: dict[str, bytes], server: dict, tmp_path: Path
) -> None:
    expected = digest(contents)
    key = "Geometries/Existing/C-H_methane_AB.xyz"
    other = contents | {key: contents[key].replace(b"0 1", b"0 3")}
    server["answers"]["/bse49.tar.gz"] = archive(other)
    options = {"url": server["url"], "cache": tmp_path / "bse49.tar.gz", "sha256": expected}
    with pytest.raises(E3DError, match=r"not the BSE49 that was asked for.*delete the file"):
        obtain("", **options)
    with pytest.raises(E3DError, match="give the pinned version"):
        obtain(str(options["cache"]), **options)


def test_the_digest_is_of_what_is_used(contents: dict[str, bytes]) -> None:
    unused = contents | {"Geometries/Existing/C-H_none_A.xyz": b"1"}
    shuffled = dict(reversed(contents.items()))
    assert digest(unused) == digest(shuffled) == digest(contents)
    missing = {k: v for k, v in contents.items() if not k.endswith("silane_B.xyz")}
    with pytest.raises(E3DError, match=r"silane_B\.xyz is missing"):
        digest(missing)


@pytest.mark.parametrize("form", ["folder", "archive", "variable"])
def test_a_copy_in_place_of_the_download(
    form: str, contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "copy.tar.gz"
    path.write_bytes(archive(contents))
    if form == "folder":
        path = tmp_path / "copy"
        for name, data in contents.items():
            (path / "bse49" / name).parent.mkdir(parents=True, exist_ok=True)
            (path / "bse49" / name).write_bytes(data)
    if form == "variable":
        monkeypatch.setenv(SOURCE_VARIABLE, str(path))
    options = {
        "url": "http://127.0.0.1:9/",
        "cache": tmp_path / "cache",
        "sha256": digest(contents),
    }
    assert obtain("" if form == "variable" else str(path), **options) == contents
    assert not (tmp_path / "cache").exists()


def test_without_data_the_error_says_what_to_do(server: dict, tmp_path: Path) -> None:
    options = {"cache": tmp_path / "bse49.tar.gz", "sha256": "0" * 64}
    for url in (server["url"], "http://127.0.0.1:9/none", "no address"):
        with pytest.raises(E3DError, match=rf"cannot be downloaded.*{SOURCE_VARIABLE}"):
            obtain("", url=url, **options)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    for name in ("broken.tar.gz", "missing.tar.gz"):
        with pytest.raises(E3DError, match=r"missing or no \.tar\.gz"):
            obtain(str(tmp_path / name), url="", **options)
    with pytest.raises(E3DError, match=r"holds no BSE49_Existing\.org"):
        obtain(str(tmp_path), url="", **options)


def test_too_much_is_not_read(
    contents: dict[str, bytes], server: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server["answers"]["/bse49.tar.gz"] = archive(contents)
    monkeypatch.setattr(source, "SIZE_LIMIT", 100)
    with pytest.raises(E3DError, match="is longer than 100 bytes"):
        obtain("", url=server["url"], cache=tmp_path / "cache", sha256="")
    (tmp_path / "large.tar.gz").write_bytes(server["answers"]["/bse49.tar.gz"])
    with pytest.raises(E3DError, match="unpacks to more than 100 bytes"):
        obtain(str(tmp_path / "large.tar.gz"), url="", cache="", sha256="")


def test_tables_and_geometries_are_read(contents: dict[str, bytes]) -> None:
    reactions = read_separations(contents)
    assert [r.reference for r in reactions] == [entry[-1] for entry in REACTIONS.values()]
    assert {r.set for r in reactions} == {"Existing"}
    assert reactions[3].elements == ("C", "O")
    whole = structure(contents, reactions[3], 2)
    assert whole.get_chemical_formula() == "C2H6O"
    assert whole.info == {"charge": 0, "multiplicity": 1}
    start = b"| x | 1 | A | 1 | B | -1 | C-H_AB |"
    for line in (start, start.replace(b"-1", b"1") + b" 1.0 |", start + b" none |"):
        with pytest.raises(E3DError, match=r"BSE49_Hypothetical\.org, line 1.*expected A \+ B"):
            read_separations(contents | {"BSE49_Hypothetical.org": line})
    name = "Geometries/Existing/C-H_methane_AB.xyz"
    for text in (b"5\n0 1\nC 0 0 zero\n", b"1\n\nC 0 0 0\n", b"1\n0 1\nQq 0 0 0\n", b""):
        with pytest.raises(E3DError, match=r"C-H_methane_AB\.xyz is no geometry"):
            structure(contents | {name: text}, reactions[0], 2)


def test_the_pinned_copy_of_the_user() -> None:
    """Runs where `E3D_BSE49` names a copy."""
    known = parameters.defaults(NOTEBOOKS / "make/bse49_scores.ipynb")
    assert (known["commit"], known["sha256"]) == (source.COMMIT, source.SHA256)
    if not COPY:
        pytest.skip(f"{SOURCE_VARIABLE} names no copy of BSE49")
    found = obtain(COPY, url="", cache="", sha256=known["sha256"])
    reactions = read_separations(found)
    assert len(reactions) == 4394
    matched, left_out = matching.match_all(found, reactions[:60], known["elements"])
    assert len(matched) == 60 - len(left_out) >= 58
