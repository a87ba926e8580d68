"""Sources are read, and what cannot be labelled is refused before any work."""

import re
from pathlib import Path

import pytest

from e3d.chemistry.levels import isolated_atoms
from e3d.errors import E3DError
from e3d.labels.label import label_molecules, read_sources
from e3d.labels.sampling import Sampling


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["CCO", "OCC"], "'CCO' is given twice"),
        (["C("], "'C(' cannot be parsed"),
        (["CBr"], "cannot label Br; elements known: H, C, N"),
        ([], "no molecule to label"),
    ],
)
def test_sources_are_refused_before_any_work(
    tmp_path: Path, sources: list[str], message: str
) -> None:
    with pytest.raises(E3DError, match=re.escape(message)):
        label_molecules(sources, "gfn2", tmp_path / "x.h5", progress=False)
    assert not list(tmp_path.iterdir())


def test_unknown_methods_and_atoms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match=r"unknown method 'gfn1'; choose one of gfn2, wb97m"):
        label_molecules(["C"], "gfn1", tmp_path / "x.h5")
    with pytest.raises(E3DError, match="no ground state known for an isolated Xe atom"):
        isolated_atoms("gfn2", ["Xe"])


def test_sources_are_read_with_comments_and_their_line_named(tmp_path: Path) -> None:
    path = tmp_path / "molecules.smi"
    path.write_text("# comment\nOCC ethanol\n\nC#N\n")
    assert read_sources(path) == ["CCO", "C#N"]
    path.write_text("C\nC((\n")
    with pytest.raises(E3DError, match=r"molecules\.smi, line 2: SMILES 'C\(\('"):
        read_sources(path)
    path.write_text("# nothing\n")
    with pytest.raises(E3DError, match="holds no SMILES"):
        read_sources(path)
    with pytest.raises(E3DError, match="does not exist"):
        read_sources(tmp_path / "absent.smi")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed is -1, expected 0 to"),
        ({"seed": 2**31}, "seed is 2147483648, expected 0 to"),
        ({"temperatures_K": (-300,)}, "temperatures are -300 K, expected 1 to 32767"),
        ({"temperatures_K": (40_000,)}, "temperatures are 40000 K, expected 1 to 32767"),
        ({"temperatures_K": (300, 300)}, "one of them twice"),
        ({"frames_per_temperature": -1}, "frames are -1, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(E3DError, match=re.escape(message)):
        Sampling(**change)
