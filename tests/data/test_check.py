"""`check_dataset` finds each kind of damage, names its place, and goes on."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from e3d.data.check import check_dataset
from e3d.data.report import MAX_LISTED, Report
from e3d.errors import E3DError

DFT = Path("data/dft-small.h5")
#: Real SPICE 1.1.4: one cation and one complex with a sodium ion. Not shipped.
SPICE = Path(os.environ.get("E3D_SPICE_FIXTURE", "../shared/data/spice-1.1.4-n2.hdf5"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Five molecules of the project's data."""
    path = tmp_path / "data.h5"
    with h5py.File(DFT) as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in ("C", "C#C", "CO", "O", "N"):
            source.copy(name, target)
    return path


def edit(field: str, change: Callable[[np.ndarray], np.ndarray], **attributes: str) -> Callable:
    """A change of one field of methanol that keeps its other attributes."""

    def damage(raw: h5py.File) -> None:
        group = raw["CO"]
        values, kept = group[field][()], dict(group[field].attrs)
        del group[field]
        group[field] = change(values)
        group[field].attrs.update({**kept, **attributes})

    return damage


def drop(path: str) -> Callable:
    def damage(raw: h5py.File) -> None:
        del raw[path]

    return damage


def spoil(values: np.ndarray) -> np.ndarray:
    values.flat[-1] = np.inf
    return values


def same(values: np.ndarray) -> np.ndarray:
    return values


