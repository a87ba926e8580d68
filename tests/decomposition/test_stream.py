"""A streamed decomposition is the one in memory, however it is cut, shared out or interrupted."""

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from ase.data import chemical_symbols
from examples import by_bonds_apart
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d import files
from e3d.chemistry import bonding
from e3d.data.dataset import Dataset
from e3d.data.molecule import conformations
from e3d.data.rules import FOREIGN, NOT_FINITE, TYPE_NAMES, UNREADABLE, steep
from e3d.decomposition import edges, maps, statistics_file, stream
from e3d.decomposition.pair_statistics import PairStatistics, pooled
from e3d.decomposition.statistics_file import read
from e3d.decomposition.stream import decompose_dataset, decompose_with
from e3d.errors import E3DError
from e3d.models.allegro import Model, build, load_model
from e3d.models.checkpoint import save_checkpoint
from e3d.paths import DATA, ROOT

NAMES = ("C", "C1CCC1", "CC", "CCO", "CO", "N", "N#N", "[H][H]")


def random_checkpoint(folder: Path, **changes: object) -> Path:
    """A small random model."""
    architecture = {
        "seed": 3, "model_dtype": "float32", "type_names": list(TYPE_NAMES), "r_max": 4.0,
        "l_max": 1, "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 2,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 7.5, "per_type_energy_scales": 1.3,
    } | changes  # fmt: skip
    names = architecture["type_names"]
    architecture["per_type_energy_shifts"] = {name: -10.0 - k for k, name in enumerate(names)}
    save_checkpoint(
        folder, build(architecture), architecture, dataset={}, training={}, cost={}, history=""
    )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoints") / "random")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A data set of some small molecules, in a folder of its own."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "few.h5"
    with h5py.File(DATA / "dft-small.h5") as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in NAMES:
            source.copy(name, target)
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two molecules at a time, and blocks that cut molecules."""
    monkeypatch.setattr(stream, "MOLECULES", 2)
    monkeypatch.setattr(maps, "BLOCK", 7)


def molecules_of(path: Path) -> list:
    with Dataset(path) as dataset:
        return list(dataset.usable())


def assert_equal(first: PairStatistics, second: PairStatistics) -> None:
    pd.testing.assert_frame_equal(first.map, second.map, check_dtype=False)
    for name in ("by_class", "by_separation"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name),
                                      check_dtype=False, rtol=1e-6, atol=1e-9)  # fmt: skip
    for name in ("n_molecules", "n_conformations"):
        assert getattr(first, name) == getattr(second, name)
    assert first.left_out.lines() == second.left_out.lines()


STEPS = {"length_A": 0.05, "energy_eV": 0.1}


def bins_of(decomposition: edges.Decomposition) -> list[tuple[str, int, int]]:
    """Element pair and bins of every pair of a structure."""
    found = edges.pair_energies(decomposition)
    symbols = [chemical_symbols[z] for z in decomposition.atomic_numbers]
    return [
        ("-".join(sorted((symbols[i], symbols[j]))), math.floor(r / 0.05), math.floor(e / 0.1))
        for (i, j), r, e in zip(found.pairs.tolist(), found.lengths, found.energies, strict=True)
    ]


def test_the_stream_is_the_computation_in_memory(
    few: Path, model: Model, checkpoint: Path, tmp_path: Path
) -> None:
    found = decompose_dataset(few, checkpoint, tmp_path / "out.h5", n_workers=1)
    molecules = molecules_of(few)
    decompositions = list(edges.decompose(model, conformations(molecules)))
    bins = Counter(bin_ for d in decompositions for bin_ in bins_of(d))
    assert found.map["count"].sum() == bins.total()
    for row in found.map.to_dict("records"):
        k, m = (round(row[name] / step - 0.5) for name, step in STEPS.items())
        assert bins[row["pair"], k, m] == row["count"]
        assert (row["length_A"], row["energy_eV"]) == ((k + 0.5) * 0.05, (m + 0.5) * 0.1)
    by_class: dict[str, list[float]] = {}
    by_separation = Counter[int]()
    remaining = iter(decompositions)
    for molecule in molecules:
        graph = bonding.from_mapped_smiles(molecule.smiles)
        bonds = bonding.bond_pairs(graph)
        for d in (next(remaining) for _ in range(len(molecule))):
            for (i, j), energy in zip(bonds, edges.bond_energies(d, bonds), strict=True):
                by_class.setdefault(bonding.bond_class(graph, i, j), []).append(energy)
            by_separation.update(by_bonds_apart(d, bonds))
    classes = found.by_class.set_index("class")
    assert set(classes.index) == set(by_class)
    for name, energies in by_class.items():
        row = classes.loc[name]
        assert row["count"] == len(energies)
        assert row["mean_eV"] == pytest.approx(np.mean(energies))
        assert row["m2_eV2"] / row["count"] == pytest.approx(np.var(energies), abs=1e-9)
    separations = found.by_separation.set_index("apart")
    sums = separations["count"] * separations["mean_eV"]
    for k in (1, 2, 3):
        assert sums[f"apart_{k}"] == pytest.approx(by_separation[k], rel=1e-6)
    assert sums.sum() == pytest.approx(sum(d.edge_energies.sum() for d in decompositions))
    worst = max(abs(d.sum_rule_error) / len(d.atomic_energies) for d in decompositions)
    assert found.sum_rule_error == pytest.approx(worst, rel=1)
    assert found.n_conformations == len(decompositions)
    assert found.n_molecules == len(molecules)


def test_pairs_between_fragments_are_a_kind_of_their_own(few: Path, model: Model) -> None:
    hydrogen = next(m for m in molecules_of(few) if m.name == "[H][H]").select(np.arange(1))
    two = type(hydrogen)(**{
        **hydrogen.__dict__, "smiles": "[H:1][H:2].[H:3][H:4]", "atomic_numbers": np.ones(4, int),
        "positions": np.concatenate([hydrogen.positions, hydrogen.positions + 2.0], axis=1),
    })  # fmt: skip
    found = maps.summarise(model, [two]).by_separation.set_index("apart")["count"]
    assert found.to_dict() == {"apart_1": 2, "between_fragments": 4}


values = st.lists(st.tuples(st.sampled_from(["C-C", "C-H"]), st.floats(-20, 5)), max_size=30)


@settings(deadline=None, max_examples=50)
@given(parts=st.lists(values, min_size=1, max_size=5), seed=st.integers(0, 9))
def test_moments_do_not_depend_on_how_a_sample_is_cut_and_merged(parts: list, seed: int) -> None:
    def sample(rows: list) -> pd.DataFrame:
        table = pd.DataFrame(rows, columns=["class", "mean_eV"]).astype({"mean_eV": float})
        return pooled(table.assign(count=1, m2_eV2=0.0), "class")

    whole = sample([row for part in parts for row in part])
    order = np.random.default_rng(seed).permutation(len(parts))
    total = PairStatistics()
    for k in order:
        total += PairStatistics(by_class=sample(parts[k]))
    assert total.by_class["class"].tolist() == whole["class"].tolist()
    assert total.by_class["count"].tolist() == whole["count"].tolist()
    for column in ("mean_eV", "m2_eV2"):
        np.testing.assert_allclose(total.by_class[column], whole[column], rtol=1e-9, atol=1e-9)


def test_a_small_variance_about_a_large_mean_survives() -> None:
    """Where Σε² − (Σε)²/n has no digit left."""
    rng = np.random.default_rng(0)
    sample = 1e6 + 1e-3 * rng.normal(size=1000)
    total = PairStatistics()
    for part in np.split(sample, 10):
        table = pd.DataFrame({"class": "C-C", "count": 1, "mean_eV": part, "m2_eV2": 0.0})
        total += PairStatistics(by_class=pooled(table, "class"))
    assert total.by_class["m2_eV2"].item() == pytest.approx(np.var(sample) * 1000, rel=1e-6)


def test_the_order_of_molecules_does_not_matter(few: Path, model: Model) -> None:
    molecules = molecules_of(few)
    forward, backward = (
        sum((maps.summarise(model, [m]) for m in order), PairStatistics())
        for order in (molecules, molecules[::-1])
    )
    assert_equal(forward, backward)


def test_two_workers_give_the_file_of_one(
    few: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # other processes cannot see the small blocks
    monkeypatch.setattr(stream, "MOLECULES", 2)
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    first = decompose_dataset(few, checkpoint, one, n_workers=1)
    second = decompose_dataset(few, checkpoint, two, n_workers=2)
    assert_equal(first, second)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "one.h5", "two.h5"]


class Killed(BaseException):
    """Stands for a kill: nothing in the library catches it."""


@pytest.fixture
def begun(
    few: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A file that was never interrupted, and the place of one whose call died in its third chunk.

    The third chunk was worked on, but not written.
    """
    whole, out = tmp_path / "whole.h5", tmp_path / "out.h5"
    decompose_dataset(few, checkpoint, whole, n_workers=1)
    write, calls = statistics_file.write, []

    def dying(path: Path, *arguments: object, **options: object) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise Killed
        write(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(statistics_file, "write", dying)
        with pytest.raises(Killed):
            decompose_dataset(few, checkpoint, out, n_workers=1)
    assert not out.exists()
    assert out.with_name("out.h5.partial").exists()
    return whole, out


def test_a_call_that_died_resumes_and_gives_the_identical_file(
    few: Path, checkpoint: Path, begun: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = begun
    evaluator, done = stream.evaluator, []
    monkeypatch.setattr(
        stream, "evaluator", lambda job, names: done.extend(names) or evaluator(job, names)
    )
    decompose_dataset(few, checkpoint, out, n_workers=1)
    with Dataset(few) as dataset:
        assert done == dataset.names[4:]  # the first two chunks are not done again
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in out.parent.iterdir()) == ["data", "out.h5", "whole.h5"]


def test_a_partial_file_of_something_else_is_refused_and_kept(
    few: Path, checkpoint: Path, begun: tuple[Path, Path]
) -> None:
    partial = begun[1].with_name("out.h5.partial")
    before = partial.read_bytes()
    with pytest.raises(E3DError, match=r"begun with another energy_step_eV; delete it"):
        decompose_dataset(few, checkpoint, begun[1], energy_step=0.2, n_workers=1)
    with h5py.File(few, "r+") as file:
        del file["CO"]
    with pytest.raises(E3DError, match=r"begun with another dataset; delete it"):
        decompose_dataset(few, checkpoint, begun[1], n_workers=1)
    assert partial.read_bytes() == before
    partial.write_bytes(before[:100])
    with pytest.raises(E3DError, match=r"out.h5.partial is no statistics file"):
        decompose_dataset(few, checkpoint, begun[1], n_workers=1)


def e3d(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "e3d", "decompose", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300, **options,
    )  # fmt: skip


def test_a_second_call_is_refused_while_the_first_runs(few: Path, checkpoint: Path) -> None:
    out = few.parent / "out.h5"
    with files.locked(out):
        done = e3d(few, "--model", checkpoint, "--out", out)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"e3d: {out} is being written by process {os.getpid()} on ")
    assert [p.name for p in few.parent.iterdir()] == ["few.h5"]


