"""BSE49: fetched and verified without a network, and the broken bond found, or the reason said."""

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from examples import architecture, random_model
from rdkit import Chem

from chapters.bse49 import matching, source
from chapters.bse49.source import (
    SOURCE_VARIABLE,
    Separation,
    digest,
    obtain,
    read_separations,
    structure,
)
from e3d import parallel
from e3d.chemistry import bonding
from e3d.compendium import parameters
from e3d.decomposition.edges import bond_energies, decompose
from e3d.decomposition.tables import ModelSpec
from e3d.errors import E3DError
from e3d.models.additive import Additive
from e3d.models.allegro import build
from e3d.models.checkpoint import save_checkpoint
from e3d.models.pair import PairPotential, spline_knots
from e3d.paths import NOTEBOOKS
from e3d.units import KCAL_PER_MOL_PER_EV

#: A copy of the real data, where there is one.
COPY = os.environ.get(SOURCE_VARIABLE, "")
#: Names in the style of BSE49, molecules and radicals as SMILES, and a made-up reference.
REACTIONS = {
    "C-H_methane": ("[CH3]", "[H]", "C", 112.0),
    "C-H_ethanol-1": ("[CH2]CO", "[H]", "CCO", 104.0),
    "C-H_ethanol-2": ("C[CH]O", "[H]", "CCO", 97.0),
    "O-C_ethanol": ("C[CH2]", "[OH]", "CCO", 96.0),
    "C-C_ring": ("[CH3]", "[CH3]", "C1CC1", 90.0),  # these fragments are of another molecule
    "Si-H_silane": ("[SiH3]", "[H]", "[SiH4]", 95.0),
}


def xyz(smiles: str, state: str) -> bytes:
    graph = bonding.parse_smiles(smiles)
    symbols = [atom.GetSymbol() for atom in graph.GetAtoms()]
    positions = np.zeros((1, 3)) if len(symbols) == 1 else bonding.embed(graph, seed=1)
    rows = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in zip(symbols, positions, strict=True)]
    return "\n".join([str(len(symbols)), state, *rows, ""]).encode()


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    """A benchmark in the layout of BSE49, of the molecules above."""
    found, lines = {}, []
    for k, (name, (first, second, whole, energy)) in enumerate(REACTIONS.items(), start=1):
        named = {
            f"{name}_A": (first, "0 2"),
            f"{name}_B": (second, "0 2"),
            f"{name}_AB": (whole, "0 1"),
        }
        for key, (smiles, state) in named.items():
            found[f"Geometries/Existing/{key}.xyz"] = xyz(smiles, state)
        a, b, ab = named
        lines.append(f"| BSE49_existing_{k} | 1 | {a} | 1 | {b} | -1 | {ab} | {energy:.2f} |")
    return found | {"BSE49_Existing.org": "\n".join(lines).encode(), "BSE49_Hypothetical.org": b""}


def archive(contents: dict[str, bytes], **more: bytes) -> bytes:
    """As GitHub sends it: one folder around all; with what a hostile archive would add."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        members = {f"bse49-0123/{name}": data for name, data in contents.items()} | more
        members |= {
            "bse49-0123/README.md": b"hello",
            "../../escaped.xyz": b"1",
            "/escaped.org": b"1",
        }
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("bse49-0123/Geometries/Existing/link.xyz")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()


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


def test_the_broken_bond_is_found_or_the_reason_said(contents: dict[str, bytes]) -> None:
    reactions = read_separations(contents)
    found, left_out = matching.match_all(contents, reactions, ["H", "C", "O"])
    assert left_out == {
        "BSE49_existing_5": "no bond of these elements leaves these fragments",
        "BSE49_existing_6": "other elements",
    }
    assert [broken.bond_class for broken in found] == ["C-H", "C-H", "C-H", "C-O"]
    assert [len(broken.pairs) for broken in found] == [4, 3, 2, 1]
    assert [broken.whole.canonical_smiles for broken in found] == ["C", "CCO", "CCO", "CCO"]
    carbons = [{i for i, _ in broken.pairs} for broken in found[1:3]]
    assert carbons == [{0}, {1}], "the carbon that loses a hydrogen is the right one"


def test_a_reaction_that_is_no_homolysis_is_left_out(contents: dict[str, bytes]) -> None:
    reaction = read_separations(contents)[0]
    changes = {
        "C-H_methane_A": (b"0 2", b"1 1"),  # leaves ions
        "C-H_methane_B": (b"H 0.0", b"H 0.1"),  # harmless
    }
    for name, change in changes.items():
        key = f"Geometries/Existing/{name}.xyz"
        other = contents | {key: contents[key].replace(*change)}
        if b"1 1" in change:
            with pytest.raises(E3DError, match="leaves two doublets"):
                matching.match(other, reaction)
        else:
            assert len(matching.match(other, reaction).pairs) == 4
    methyl = "Geometries/Existing/C-H_methane_A.xyz"
    lines = contents[methyl].decode().splitlines()
    lines[-1] = "H 9.0 9.0 9.0"
    with pytest.raises(E3DError, match="in pieces"):
        matching.match(contents | {methyl: "\n".join(lines).encode()}, reaction)


def test_double_bonds_and_open_shells_are_no_match(contents: dict[str, bytes]) -> None:
    reaction = read_separations(contents)[0]
    base = "Geometries/Existing/C-H_methane"
    carbene = {f"{base}_A.xyz": xyz("[CH2]", "0 2"), f"{base}_AB.xyz": xyz("[CH3]", "0 1")}
    with pytest.raises(E3DError, match="no closed-shell structure"):
        matching.match(contents | carbene, reaction)
    ethene = {f"{base}_A.xyz": xyz("[CH2]", "0 2"), f"{base}_B.xyz": xyz("[CH2]", "0 2"),
              f"{base}_AB.xyz": xyz("C=C", "0 1")}  # fmt: skip
    carbons = Separation("x", "Existing", ("C", "C"), reaction.parts, 1.0)
    with pytest.raises(E3DError, match="not perceived as a single one"):
        matching.match(contents | ethene, carbons)


def test_ambiguity_is_no_match(contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the fragments of both C–H bonds of ethanol the same, none would be chosen."""
    monkeypatch.setattr(
        matching, "_skeletons", lambda graph: ["same"] * len(Chem.GetMolFrags(graph))
    )
    with pytest.raises(E3DError, match="several kinds of bond"):
        matching.match(contents, read_separations(contents)[1])


