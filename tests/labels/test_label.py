"""Labels: stored ones are reproduced, gradients are derivatives, work resumes, nothing is lost."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from e3d.chemistry.bonding import from_mapped_smiles, keeps_its_configuration
from e3d.chemistry.levels import FRAMES, METHODS, isolated_atoms
from e3d.chemistry.xtb import relax
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels import label as labelling
from e3d.labels.label import label, label_molecules, read_part, read_sources
from e3d.labels.sampling import Sampling, sample
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

DFT = Path("data/dft-small.h5")
FEW = Sampling(temperatures_K=(300,), frame_interval_fs=5)


def small_molecules() -> list:
    """Two molecules of H, C, N, O with at most 4 atoms, drawn with a fixed seed."""
    with Dataset(DFT) as dataset:
        small = [m for m in dataset if len(m.atomic_numbers) <= 4 and m.atomic_numbers.max() <= 8]
    rng = np.random.default_rng(20)
    return [small[k] for k in rng.choice(len(small), 2, replace=False)]


def test_dft_reproduces_stored_energies_of_stored_geometries() -> None:
    rng = np.random.default_rng(21)
    for molecule in small_molecules():
        k = int(rng.integers(len(molecule)))
        bohr = molecule.positions[k] / ANGSTROM_PER_BOHR
        energy, gradient = METHODS["wb97m-d3bj/def2-tzvp"](molecule.atomic_numbers, bohr)
        stored = molecule.energies[k] / EV_PER_HARTREE
        assert energy == pytest.approx(stored, abs=1e-6), molecule.name
        forces = -gradient * EV_PER_HARTREE / ANGSTROM_PER_BOHR
        np.testing.assert_allclose(forces, molecule.forces[k], atol=1e-3)


@pytest.mark.parametrize("method", FRAMES)
def test_frames_of_a_molecule_are_labelled_as_if_alone(method: str) -> None:
    """An SCF that begins with the density of the frame before ends where any other ends."""
    numbers = np.array([9, 1])
    frames = np.array([[[0.0, 0, 0], [0, 0, r]] for r in (1.7, 2.1, 1.5)])
    for frame, (energy, gradient) in zip(frames, FRAMES[method](numbers, frames), strict=True):
        alone, slope = METHODS[method](numbers, frame)
        assert energy == pytest.approx(alone, abs=1e-8)
        np.testing.assert_allclose(gradient, slope, atol=1e-5)


def test_dft_isolated_atoms_are_the_stored_ones() -> None:
    with Dataset(DFT) as dataset:
        stored = dataset.atomic_energies()
    computed = isolated_atoms("wb97m-d3bj/def2-tzvp", ["H", "N"])
    for symbol, energy in computed.items():
        assert energy == pytest.approx(stored[symbol], abs=1e-6 * EV_PER_HARTREE)


def test_gfn2_gradient_is_the_derivative_of_its_energy() -> None:
    with Dataset(DFT) as dataset:
        molecule = dataset["CO"]
    positions = molecule.positions[4] / ANGSTROM_PER_BOHR
    rng = np.random.default_rng(3)
    direction = rng.normal(size=positions.shape)
    direction /= np.linalg.norm(direction)
    gfn2, step = METHODS["gfn2"], 1e-3
    ahead, _ = gfn2(molecule.atomic_numbers, positions + step * direction)
    behind, _ = gfn2(molecule.atomic_numbers, positions - step * direction)
    _, gradient = gfn2(molecule.atomic_numbers, positions)
    assert (gradient * direction).sum() == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)
    assert abs((gradient * direction).sum()) > 1e-3, "the direction must test something"


def test_relaxation_ends_in_a_minimum_of_the_same_molecule() -> None:
    molecule = sample("CO", FEW)
    numbers, positions = molecule.atomic_numbers, molecule.positions[0]
    _, gradient = METHODS["gfn2"](numbers, positions / ANGSTROM_PER_BOHR)
    assert np.abs(gradient).max() * EV_PER_HARTREE / ANGSTROM_PER_BOHR < 0.02
    np.testing.assert_allclose(relax(numbers, positions), positions, atol=1e-6)
    assert molecule.temperatures is not None
    assert molecule.temperatures.tolist() == [0, 300]
    assert molecule.name == "CO"


def test_what_is_stored_is_what_was_labelled() -> None:
    molecule = label(sample("O", FEW), "gfn2")
    for frame, energy in zip(molecule.positions, molecule.energies, strict=True):
        bohr = (frame / ANGSTROM_PER_BOHR).astype(np.float32).astype(float)
        again, _ = METHODS["gfn2"](molecule.atomic_numbers, bohr)
        assert energy == pytest.approx(again * EV_PER_HARTREE, abs=1e-7)


def contents(path: Path) -> dict:
    with Dataset(path) as dataset:
        molecules = {m.name: m for m in dataset}
        return {**dataset.attributes, **{k: repr(vars(m)) for k, m in molecules.items()}}


SOURCES = ["C", "N", "O", "[NH4+]"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set labelled in one go; the cation is left out with a reason."""
    path = tmp_path_factory.mktemp("label") / "whole.h5"
    skipped = label_molecules(SOURCES, "gfn2", path, settings=FEW, n_workers=1, progress=False)
    assert list(skipped) == ["[NH4+]"]
    assert "charge +1" in skipped["[NH4+]"]
    return path