DAMAGE = {
    "missing field": (drop("CO/dft_total_energy"), "field 'dft_total_energy' is missing"),
    "missing smiles": (drop("CO/smiles"), "field 'smiles' is missing"),
    "stated unit": (edit("conformations", same, units="angstrom"), "units 'angstrom', expected"),
    "true unit": (edit("conformations", lambda v: v * 0.529), "are 'conformations' in bohr"),
    "energy unit": (edit("formation_energy", lambda v: v * 27.2), "energies in hartree"),
    "shape": (edit("dft_total_gradient", lambda v: v[:, :-1]), "has shape (10, 5, 3), expected"),
    "not finite": (edit("dft_total_gradient", spoil), "is not finite in 1 conformations"),
    "element": (edit("atomic_numbers", lambda v: v + 120), "unknown element: atomic number 121"),
    "zero": (edit("formation_energy", lambda v: v + 1e-3), "0.001 hartree from total minus"),
    "one zero": (edit("formation_energy", lambda v: v + np.eye(10)[0] * 1e-3), "varies by 0.001"),
    "smiles": (edit("smiles", lambda v: np.array([b"C("], dtype=object)), "cannot be parsed"),
    "unmapped": (edit("smiles", lambda v: np.array([b"CO"], dtype=object)), "atom maps do not"),
    "other molecule": (
        edit("smiles", lambda v: np.array([v[0].replace(b"O", b"S")], dtype=object)),
        "its atoms are not those of",
    ),
    "bond orders": (
        lambda raw: raw["CO"].create_dataset("mayer_indices", data=np.zeros((10, 6, 5))),
        "field 'mayer_indices' has shape (10, 6, 5)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_in_its_place_and_nowhere_else(file: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    with h5py.File(file, "r+") as raw:
        damage(raw)
    report = check_dataset(file)
    assert not report.ok
    assert {where for where, _ in report.problems} == {"CO"}
    assert message in " ".join(what for _, what in report.problems)
    assert f"problem: CO: {report.problems[0][1]}" in report.text()


def test_sound_data_have_no_problems(file: Path) -> None:
    report = check_dataset(file)
    assert report.ok
    assert (report.n_molecules, report.n_conformations, report.n_usable) == (5, 50, 50)
    assert report.elements == {"H": 5, "C": 3, "N": 1, "O": 2}
    assert report.text().endswith("no problems")


@pytest.mark.parametrize("name", ["data/dft-small.h5", "labels/bulk.h5", "labels/alignment.h5"])
def test_the_projects_data_have_no_problems(name: str) -> None:
    if not Path(name).exists():
        pytest.skip(f"{name} is not here; `make pull` fetches it")
    report = check_dataset(name)
    assert report.ok, report.text()
    assert not report.n_notes, report.text()
    assert not report.skipped


def test_real_spice_reads_with_notes_only() -> None:
    if not SPICE.exists():
        pytest.skip("the SPICE fixture is not shipped; E3D_SPICE_FIXTURE may name it")
    report = check_dataset(SPICE)
    assert report.ok, report.text()
    assert (report.n_molecules, report.n_conformations, report.n_usable) == (2, 55, 0)
    assert sorted(report.skipped.values()) == [5, 50]
    assert any("have no zero" in what for _, what in report.notes)


def test_an_unknown_field_is_noted(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw.move("CO/temperature", "CO/temprature")
        for molecule in raw.values():  # of all: extra information
            molecule["reaction_coordinate"] = np.arange(10)
    report = check_dataset(file)
    assert report.ok
    assert report.notes == [("CO", "has an unknown field 'temprature'; misspelt, or damaged?")]


def test_a_subset_at_another_level_is_named(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        for name in ("C", "C#C", "CO"):
            raw[f"{name}/subset"][...] = "other"
            raw[f"{name}/formation_energy"][...] += 0.02
    report = check_dataset(file)
    assert [where for where, _ in report.problems] == ["C", "C#C", "CO", "file"]
    assert "subset 'other': 3 of 3 molecules have another zero" in report.problems[-1][1]


def test_broken_bonds_are_noted_but_not_on_a_reaction_path(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw["CO/conformations"][3, 5] += 3.0
    report = check_dataset(file)
    assert report.ok, report.text()
    assert "is broken, or the atoms are in another order, in 1 conf" in report.notes[0][1]
    with h5py.File(file, "r+") as raw:
        raw["CO/temperature"][...] = -1
    assert not check_dataset(file).notes


def test_checking_goes_on_after_the_first_problem(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        for case in ("stated unit", "not finite"):
            DAMAGE[case][0](raw)
        del raw["C/smiles"]
    report = check_dataset(file)
    assert [where for where, _ in report.problems] == ["C", "CO", "CO"]


def test_an_inferred_zero_finds_the_molecule_that_disagrees(file: Path) -> None:
    """Without stored isolated atoms, formation energies must agree with each other."""
    with h5py.File(DFT) as source, h5py.File(file, "r+") as raw:
        for name in ("CCO", "CC", "C=O", "CN"):
            source.copy(name, raw)
        del raw.attrs["atomic_energies"]
    report = check_dataset(file)
    assert report.ok, report.text()
    with h5py.File(file, "r+") as raw:
        raw["CO/formation_energy"][...] += 1e-3
    report = check_dataset(file)
    assert [where for where, _ in report.problems] == ["CO"]
    assert "0.001 hartree from total minus isolated atoms (as the other" in report.problems[0][1]


def test_steep_gradients_are_counted_not_refused(file: Path) -> None:
    with h5py.File(file, "r+") as raw:
        raw["CO/dft_total_gradient"][2:4, 0, 0] = -1.5
    report = check_dataset(file)
    assert report.ok
    assert report.skipped == {"gradient beyond 1 hartree/bohr": 2}
    assert report.n_usable == 48


def test_gradients_in_another_unit_are_found(file: Path) -> None:
    """eV/Å that say hartree/bohr: most lie beyond the limit and would be passed over."""
    with h5py.File(file, "r+") as raw:
        for molecule in raw.values():
            molecule["dft_total_gradient"][:] *= 51.4
    report = check_dataset(file)
    assert report.text().endswith("\n1 problem")
    ((where, what),) = report.problems
    assert where == "file"
    assert "are 'dft_total_gradient' in hartree/bohr" in what


def test_forces_in_the_place_of_gradients_are_found(file: Path) -> None:
    report = check_dataset(file)
    assert report.n_uphill > 5 * max(report.n_downhill, 1)
    with h5py.File(file, "r+") as raw:
        for molecule in raw.values():
            molecule["dft_total_gradient"][:] *= -1
    turned = check_dataset(file)
    assert (turned.n_uphill, turned.n_downhill) == (report.n_downhill, report.n_uphill)
    assert not turned.ok
    assert "are they forces?" in turned.problems[-1][1]


def test_many_problems_are_counted_and_few_are_listed() -> None:
    report = Report("x.h5")
    for k in range(3 * MAX_LISTED):
        report.problem(f"m{k}", "is bad")
    assert len(report.problems) == MAX_LISTED
    assert report.n_problems == 3 * MAX_LISTED
    assert f"… and {2 * MAX_LISTED} more" in report.text()


def test_the_report_is_plain_json(file: Path) -> None:
    content = json.loads(json.dumps(check_dataset(file).as_dict(), allow_nan=False))
    assert content["ok"] is True
    assert content["n_conformations"] == 50
    assert content["problems"] == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for copies in (5, 50):
        path = tmp_path / f"{copies}.h5"
        with h5py.File(DFT) as source, h5py.File(path, "w") as target:
            target.attrs.update(source.attrs)
            for k in range(copies):
                source.copy("C", target, name=f"m{k}")
        tracemalloc.start()
        check_dataset(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


def test_damage_inside_the_file_is_a_problem_of_its_molecule(file: Path) -> None:
    """Zeros over one molecule's energies on disk: checksums make reading fail."""
    with h5py.File(file, "r+") as raw:
        values = raw["CO/dft_total_energy"][()]
        del raw["CO/dft_total_energy"]
        field = raw["CO"].create_dataset(
            "dft_total_energy", data=values, chunks=(10,), fletcher32=True
        )
        field.attrs["units"] = "hartree"
        offset = field.id.get_chunk_info(0).byte_offset
    with open(file, "r+b") as stream:
        stream.seek(offset)
        stream.write(b"\0" * 40)
    report = check_dataset(file)
    assert [where for where, _ in report.problems] == ["CO"]
    assert "unreadable" in report.problems[0][1]


def test_a_truncated_file_cannot_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "half.h5"
    shutil.copy(DFT, path)
    with open(path, "r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(E3DError, match="truncated or not HDF5"):
        check_dataset(path)
