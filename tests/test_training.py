"""A small training through nequip-train: folds, shuffled labels, checkpoints, resuming."""

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from ase import Atoms

from e3d import training
from e3d.dataset import Dataset
from e3d.errors import E3DError
from e3d.evaluation import predict
from e3d.model import load_model
from e3d.split import fold
from e3d.training import Settings, select

DFT = Path("data/dft-small.h5")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file with molecules of every fold."""
    path = tmp_path_factory.mktemp("labels") / "some.h5"
    wanted = Counter(train=12, validation=2, test=2)
    with Dataset(DFT) as dataset, h5py.File(DFT) as source, h5py.File(path, "w") as copy:
        copy.attrs.update(source.attrs)
        for molecule in dataset.usable():
            part = fold(molecule.canonical_smiles)
            if wanted[part]:
                source.copy(molecule.name, copy)
                wanted[part] -= 1
    return path


def tiny(labels: Path, **changes) -> Settings:
    settings = Settings(
        dataset=str(labels), n_scalar_features=8, n_tensor_features=2, l_max=1, steps=40,
        batch_size=8, compile=False,
    )  # fmt: skip
    return Settings(**{**asdict(settings), **changes})


def test_the_parts_are_disjoint_and_nothing_is_lost() -> None:
    with Dataset(DFT) as dataset:
        molecules = list(dataset.usable())
    parts = [("train", "conformations"), ("validation", "conformations"), ("test", "conformations"),
             ("validation", "molecules"), ("test", "molecules")]  # fmt: skip
    chosen = [
        (molecule.name, geometry.tobytes())
        for part, held_out in parts
        for molecule in select(molecules, part, held_out)
        for geometry in molecule.positions
    ]
    assert len(set(chosen)) == len(chosen) == sum(len(m) for m in molecules)


def test_the_training_part_is_the_same_for_both_tests() -> None:
    with Dataset(DFT) as dataset:
        molecules = list(dataset.usable())
    first, second = (
        [m.positions.tobytes() for m in select(molecules, "train", held_out)]
        for held_out in ("conformations", "molecules")
    )
    assert first == second


def test_shuffling_keeps_the_distribution_and_loses_the_relation(labels: Path) -> None:
    def read(kind: str) -> list[dict]:
        return training.SpiceFold(str(labels), "train", 4.0, labels=kind)[:]

    true, shuffled = read("true"), read("shuffled")

    def gathered(frames: list[dict], key: str) -> np.ndarray:
        return np.concatenate([frame[key].numpy().reshape(-1) for frame in frames])

    assert np.array_equal(gathered(true, "pos"), gathered(shuffled, "pos"))
    types = gathered(true, "atom_types")
    for number in np.unique(types):
        atoms = np.repeat(types == number, 3)
        before, after = gathered(true, "forces")[atoms], gathered(shuffled, "forces")[atoms]
        assert np.allclose(np.sort(before), np.sort(after))
    assert abs(np.corrcoef(gathered(true, "forces"), gathered(shuffled, "forces"))[0, 1]) < 0.1
    with Dataset(labels) as dataset:
        zero = dataset.atomic_energies("aligned")

    def binding(frames: list[dict]) -> np.ndarray:
        zeros = [
            sum(zero[training.TYPE_NAMES[t]] for t in f["atom_types"].tolist()) for f in frames
        ]
        sizes = [len(f["atom_types"]) for f in frames]
        return (gathered(frames, "total_energy") - zeros) / sizes

    assert np.allclose(np.sort(binding(true)), np.sort(binding(shuffled)))
    assert not np.allclose(binding(true), binding(shuffled))


def test_more_conformations_than_there_are_is_an_error(labels: Path) -> None:
    with pytest.raises(E3DError, match="10000 were asked for"):
        training.SpiceFold(str(labels), "train", 4.0, n_conformations=10_000)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_the_checkpoint_predicts_what_nequip_predicts(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    from nequip.integrations.ase import NequIPCalculator

    kept = {}

    def keep(folder: Path) -> None:  # the state of the run would be removed
        kept["state"] = Path(folder) / "state.ckpt"

    monkeypatch.setattr(training, "shutil", SimpleNamespace(rmtree=keep))
    training.train(tiny(labels, optimizer=optimizer), tmp_path / "run", work=tmp_path / "work")
    calculator = NequIPCalculator._from_saved_model(
        kept["state"], chemical_species_to_atom_type_map=True
    )
    with Dataset(labels) as dataset:
        molecule = next(iter(dataset.usable()))
    frames = [Atoms(molecule.atomic_numbers, geometry) for geometry in molecule.positions[:4]]
    energies, forces = predict(load_model(tmp_path / "run"), frames)
    for atoms, energy, ours in zip(frames, energies, forces, strict=True):
        atoms.calc = calculator
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5 * len(atoms))
        assert ours == pytest.approx(atoms.get_forces(), abs=1e-5)


def test_a_killed_training_takes_nequip_with_it_and_goes_on(labels: Path, tmp_path: Path) -> None:
    settings = tiny(labels, steps=400)
    script = (
        "from e3d.training import Settings, train\n"
        f"train(Settings(**{asdict(settings)!r}), {str(tmp_path / 'run')!r}, "
        f"work={str(tmp_path / 'work')!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    state = wait_for(lambda: next((tmp_path / "work").glob("*/state.ckpt"), None))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert children
    wait_for(lambda: not any(alive(int(child)) for child in children))
    assert not (tmp_path / "run").exists()
    before = len(list(state.parent.glob("log/version_*")))
    training._run_nequip(state.parent, settings.batch_size)
    history = training.history(state.parent)
    assert len(list(state.parent.glob("log/version_*"))) == before + 1
    assert history["epoch"].tolist() == list(range(len(history)))
    # weights_only=False: the pickle was written a moment ago by this test
    state = torch.load(state, weights_only=False)
    assert state["global_step"] == settings.steps


def wait_for(condition, seconds: float = 240):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.2)
    raise TimeoutError


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_batch_larger_than_the_training_fold_is_an_error(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(E3DError, match="fewer than one batch of 10000"):
        training.train(tiny(labels, batch_size=10_000), tmp_path / "run", work=tmp_path / "work")
    assert not (tmp_path / "run").exists()


def test_a_failing_training_shows_the_last_line_of_its_log(labels: Path, tmp_path: Path) -> None:
    settings = tiny(labels, n_layers=0)
    with pytest.raises(E3DError, match=r"nequip-train ended with code 1: .*train\.log"):
        training.train(settings, tmp_path / "run", work=tmp_path / "work")
    assert not (tmp_path / "run").exists()
    assert next((tmp_path / "work").glob("*/train.log")).exists()