def test_a_labelled_data_set_is_complete(labelled: Path) -> None:
    with Dataset(labelled) as dataset:
        molecules = list(dataset.usable())
        atoms = dataset.atomic_energies()
    assert [m.name for m in molecules] == ["C", "N", "O"]
    zero = atoms["O"] + 2 * atoms["H"]
    assert molecules[2].formation_energies[0] == pytest.approx(molecules[2].energies[0] - zero)
    assert [path.name for path in labelled.parent.iterdir()] == [labelled.name]


CALL = """
from e3d.labels.label import label_molecules
from e3d.labels.sampling import Sampling
if __name__ == "__main__":
    label_molecules({sources}, "gfn2", "{out}", settings=Sampling(temperatures_K=(300,),
                    frame_interval_fs=5), n_workers=1, progress=False)
"""


def test_a_killed_call_leaves_nothing_running_and_resumes(labelled: Path, tmp_path: Path) -> None:
    """SIGKILL after the first finished molecule; the resumed file equals that made in one go."""
    out, script = tmp_path / "resumed.h5", tmp_path / "call.py"
    script.write_text(CALL.format(sources=SOURCES, out=out))
    with subprocess.Popen([sys.executable, script], start_new_session=True) as process:
        try:
            wait_for(lambda: finished(tmp_path))
        finally:
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: not group_runs(process.pid))
    assert not out.exists()
    first = finished(tmp_path)[0]
    before, read = first.stat().st_mtime_ns, {}

    def reading(path: Path) -> Molecule:
        read[path] = path.stat().st_mtime_ns
        return read_part(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "read_part", reading)
        label_molecules(SOURCES, "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert read[first] == before, "the finished molecule must not be labelled again"
    assert contents(out) == contents(labelled)


def test_of_two_calls_into_one_file_one_is_refused_and_no_molecule_is_lost(tmp_path: Path) -> None:
    listed, out = tmp_path / "list.smi", tmp_path / "out" / "both.h5"
    names = ["C", "CC", "CCC", "CO", "N", "O"]
    listed.write_text("\n".join(names))
    command = [sys.executable, "-m", "e3d", "label", listed, "--method", "gfn2", "--out", out,
               "--frames", "0", "--workers", "1"]  # fmt: skip
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[1].splitlines() for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    winner = next(process for process in both if process.returncode == 0)
    (line,) = next(lines for lines, p in zip(said, both, strict=True) if p is not winner)
    assert line.startswith(f"e3d: {out} is being written by process {winner.pid} on ")
    with Dataset(out) as dataset:
        assert sorted(dataset.names) == names
    assert list(out.parent.iterdir()) == [out]


def finished(folder: Path) -> list[Path]:
    """Partial results of the call that writes into this folder."""
    return [path for path in folder.glob("*.parts/*") if not path.suffix]


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def group_runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_data_set_is_labelled_anew_at_its_stored_geometries(
    labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again.h5"
    sources = read_sources(labelled)
    label_molecules(sources, "gfn2", out, n_workers=1, progress=False)
    with Dataset(labelled) as one, Dataset(out) as two:
        for first, second in zip(one, two, strict=True):
            np.testing.assert_allclose(first.energies, second.energies, atol=1e-7)
            np.testing.assert_array_equal(first.positions, second.positions)
        assert "taken as stored" in two.attributes["provenance"]


def test_an_existing_data_set_is_never_overwritten(labelled: Path) -> None:
    before = labelled.read_bytes()
    with pytest.raises(E3DError, match="labels are never overwritten"):
        label_molecules(["O"], "gfn2", labelled, settings=FEW, n_workers=1, progress=False)
    assert labelled.read_bytes() == before


def test_a_failed_write_leaves_no_half_file_and_keeps_the_partial_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data.h5"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(E3DError, match="No space left on device; the old file, if any, is untouc"):
        label_molecules(["O"], "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert not out.exists()
    assert len(finished(tmp_path)) == 1
    assert not list(tmp_path.glob(".*.tmp"))


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


@pytest.mark.parametrize("method", METHODS)
def test_odd_numbers_of_electrons_are_refused(method: str) -> None:
    with pytest.raises(E3DError, match="9 electrons cannot have 0 unpaired"):
        METHODS[method](np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1.8]]))


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


