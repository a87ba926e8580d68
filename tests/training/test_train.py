"""A small training through nequip-train: folds, shuffled labels, checkpoints, resuming."""

import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers
from tests.examples import labelled

from e3d.data.dataset import TYPE_NAMES, Dataset
from e3d.data.split import select
from e3d.data.writing import write_dataset
from e3d.decomposition.edges import decompose
from e3d.errors import E3DError
from e3d.models.allegro import load_model, untrained
from e3d.models.checkpoint import snapshot_steps
from e3d.training import train
from e3d.training.data import SpiceSplit, _frames, _index
from e3d.training.evaluation import predict
from e3d.training.loading import FixedLengthSampler, loader
from e3d.training.settings import Settings

DFT = Path("data/dft-small.h5")
TYPE_NUMBERS = [atomic_numbers[symbol] for symbol in TYPE_NAMES]


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
        return SpiceSplit([str(labels)], "train", 4.0, labels=kind)[:]

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
        zeros = [sum(zero[TYPE_NAMES[t]] for t in f["atom_types"].tolist()) for f in frames]
        sizes = [len(f["atom_types"]) for f in frames]
        return (gathered(frames, "total_energy") - zeros) / sizes

    assert np.allclose(np.sort(binding(true)), np.sort(binding(shuffled)))
    assert not np.allclose(binding(true), binding(shuffled))


def test_more_conformations_than_there_are_is_an_error(labels: Path) -> None:
    with pytest.raises(E3DError, match="10000 were asked for"):
        SpiceSplit([str(labels)], "train", 4.0, n_conformations=10_000)


def geometries(path: Path, **options) -> list[tuple[tuple[int, ...], bytes]]:
    frames = SpiceSplit([str(path)], "train", 4.0, **options)[:]
    return [(tuple(f["atom_types"].tolist()), f["pos"].numpy().tobytes()) for f in frames]


def test_a_smaller_draw_is_part_of_a_larger_one(labels: Path) -> None:
    small, large = (set(geometries(labels, n_conformations=n, seed=3)) for n in (10, 40))
    assert len(small) == 10
    assert len(large) == 40
    assert small < large
    assert set(geometries(labels, n_conformations=10, seed=4)) != small


def test_so_many_conformations_of_each_molecule(labels: Path) -> None:
    drawn = geometries(labels, n_conformations=20, per_molecule=5)
    assert len(set(drawn)) == 20
    with Dataset(labels) as dataset:
        owner = {g.tobytes(): m.name for m in dataset.usable() for g in m.positions}
    assert sorted(Counter(owner[geometry] for _, geometry in drawn).values()) == [5, 5, 5, 5]
    with pytest.raises(E3DError, match="in molecules that have 5 in the fold 'train'"):
        geometries(labels, n_conformations=1000, per_molecule=5)


def test_only_molecules_of_the_elements_asked_for(labels: Path) -> None:
    hydrocarbons = [types for types, _ in geometries(labels, elements=("H", "C"))]
    assert hydrocarbons
    assert {t for types in hydrocarbons for t in types} <= {0, 1}
    assert len(hydrocarbons) < len(geometries(labels))


def test_radicals_are_trained_on_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """The same conformations as without them, and the radicals of the training fold besides."""
    entries = [labelled(smiles, -1.0) for smiles in ("CCO", "CO", "[CH3]", "C[CH2]", "C[O]")]
    path = tmp_path / "some.h5"
    write_dataset(path, entries, level_of_theory="test", provenance="test",
                  atomic_energies={"H": -13.6, "C": -1030.0, "O": -2042.0})  # fmt: skip
    of_parity: dict[bool, Counter[int]] = {}
    for radicals in (False, True):
        found = SpiceSplit([str(path)], "train", 4.0, radicals=radicals)
        left_out = set() if radicals else {"unpaired electrons"}
        assert found.left_out.reasons.keys() == left_out
        assert found.elements == ["H", "C", "O"]
        n_electrons = [np.array(TYPE_NUMBERS)[f["atom_types"]].sum() for f in found[:]]
        of_parity[radicals] = Counter(n % 2 for n in n_electrons)
    assert not of_parity[False][1]
    assert of_parity[True][1]
    assert of_parity[True][0] == of_parity[False][0]


