"""Tables hold what the functions of one molecule give."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from examples import TYPES, by_bonds_apart, random_model

from e3d.chemistry import topology
from e3d.data.molecule import Molecule, conformations
from e3d.decomposition import edges, maps, tables
from e3d.errors import E3DError
from e3d.models.allegro import Model, untrained
from e3d.models.checkpoint import save_checkpoint


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model()


def molecule_of(smiles: str, name: str) -> Molecule:
    from e3d.chemistry.bonding import embed, mapped_smiles, parse_smiles

    graph = parse_smiles(smiles)
    numbers = np.array([a.GetAtomicNum() for a in graph.GetAtoms()])
    position = embed(graph, seed=1)
    frames = np.stack([position * 1.05, position])
    return Molecule(
        name, "", mapped_smiles(graph), numbers, frames, np.array([-1.0, -2.0]),
        np.zeros(2), np.zeros_like(frames), np.array([300, 0]),
    )  # fmt: skip


def test_tables_hold_what_the_functions_give(model):
    molecules = [molecule_of("CCO", "ethanol"), molecule_of("[H][H]", "hydrogen")]
    runs = {"a": model, "b": untrained(model, seed=1)}
    zero = dict.fromkeys(TYPES, -0.1)
    bonds, per_molecule = tables.edge_tables(runs, molecules, atomic_energies=zero)
    assert len(bonds) == 8 + 1
    assert bonds["class"].tolist().count("C-H") == 5
    ethanol = bonds[bonds["molecule"] == "ethanol"]
    relaxed = Atoms(molecules[0].atomic_numbers, molecules[0].positions[1])
    pairs = ethanol[["i", "j"]].to_numpy()
    np.testing.assert_allclose(
        ethanol["length_A"], [relaxed.get_distance(i, j) for i, j in pairs], atol=1e-12
    )
    for run, each in runs.items():
        (d,) = edges.decompose(each, [relaxed])
        np.testing.assert_allclose(ethanol[f"bare:{run}"], edges.bond_energies(d, pairs))
        np.testing.assert_allclose(ethanol[f"dressed:{run}"],
                                   edges.dressed_bond_energies(d, pairs)[0])  # fmt: skip
        row = per_molecule.query("molecule == 'ethanol' and run == @run").iloc[0]
        assert row["model_eV"] == pytest.approx(d.edge_energies.sum(), abs=1e-9)
        assert row["label_eV"] == pytest.approx(-2.0 + 0.9)
        by_distance = by_bonds_apart(d, pairs)
        for k in (1, 2, 3):
            assert row[f"apart_{k}"] == pytest.approx(by_distance[k], abs=1e-9)
        assert row[list(topology.APART_COLUMNS)].sum() == pytest.approx(row["model_eV"], abs=1e-9)
    assert not np.allclose(bonds["bare:a"], bonds["bare:b"])
    assert bonds.equals(tables.bond_table(runs, molecules))


def test_processes_give_the_tables_of_one(model, tmp_path, monkeypatch):
    kept = tmp_path / "random"
    save_checkpoint(
        kept, model.module, model.metadata["architecture"], dataset={}, training={}, cost={},
        history="",
    )  # fmt: skip
    monkeypatch.setattr(tables, "_CHUNK", 2)
    molecules = [molecule_of(smiles, smiles) for smiles in ("C", "O", "CO", "CC", "N")]
    specs = {"a": tables.ModelSpec(str(kept)), "b": tables.ModelSpec(str(kept), fresh_seed=1)}
    models = {"a": model, "b": untrained(model, seed=1)}
    zero = dict.fromkeys(TYPES, -0.1)
    found = tables.edge_tables_in_parallel(specs, molecules, atomic_energies=zero, n_workers=2)
    expected = tables.edge_tables(models, molecules, atomic_energies=zero)
    for table, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(table, other)
    with pytest.raises(E3DError, match="no molecules"):
        tables.edge_tables_in_parallel(specs, [], atomic_energies=zero)


def test_shares_are_ratios_of_sums_averaged_over_seeds():
    columns = list(topology.APART_COLUMNS)
    values = {("a", "x-s0"): [-9.0, -1, 0, 0, 0], ("b", "x-s0"): [-18.0, -2, 0, 0, 0],
              ("a", "x-s1"): [-11.0, 1, 0, 0, 0], ("b", "x-s1"): [-22.0, 2, 0, 0, 0],
              ("a", "y"): [-5.0, -3, -2, 0, 0], ("h2", "x-s0"): [-4.0, 0, 0, 0, 0]}  # fmt: skip
    table = pd.DataFrame(values.values(), columns=columns)
    table[["molecule", "run"]] = list(values)
    table["n_atoms"] = np.where(table["molecule"] == "h2", 2, 5)
    found = maps.topological_shares(table, n_resamples=50).set_index(["ensemble", "apart"])
    bonds = found.loc["x", "apart_1"]
    assert bonds["share"] == pytest.approx((0.9 + 1.1) / 2)
    assert bonds["seed_std"] == pytest.approx(0.2 / np.sqrt(2))
    assert (bonds["low"], bonds["high"]) == pytest.approx((1.0, 1.0))  # both molecules agree
    assert (bonds["n_molecules"], bonds["n_runs"]) == (2, 2)
    assert found.loc["y"]["share"].tolist() == pytest.approx([0.5, 0.3, 0.2, 0, 0])


def test_a_molecule_without_relaxed_geometry_is_refused(model):
    ethanol = molecule_of("CCO", "ethanol")
    hot = Molecule(**{**ethanol.__dict__, "temperatures": np.array([300, 600])})
    with pytest.raises(E3DError, match="no conformation with temperature 0"):
        tables.bond_table({"a": model}, [hot])


def test_map_counts_every_pair_once_in_the_right_bin(model):
    molecules = [molecule_of("CCO", "ethanol"), molecule_of("O", "water")]
    found = maps.summarise(model, molecules, length_step=0.1, energy_step=0.2)
    decompositions = edges.decompose(model, conformations(molecules))
    all_pairs = [edges.pair_energies(d) for d in decompositions]
    assert found.map["count"].sum() == sum(len(p.energies) for p in all_pairs)
    assert set(found.map["pair"]) == {"C-C", "C-H", "C-O", "H-H", "H-O"}
    water = all_pairs[-1]
    k = int(np.argmin(water.lengths))
    bonds = found.map[found.map["pair"] == "H-O"]
    near = bonds[(bonds["length_A"] - water.lengths[k]).abs() <= 0.05]
    assert ((near["energy_eV"] - water.energies[k]).abs() <= 0.1 + 1e-9).any()