def torsion(molecule: Molecule) -> float:
    """Angle C-C=C-C of 2-butene in degrees, 0 to 180."""
    backbone = Atoms("C4", molecule.positions[0][:4])
    angle = backbone.get_dihedral(0, 1, 2, 3)
    return min(angle, 360 - angle)


def test_stereoisomers_are_two_molecules_each_with_its_geometry(tmp_path: Path) -> None:
    sources = read_sources("tests/cases/cis_trans.smi")
    assert sources == ["C/C=C\\C", "C/C=C/C"]
    assert read_sources("tests/cases/cis.smi") == sources[:1]
    out, still = tmp_path / "both.h5", Sampling(frames_per_temperature=0)
    label_molecules(["CO", *sources], "gfn2", out, settings=still, n_workers=1, progress=False)
    with Dataset(out) as dataset:
        found = {molecule.name: molecule for molecule in dataset.usable()}
    assert sorted(found) == ["C%2FC=C%2FC", "C%2FC=C\\C", "CO"]
    assert torsion(found["C%2FC=C\\C"]) == pytest.approx(0, abs=5)
    assert torsion(found["C%2FC=C%2FC"]) == pytest.approx(180, abs=5)
    assert found["C%2FC=C%2FC"].canonical_smiles == "CC=CC", "the split knows no stereoisomers"


def test_a_centre_keeps_its_hand() -> None:
    """Right- and left-handed: the sign of the volume that the four ligands span."""
    still, volumes = Sampling(frames_per_temperature=0), []
    for smiles in ("N[C@](F)(Cl)C", "N[C@@](F)(Cl)C"):
        molecule = sample(smiles, still)
        graph = from_mapped_smiles(molecule.smiles)
        (centre,) = (a for a in graph.GetAtoms() if a.GetDegree() == 4 and a.GetSymbol() == "C"
                     and {n.GetSymbol() for n in a.GetNeighbors()} >= {"F", "Cl"})  # fmt: skip
        ligands = {n.GetSymbol(): n.GetIdx() for n in centre.GetNeighbors()}
        at = molecule.positions[0] - molecule.positions[0][centre.GetIdx()]
        volumes.append(np.linalg.det(at[[ligands[e] for e in ("N", "F", "Cl")]]))
    assert np.sign(volumes[0]) == -np.sign(volumes[1])
    mirrored = molecule.positions[0] * [1, 1, -1]
    assert keeps_its_configuration(graph, molecule.positions[0])
    assert not keeps_its_configuration(graph, mirrored)


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


def test_ctrl_c_in_the_embedding_stops_and_leaves_the_molecule_for_later(tmp_path: Path) -> None:
    """RDKit swallows the signal, and C60 once counted as too strained for good."""
    out = tmp_path / "new.h5"
    command = [sys.executable, "-m", "e3d", "label", "tests/cases/c60.smi", "--method", "gfn2",
               "--out", out, "--workers", "1", "--frames", "0"]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: embeds(process.pid))
        finally:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("e3d: interrupted")
    assert "Traceback" not in said
    assert not out.exists()
    assert not list(tmp_path.glob("*.parts/*.reason"))


def embeds(group: int) -> bool:
    """Whether a process of this group has a child outside it: the one that embeds."""
    parents, groups = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            _, parent, its_group = path.read_text().rsplit(")", 1)[1].split()[:3]
            parents[path.parent.name], groups[path.parent.name] = parent, int(its_group)
    return any(
        groups[process] != group and groups.get(parent) == group
        for process, parent in parents.items()
    )


def test_workers_are_renewed_without_losing_molecules(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelling, "TASKS_PER_WORKER", 2)
    out = tmp_path / "batches.h5"
    label_molecules(SOURCES, "gfn2", out, settings=FEW, n_workers=1, progress=False)
    assert contents(out) == contents(labelled)
