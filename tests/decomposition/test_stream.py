"""A streamed decomposition is the one in memory, however it is cut and shared out."""

import math
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.data import chemical_symbols
from examples import by_bonds_apart
from streams import assert_equal, molecules_of, random_checkpoint

from e3d.chemistry import bonding
from e3d.data import spice2
from e3d.data.molecule import conformations
from e3d.data.rules import FOREIGN
from e3d.decomposition import edges, maps, stream
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.decomposition.statistics_file import read
from e3d.decomposition.stream import decompose_dataset, decompose_with
from e3d.errors import E3DError
from e3d.models.allegro import Model

pytestmark = pytest.mark.usefixtures("small_chunks")


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


def test_the_file_holds_variances_and_other_files_are_refused(few: Path, checkpoint: Path) -> None:
    out = few.parent / "out.h5"
    total = decompose_dataset(few, checkpoint, out, n_workers=1)
    with h5py.File(out) as file:
        np.testing.assert_array_equal(
            file["by_class/variance_eV2"][()], total.by_class["m2_eV2"] / total.by_class["count"]
        )
    with pytest.raises(E3DError, match=r"few.h5 is no statistics file"):
        read(few)


def test_spice2_is_the_file_that_was_downloaded(
    few: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spice2, "PATH", few)
    found = decompose_dataset("spice2", checkpoint, tmp_path / "out.h5", n_workers=1)
    assert found.n_molecules == len(molecules_of(few))
    monkeypatch.setattr(spice2, "PATH", tmp_path / "SPICE.hdf5")
    with pytest.raises(E3DError, match=r"SPICE.hdf5 does not exist; `make spice2` downloads it"):
        decompose_dataset("spice2", checkpoint, tmp_path / "out.h5")