def test_files_of_two_zeros_are_not_mixed(labels: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    shutil.copyfile(labels, other)
    both = SpiceSplit([str(labels), str(other)], "train", 4.0)
    assert len(both) == 2 * len(geometries(labels))
    with h5py.File(other, "r+") as file:
        zero = json.loads(file.attrs["atomic_energies"])
        file.attrs["atomic_energies"] = json.dumps(zero | {"C": zero["C"] + 0.01})
    _index.cache_clear()
    _frames.cache_clear()
    with pytest.raises(E3DError, match=r"eV for an atom of C, .*one level of theory"):
        SpiceSplit([str(labels), str(other)], "train", 4.0)


@pytest.mark.parametrize(("size", "length"), [(7, 5), (3, 10), (6, 6)])
def test_each_conformation_comes_once_in_a_pass(size: int, length: int) -> None:
    passes = FixedLengthSampler(size, length, torch.Generator().manual_seed(0))
    epochs = [list(passes) for _ in range(12)]
    assert all(len(epoch) == length == len(passes) for epoch in epochs)
    drawn = [item for epoch in epochs for item in epoch]
    for start in range(0, len(drawn) - size + 1, size):
        assert sorted(drawn[start : start + size]) == list(range(size))
    assert drawn[:size] != drawn[size : 2 * size] or size == 1


def test_an_epoch_is_a_number_of_steps(labels: Path) -> None:
    data = SpiceSplit([str(labels)], "train", 4.0, n_conformations=20)
    assert len(loader(data, steps_per_epoch=9, batch_size=8, collate_fn=list)) == 9
    assert len(loader(data, steps_per_epoch=0, batch_size=8, collate_fn=list)) == 3


def test_weights_kept_on_the_way_lead_to_those_at_the_end(labels: Path, tmp_path: Path) -> None:
    train.train(
        tiny(labels, n_conformations=20, steps_per_epoch=10, n_validation=4, snapshots=(1, 10, 40)),
        tmp_path / "run", work=tmp_path / "work",
    )  # fmt: skip
    assert snapshot_steps(tmp_path / "run") == [1, 10, 40]
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(history) == 4
    end = load_model(tmp_path / "run").module.state_dict()
    distances = []
    for step in (1, 10, 40):
        weights = load_model(tmp_path / "run", step=step).module.state_dict()
        distances.append(sum(float((weights[key] - end[key]).norm()) for key in end))
    assert distances[0] > distances[1] > distances[2] == 0


def test_the_weights_that_training_begins_with_can_be_made_again(
    labels: Path, tmp_path: Path
) -> None:
    settings = tiny(labels, seed=3, steps=1, learning_rate=1e-9)
    train.train(settings, tmp_path / "run", work=tmp_path / "work")
    model = load_model(tmp_path / "run")
    begun = untrained(model, seed=3).module.state_dict()
    for name, weights in model.module.state_dict().items():
        assert torch.allclose(weights, begun[name], atol=1e-6), name


def test_trained_atomic_energies_are_those_of_the_decomposition(
    labels: Path, tmp_path: Path
) -> None:
    train.train(tiny(labels, trainable_shifts=True), tmp_path / "run", work=tmp_path / "work")
    model = load_model(tmp_path / "run")
    start = model.metadata["architecture"]["per_type_energy_shifts"]
    assert abs(model.atomic_energies["H"] - start["H"]) > 1e-4
    with Dataset(labels) as dataset:
        molecule = next(iter(dataset.usable()))
    frames = [Atoms(molecule.atomic_numbers, geometry) for geometry in molecule.positions[:3]]
    energies, _ = predict(model, frames)
    for energy, found in zip(energies, decompose(model, frames), strict=True):
        assert found.energy == pytest.approx(energy, abs=1e-4)
        assert found.sum_rule_error == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_the_checkpoint_predicts_what_nequip_predicts(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    from nequip.integrations.ase import NequIPCalculator

    kept = {}

    def keep(folder: Path) -> None:  # the state of the run would be removed
        kept["state"] = Path(folder) / "state.ckpt"

    monkeypatch.setattr(train, "shutil", SimpleNamespace(rmtree=keep))
    train.train(tiny(labels, optimizer=optimizer), tmp_path / "run", work=tmp_path / "work")
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


def test_a_batch_larger_than_the_training_fold_is_an_error(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(E3DError, match="fewer than one batch of 10000"):
        train.train(tiny(labels, batch_size=10_000), tmp_path / "run", work=tmp_path / "work")
    assert not (tmp_path / "run").exists()


def test_the_same_training_does_not_run_twice_at_once(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object) -> None:
        train.train(tiny(labels), tmp_path / "run", work=tmp_path / "work")

    monkeypatch.setattr(train, "_run_nequip", again)
    with pytest.raises(E3DError, match=r"is being written by process \d+ on "):
        again()
    assert not list((tmp_path / "work").glob("*.lock"))


def test_a_failing_training_shows_the_last_line_of_its_log(labels: Path, tmp_path: Path) -> None:
    settings = tiny(labels, n_layers=0)
    with pytest.raises(E3DError, match=r"nequip-train ended with code 1: .*train\.log"):
        train.train(settings, tmp_path / "run", work=tmp_path / "work")
    assert not (tmp_path / "run").exists()
    assert next((tmp_path / "work").glob("*/train.log")).exists()