def test_scores_are_energies_of_the_model(
    contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = lambda function, items, **_: [function(item) for item in items]  # noqa: E731
    monkeypatch.setattr(parallel, "map_ordered", in_turn)  # starting processes takes longer
    settings = architecture("float64")
    save_checkpoint(
        tmp_path / "m", build(settings), settings, dataset={}, training={}, cost={}, history=""
    )
    model = random_model("float64")
    reactions = read_separations(contents)
    found, _ = matching.match_all(contents, reactions, ["H", "C", "O"])
    knots = spline_knots(0.5, 4.0, 0.5)
    rng = np.random.default_rng(0)
    coefficients = {
        p: rng.normal(size=len(knots) - 1) for p in [("C", "H"), ("H", "H"), ("C", "C")]
    }
    pair = PairPotential(knots, coefficients)
    additive = Additive({"C-H": -4.0}, {}, {}, 0.0)
    table = matching.score(found, {"m": ModelSpec(str(tmp_path / "m"))}, additive, pair)
    assert table["class"].tolist() == [broken.bond_class for broken in found]
    assert table["reference_kcal_per_mol"].tolist() == [112.0, 104.0, 97.0, 96.0]
    assert table["bare:additive"].round(3).tolist()[:3] == [round(4 * KCAL_PER_MOL_PER_EV, 3)] * 3
    assert np.isnan(table["bare:additive"][3])
    for (_, row), broken in zip(table.iterrows(), found, strict=True):
        whole = Atoms(broken.whole.atomic_numbers, broken.whole.positions[0])
        *parts, of_whole = decompose(model, [*broken.fragments, whole])
        fragment = sum(part.energy for part in parts) - of_whole.energy
        assert row["fragment:m"] == pytest.approx(fragment * KCAL_PER_MOL_PER_EV, abs=1e-5)
        bare = -np.median(bond_energies(of_whole, np.array(broken.pairs))) * KCAL_PER_MOL_PER_EV
        assert row["bare:m"] == pytest.approx(bare, abs=1e-6)
    methane = found[0]
    hydrogens = pair.predict(methane.whole)[0][0]
    methyl = matching._as_molecule("A", methane.fragments[0], "")
    expected = (pair.predict(methyl)[0][0] - hydrogens) * KCAL_PER_MOL_PER_EV
    assert table["fragment:pair"][0] == pytest.approx(expected)
    assert table["fragment:pair"][1:].isna().all(), "oxygen was not fitted"


def test_the_pinned_copy_of_the_user() -> None:
    """Runs where `E3D_BSE49` names a copy."""
    known = parameters.defaults(NOTEBOOKS / "make/bse49_scores.ipynb")
    assert len(known["commit"]) == 40
    assert len(known["sha256"]) == 64
    if not COPY:
        pytest.skip(f"{SOURCE_VARIABLE} names no copy of BSE49")
    found = obtain(COPY, url="", cache="", sha256=known["sha256"])
    reactions = read_separations(found)
    assert len(reactions) == 4394
    matched, left_out = matching.match_all(found, reactions[:60], known["elements"])
    assert len(matched) == 60 - len(left_out) >= 58
