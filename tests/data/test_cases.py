"""Small data sets that once gave a wrong number, a traceback or nothing: what is right."""

from pathlib import Path

import pytest

from e3d.chemistry.bonding import mapped_smiles, parse_smiles
from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.data.graphs import is_radical, unsanitized
from e3d.data.rules import EMPTY, FOREIGN, MISFIT, NOT_FINITE, RADICAL, UNREADABLE
from e3d.errors import E3DError
from e3d.labels.label import usable_sources

CASES = Path("tests/cases")
#: File: problems as (molecule, part of the text), molecules and conformations used, and what is
#: left out as reason, molecule and number of conformations.
EXPECTED: dict[str, tuple[list[tuple[str, str]], int, int, list[tuple[str, str, int]]]] = {
    "smiles-maps-swapped": (
        [("CCO", "do the atom maps number the atoms in the order of 'conformations'?")],
        0, 0, [(MISFIT, "CCO", 10)],
    ),
    "nested-groups": ([], 4, 40, []),
    "empty-molecule": ([], 3, 30, [(EMPTY, "EMPTY", 0)]),
    "one-bad-molecule": (
        [("CCO", "'conformations' is not finite in 1 conformations, the first is conformation 0")],
        3, 29, [(NOT_FINITE, "CCO", 1)],
    ),
    "nan-in-one-gradient": (
        [("CCO", "'dft_total_gradient' is not finite in 1 conformations")],
        3, 29, [(NOT_FINITE, "CCO", 1)],
    ),
    "bytes-attributes": ([], 3, 30, []),
    "smiles-not-utf8": (
        [("CCO", r"text b'\xff\xfeCCO' is not UTF-8")], 2, 20, [(UNREADABLE, "CCO", 0)],
    ),
    "radical": (
        [
            ("meth", "formation energy is 39 hartree"),
            ("na", "0.53 times their covalent radii"),
            ("na", "no atomic energy stored for Cl, Na"),
        ],
        3, 30, [(RADICAL, "meth", 1), (FOREIGN, "na", 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_a_case_is_named_and_everything_else_is_used(name: str) -> None:
    problems, n_molecules, n_conformations, left_out = EXPECTED[name]
    path = CASES / f"{name}.h5"
    report = check_dataset(path)
    assert [where for where, _ in report.problems] == [where for where, _ in problems]
    for (_, expected), (_, what) in zip(problems, report.problems, strict=True):
        assert expected in what
    assert report.n_usable == n_conformations
    with Dataset(path) as dataset:
        molecules = list(dataset.usable(strict=False))
        found = dataset.left_out
    assert (len(molecules), sum(map(len, molecules))) == (n_molecules, n_conformations)
    assert [
        (reason, entry.first[0].split(":")[0], entry.n_conformations)
        for reason, entry in found.reasons.items()
    ] == left_out
    sources, unusable = usable_sources(path)
    assert (len(sources), unusable) == (n_molecules, found), "one rule for all commands"
    assert all("\n" not in line for line in found.lines())


@pytest.mark.parametrize("name", ["one-bad-molecule", "nan-in-one-gradient", "smiles-not-utf8"])
def test_where_all_molecules_are_needed_a_bad_one_is_refused(name: str) -> None:
    with Dataset(CASES / f"{name}.h5") as dataset:
        with pytest.raises(E3DError, match=rf"{name}\.h5, molecule 'CCO'"):
            list(dataset.usable())
        with pytest.raises(E3DError, match="molecule 'CCO'"):
            dataset["CCO"]
        assert dataset["C"].name == "C"


def test_a_nested_molecule_has_the_name_of_its_path() -> None:
    with Dataset(CASES / "nested-groups.h5") as dataset:
        names = [molecule.name for molecule in dataset]
        assert names == ["C", "C/C=C/C", "CCO", "O"]
        assert dataset["C/C=C/C"].name == "C/C=C/C"


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [("[CH3]", True), ("[O]O", True), ("[O]N=O", True), ("c1ccccc1", False), ("c1cc[nH]c1", False),
     ("Cn1cnnn1", False), ("O=c1[nH]cco1", False), ("CS(C)(=O)=O", False), ("[C-]#[O+]", False)],
)  # fmt: skip
def test_radicals_are_told_from_aromatic_atoms(smiles: str, expected: bool) -> None:
    graph = unsanitized(mapped_smiles(parse_smiles(smiles)))
    assert graph is not None
    assert is_radical(graph) is expected


def test_an_empty_molecule_can_be_read() -> None:
    with Dataset(CASES / "empty-molecule.h5") as dataset:
        empty = dataset["EMPTY"]
    assert (len(empty), empty.positions.shape) == (0, (0, 5, 3))