def test_an_old_output_is_replaced_but_not_one_that_appears_meanwhile(
    few: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = few.parent / "out.h5"
    out.write_text("old")
    decompose_dataset(few, checkpoint, out, n_workers=1)
    whole = out.read_bytes()
    out.unlink()
    write = statistics_file.write

    def meddling(*arguments: object, **options: object) -> None:
        write(*arguments, **options)
        out.write_text("another's")

    with monkeypatch.context() as patch:
        patch.setattr(statistics_file, "write", meddling)
        with pytest.raises(E3DError, match="is left as it is"):
            decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_text() == "another's"
    out.unlink()
    decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_bytes() == whole
    assert sorted(p.name for p in few.parent.iterdir()) == ["few.h5", "out.h5"]


@pytest.mark.slow
def test_a_killed_command_resumes(checkpoint: Path, tmp_path: Path) -> None:
    given = [DATA / "dft-small.h5", "--model", checkpoint, "--workers", 1]
    whole, out = tmp_path / "whole.h5", tmp_path / "out.h5"
    assert e3d(*given, "--out", whole).returncode == 0
    partial = tmp_path / "out.h5.partial"
    command = [sys.executable, "-m", "e3d", "decompose", *map(str, given), "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        while not partial.exists() and run.poll() is None:
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
    assert partial.exists()
    assert not out.exists()
    done = e3d(*given, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "922 conformations, 95 molecules" in done.stdout
    assert out.read_bytes() == whole.read_bytes()
    assert not partial.exists()


@pytest.mark.slow
def test_a_killed_worker_costs_its_chunk_and_no_result(checkpoint: Path, tmp_path: Path) -> None:
    many, whole, out = tmp_path / "many.h5", tmp_path / "whole.h5", tmp_path / "out.h5"
    with h5py.File(DATA / "dft-small.h5") as source, h5py.File(many, "w") as target:
        target.attrs.update(source.attrs)
        for k in range(8):
            for name in source:
                source.copy(name, target, f"{name} {k}")
    assert e3d(many, "--model", checkpoint, "--workers", 1, "--out", whole).returncode == 0
    command = [sys.executable, "-m", "e3d", "decompose", many, "--model", checkpoint,
               "--workers", "2", "--out", out]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as run:  # fmt: skip
        while not out.with_name("out.h5.partial").exists() and run.poll() is None:
            time.sleep(0.01)
        workers = [p for p in psutil.Process(run.pid).children()
                   if "spawn_main" in " ".join(p.cmdline())]  # fmt: skip
        workers[0].kill()
        _, told = run.communicate()
    assert run.returncode == 0, told
    assert len(workers) == 2
    assert out.read_bytes() == whole.read_bytes()


def test_a_truncated_data_set_leaves_nothing_behind(few: Path, checkpoint: Path) -> None:
    with open(few, "r+b") as stream_:
        stream_.truncate(few.stat().st_size // 2)
    done = e3d(few, "--model", checkpoint, "--out", few.parent / "out.h5")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"e3d: data set {few} is truncated or not HDF5")
    assert [p.name for p in few.parent.iterdir()] == ["few.h5"]


@pytest.mark.parametrize(
    ("field", "value", "n_workers", "reason", "cause"),
    [
        ("conformations", np.nan, 2, NOT_FINITE, "field 'conformations' is not finite"),
        ("dft_total_gradient", np.nan, 1, NOT_FINITE, "field 'dft_total_gradient' is not finite"),
        ("conformations", 0.0, 1, maps.FLAWED, "two atoms coincide"),
        ("atomic_numbers", 16, 1, UNREADABLE, "its atoms are not those"),
        ("smiles", "N#N", 1, UNREADABLE, "atom maps do not number every atom"),
        ("smiles", "C1(", 1, UNREADABLE, "cannot be parsed"),
    ],
)
def test_a_bad_molecule_among_good_ones_is_left_out_and_named(
    few: Path, checkpoint: Path, field: str, value: float | str, n_workers: int, reason: str,
    cause: str,
) -> None:  # fmt: skip
    with h5py.File(few, "r+") as file:
        n_conformations = sum(len(file[name]["conformations"]) for name in NAMES)
        n_bad = len(file["N#N/conformations"])
        file["N#N"][field][...] = value
    out = few.parent / "out.h5"
    found = decompose_dataset(few, checkpoint, out, n_workers=n_workers)
    assert found.n_conformations == n_conformations - n_bad
    assert found.n_molecules == len(NAMES) - 1
    ((why, entry),) = found.left_out.reasons.items()
    assert (why, entry.n_molecules) == (reason, 1)
    assert entry.n_conformations == (0 if reason == UNREADABLE else n_bad)
    assert entry.first[0].startswith("N#N: ")
    assert cause in entry.first[0]
    assert_equal(read(out), found)
    assert sorted(p.name for p in few.parent.iterdir()) == ["few.h5", "out.h5"]


def test_bad_input_never_costs_what_was_done(
    few: Path, checkpoint: Path, begun: tuple[Path, Path]
) -> None:
    whole, out = begun
    times = few.stat()
    with open(few, "r+b") as stream_:
        content = stream_.read()
        stream_.truncate(len(content) // 2)
    partial = out.with_name("out.h5.partial")
    before = partial.read_bytes()
    with pytest.raises(E3DError, match="truncated"):
        decompose_dataset(few, checkpoint, out, n_workers=1)
    assert partial.read_bytes() == before
    few.write_bytes(content)
    os.utime(few, ns=(times.st_atime_ns, times.st_mtime_ns))
    decompose_dataset(few, checkpoint, out, n_workers=1)
    assert out.read_bytes() == whole.read_bytes()


def test_a_model_that_can_decompose_nothing_is_told_at_once(
    few: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "SUM_RULE_TOLERANCE", {})
    monkeypatch.setattr(edges, "flaw", lambda *_: "no sum over edges")
    with pytest.raises(E3DError, match="no conformation can be decomposed; C: no sum over edges"):
        decompose_dataset(few, checkpoint, few.parent / "out.h5", n_workers=1)


def test_what_is_passed_over_is_counted(few: Path, checkpoint: Path) -> None:
    whole = decompose_dataset(few, checkpoint, few.parent / "whole.h5", n_workers=1)
    with h5py.File(few, "r+") as file:
        n_left_out = len(file["N#N/conformations"])
        file["N#N/atomic_numbers"][...] = 53
        file["CO/dft_total_gradient"][0] = 2.0
    found = decompose_dataset(few, checkpoint, few.parent / "out.h5", n_workers=1)
    assert {why: entry.n_conformations for why, entry in found.left_out.reasons.items()} == {
        FOREIGN: n_left_out, steep(): 1
    }  # fmt: skip
    assert found.n_conformations == whole.n_conformations - n_left_out - 1
    assert found.n_molecules == whole.n_molecules - 1
    assert_equal(read(few.parent / "out.h5"), found)
    with h5py.File(few, "r+") as file:
        for name in file:
            file[name]["atomic_numbers"][...] = 53
    with pytest.raises(E3DError, match=r"no conformation to decompose: .* outside the model's"):
        decompose_dataset(few, checkpoint, few.parent / "none.h5", n_workers=1)
    assert not (few.parent / "none.h5.partial").exists()


def test_charged_molecules_are_decomposed_on_demand(few: Path, checkpoint: Path) -> None:
    with h5py.File(few, "r+") as file:
        n_charged = len(file["N#N/conformations"])
        file["N#N/smiles"][...] = "[N-:1]=[N-:2]"
    for charged in (False, True):
        out = few.parent / f"{charged}.h5"
        found = decompose_dataset(few, checkpoint, out, n_workers=1, charged=charged)
        assert found.left_out.lines() == (
            [] if charged else [f"{n_charged} conformations of 1 molecule, charged: N#N: -2"]
        )
    partial = few.parent / "True.h5.partial"
    out.rename(partial)
    with pytest.raises(E3DError, match="begun with another charged"):
        decompose_dataset(few, checkpoint, out, n_workers=1)


def test_several_models_give_what_each_gives_alone(
    few: Path, checkpoint: Path, tmp_path: Path
) -> None:
    other = random_checkpoint(tmp_path / "other", seed=4)
    fewer = random_checkpoint(tmp_path / "fewer", type_names=["H", "C"])
    models = [checkpoint, other, fewer]
    found = decompose_with(few, models, tmp_path / "all.h5", n_workers=1)
    assert list(found) == ["random", "other", "fewer"]
    for path in models:
        alone = decompose_dataset(few, path, tmp_path / "one.h5", n_workers=1)
        assert_equal(found[path.name], alone)
        assert_equal(read(tmp_path / "all.h5", path.name), alone)
    assert found["fewer"].left_out.reasons[FOREIGN].first[0] == "CCO: O"
    with pytest.raises(E3DError, match="is of the models random, other, fewer; give one of them"):
        read(tmp_path / "all.h5")
    with pytest.raises(E3DError, match="models of the same name: random, random"):
        decompose_with(few, [checkpoint, checkpoint], tmp_path / "twice.h5")


def test_a_device_that_is_not_there_is_told(few: Path, checkpoint: Path) -> None:
    for device, cause in (("gpu7", "unknown device 'gpu7'"), ("cuda:99", "sees no GPU")):
        if device.startswith("cuda") and torch.cuda.is_available():
            continue
        with pytest.raises(E3DError, match=cause):
            decompose_dataset(few, checkpoint, few.parent / "out.h5", device=device)


def test_the_output_may_not_be_the_input(few: Path, checkpoint: Path) -> None:
    for out in (few, few.parent):
        with pytest.raises(E3DError, match="choose another output file"):
            decompose_dataset(few, checkpoint, out, n_workers=1)


def test_the_file_holds_variances_and_other_files_are_refused(few: Path, checkpoint: Path) -> None:
    out = few.parent / "out.h5"
    total = decompose_dataset(few, checkpoint, out, n_workers=1)
    with h5py.File(out) as file:
        np.testing.assert_array_equal(
            file["by_class/variance_eV2"][()], total.by_class["m2_eV2"] / total.by_class["count"]
        )
    with pytest.raises(E3DError, match=r"few.h5 is no statistics file"):
        read(few)


@pytest.mark.parametrize(
    ("name", "n_conformations", "n_molecules"),
    [
        ("one-bad-molecule", 29, 3), ("nan-in-one-gradient", 29, 3), ("empty-molecule", 30, 3),
        ("radical", 30, 3), ("nested-groups", 40, 4), ("smiles-not-utf8", 20, 2),
    ],
)  # fmt: skip
def test_inputs_that_once_ended_a_run(
    name: str, n_conformations: int, n_molecules: int, checkpoint: Path, tmp_path: Path
) -> None:
    """Thirty good conformations of three molecules, and one thing wrong or unusual."""
    path = Path(__file__).parents[1] / "cases" / f"{name}.h5"
    found = decompose_dataset(path, checkpoint, tmp_path / "out.h5", n_workers=1)
    assert (found.n_conformations, found.n_molecules) == (n_conformations, n_molecules)
    assert bool(found.left_out) == (name != "nested-groups")
