"""The decomposition is exact, invariant and local, and a wrong one is caught."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.build import make_supercell as supercell

from e3d import edges, tables
from e3d.dataset import Molecule
from e3d.errors import E3DError
from e3d.model import Model, _as_model, build, untrained
from e3d.topology import path_shares

TYPES = ["H", "C", "N", "O"]


def architecture(dtype: str, **changes) -> dict:
    """A small Allegro whose scales, neighbour numbers and shifts differ from type to type."""
    return {
        "seed": 3, "model_dtype": dtype, "type_names": TYPES, "r_max": 4.0, "l_max": 1,
        "num_layers": 2, "num_scalar_features": 8, "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": {"H": 6.0, "C": 8.0, "N": 9.0, "O": 5.0},
        "per_type_energy_scales": {"H": 1.3, "C": 4.0, "N": 3.0, "O": 2.0},
        "per_type_energy_shifts": {"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2042.0},
    } | changes  # fmt: skip


def random_model(dtype: str = "float64", **changes) -> Model:
    settings = architecture(dtype, **changes)
    return _as_model(f"random-{dtype}", build(settings), "cpu", {"architecture": settings})


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model()


@pytest.fixture(scope="module")
def with_zbl() -> Model:
    zbl = {"_target_": "nequip.nn.pair_potential.ZBL", "units": "metal", "chemical_species": TYPES}
    return random_model(pair_potential=zbl)


def one(model: Model, atoms: Atoms) -> edges.Decomposition:
    (decomposition,) = edges.decompose(model, [atoms])
    return decomposition


def forward(model: Model, atoms: Atoms) -> float:
    """Energy in eV by the model itself, derivatives and all, through nequip's own calculator."""
    from nequip.integrations.ase import NequIPCalculator
    from nequip.integrations.utils import basic_transforms

    names = list(model.type_names)
    transforms = basic_transforms({}, model.cutoff, names, {name: name for name in names})
    copy = atoms.copy()
    copy.calc = NequIPCalculator(model.module, device="cpu", transforms=transforms)
    return float(copy.get_potential_energy())


def table(decomposition: edges.Decomposition) -> dict[tuple, float]:
    keys = np.column_stack([decomposition.edge_index.T, decomposition.edge_shifts])
    return dict(zip(map(tuple, keys.tolist()), decomposition.edge_energies, strict=True))


MOLECULES = ["CH3CH2OH", "C6H6", "CH3CN", "H2", "CH3CONH2"]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-9)])
def test_edge_and_atomic_energies_sum_to_the_energy_of_the_model(dtype, tolerance):
    model = random_model(dtype)
    structures = [molecule(name) for name in MOLECULES]
    for atoms, d in zip(structures, edges.decompose(model, structures), strict=True):
        total = d.edge_energies.sum() + d.atomic_energies.sum()
        assert abs(total - forward(model, atoms)) <= tolerance * len(atoms)
        assert abs(d.sum_rule_error) <= tolerance * len(atoms)
        assert abs(d.edge_energies).max() > 0.01  # there is something to get wrong


@pytest.mark.parametrize("name", MOLECULES)
def test_sum_rule_with_a_pair_potential_half_on_each_direction(model, with_zbl, name):
    atoms = molecule(name)
    d, bare = one(with_zbl, atoms), one(model, atoms)
    assert d.energy == pytest.approx(forward(with_zbl, atoms), abs=1e-9 * len(atoms))
    added = {k: v - table(bare)[k] for k, v in table(d).items()}
    assert min(added.values()) >= 0
    assert max(added.values()) > 0.1
    for (i, j, *shift), value in added.items():
        assert value == pytest.approx(added[j, i, *shift], abs=1e-12)


def test_one_scale_and_neighbour_number_for_all_types_or_none_at_all():
    for scales, shifts in [(2.0, -5.0), (None, None)]:
        model = random_model(
            avg_num_neighbors=7.0, per_type_energy_scales=scales, per_type_energy_shifts=shifts
        )
        d = one(model, molecule("CH3CH2OH"))
        assert d.energy == pytest.approx(forward(model, molecule("CH3CH2OH")), abs=1e-9)
        assert set(d.atomic_energies) == {shifts or 0.0}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda right: right * np.sqrt(2), id="without the square root of two"),
        pytest.param(lambda right: right * (1 + 1e-6), id="off by a millionth"),
        pytest.param(lambda right: torch.cat([right[:-1], right[-1:] * 0]), id="edge left out"),
    ],
)
def test_wrong_decomposition_is_rejected(model, monkeypatch, wrong):
    right = edges._edge_energies
    monkeypatch.setattr(edges, "_edge_energies", lambda *given: wrong(right(*given)))
    with pytest.raises(E3DError, match=r"structure 1 \(C2H6O\).*miss its energy"):
        list(edges.decompose(model, [Atoms("H"), molecule("CH3CH2OH")]))


def test_hidden_energy_term_is_rejected(model, monkeypatch):
    """The model itself is wrong: a term that is no sum over edges."""
    shift = edges._energy_network(model).total_energy_sum
    original = shift.forward

    def with_offset(data):
        data = original(data)
        data["total_energy"] = data["total_energy"] + 0.01
        return data

    monkeypatch.setattr(shift, "forward", with_offset)
    with pytest.raises(E3DError, match="energy term besides its edges"):
        one(model, molecule("H2"))


def test_invariant_under_rotation_translation_and_reflection(model):
    atoms = molecule("CH3CONH2")
    moved = atoms.copy()
    moved.rotate(47, (1, 2, 3))
    moved.translate((3.0, -20.0, 7.0))
    moved.positions[:, 0] *= -1
    first, second = table(one(model, atoms)), table(one(model, moved))
    assert first.keys() == second.keys()
    np.testing.assert_allclose(list(first.values()), [second[k] for k in first], atol=1e-10)


def test_edge_energies_follow_a_permutation_of_the_atoms(model):
    atoms = molecule("CH3CH2OH")
    order = np.random.default_rng(0).permutation(len(atoms))
    first, second = table(one(model, atoms)), table(one(model, atoms[order]))
    for (i, j, *shift), value in second.items():
        assert value == pytest.approx(first[order[i], order[j], *shift], abs=1e-10)


def test_directions_of_an_edge_differ(model):
    d = table(one(model, molecule("CH3CH2OH")))
    difference = [abs(v - d[j, i, *shift]) for (i, j, *shift), v in d.items()]
    assert max(difference) > 1e-3


def test_edge_energy_vanishes_smoothly_at_the_cutoff(model, with_zbl):
    for each in (model, with_zbl):
        energies = [
            abs(one(each, Atoms("CO", [[0, 0, 0], [0, 0, r]])).edge_energies).max()
            for r in (1.2, 3.9, 3.99, 3.9999)
        ]
        assert energies[0] > 1e-2
        assert energies[0] > energies[1] > energies[2] > energies[3]
        assert energies[3] < 1e-6 * energies[0]
        beyond = one(each, Atoms("CO", [[0, 0, 0], [0, 0, 4.0001]]))
        assert beyond.edge_energies.size == 0
        assert edges.bond_energies(beyond, np.array([[0, 1]])) == [0.0]


def test_separated_molecules_are_independent_and_an_isolated_atom_is_its_zero(model):
    water, nitrogen = molecule("H2O"), molecule("N2")
    far = nitrogen.copy()
    far.translate((0, 0, 12))
    together = one(model, water + far)
    apart = one(model, water).energy + one(model, nitrogen).energy
    assert together.energy == pytest.approx(apart, abs=1e-9)
    for symbol in TYPES:
        atom = one(model, Atoms(symbol))
        assert atom.energy == model.atomic_energies[symbol] == atom.atomic_energies[0]
        assert atom.edge_energies.size == 0


def test_batch_size_and_company_do_not_matter(model):
    structures = [molecule(name) for name in MOLECULES] + [Atoms("O"), bulk("C", a=3.57)]
    alone = [one(model, atoms) for atoms in structures]
    for batch_size in (1, 2, 64):
        for d, e in zip(alone, edges.decompose(model, structures, batch_size=batch_size),
                        strict=True):  # fmt: skip
            assert table(d).keys() == table(e).keys()
            np.testing.assert_allclose(d.edge_energies, e.edge_energies, atol=1e-10)
            np.testing.assert_allclose(d.edge_lengths, e.edge_lengths, atol=1e-12)


def test_bonds_to_images_are_bonds_of_their_own(with_zbl):
    """Diamond: the four bonds of an atom, of which one cell holds one and three images."""
    diamond = bulk("C", "diamond", a=3.57)
    d = one(with_zbl, diamond)
    pairs, shifts, lengths, energies = edges.pair_energies(d)
    bonds = lengths < 1.6
    assert len({tuple(s) for s in shifts[bonds].tolist()}) == bonds.sum() == 4
    np.testing.assert_allclose(energies[bonds], energies[bonds][0], atol=1e-9)
    vectors = diamond.positions[pairs[:, 1]] - diamond.positions[pairs[:, 0]]
    vectors = vectors + shifts @ diamond.cell.array
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), lengths, atol=1e-9)
    assert (pairs[:, 0] == pairs[:, 1]).any()  # an atom and its own image, once each
    assert energies.sum() + d.atomic_energies.sum() == pytest.approx(d.energy, abs=1e-8)


def test_supercell_gives_the_same_pair_energies(model):
    cell = bulk("C", "diamond", a=3.57)
    cell.rattle(0.05, seed=1)
    small = edges.pair_energies(one(model, cell))
    large = edges.pair_energies(one(model, supercell(cell, np.diag([2, 1, 3]))))
    assert len(large.energies) == 6 * len(small.energies)
    np.testing.assert_allclose(
        np.sort(large.energies), np.sort(np.repeat(small.energies, 6)), atol=1e-9
    )


def test_dressed_energies_in_a_crystal_sum_to_the_binding_energy(model):
    cell = bulk("C", "diamond", a=3.57)
    d = one(model, cell)
    pairs, shifts, lengths, energies = edges.pair_energies(d)
    bonds = lengths < 1.6
    dressed, rest = edges.dressed_bond_energies(d, pairs[bonds], shifts[bonds])
    assert rest == 0
    assert dressed.sum() == pytest.approx(energies.sum(), abs=1e-9)
    np.testing.assert_allclose(dressed, dressed[0], atol=1e-9)
    by_distance = edges.topological_energies(d, pairs[bonds], shifts[bonds])
    assert sum(by_distance.values()) == pytest.approx(energies.sum(), abs=1e-9)
    second = (lengths > 2.5) & (lengths < 2.6)  # second shell: two bonds apart
    assert by_distance[2] == pytest.approx(energies[second].sum(), abs=1e-9)


@pytest.mark.parametrize(
    "change",
    [{"symbols": "CXe"}, {"positions": [[0, 0, np.nan], [0, 0, 1]]}, {"pbc": True}],
    ids=["unknown element", "not finite", "periodic without a cell"],
)
def test_bad_structures_are_refused(model, change):
    given = {"symbols": "CO", "positions": [[0, 0, 0], [0, 0, 1.2]]} | change
    with pytest.raises(E3DError, match=r"know Xe|finite positions|no cell vector"):
        one(model, Atoms(**given))


def test_coinciding_atoms_and_empty_structures_are_refused(model):
    with pytest.raises(E3DError, match="at least one atom"):
        one(model, Atoms())
    with pytest.raises(E3DError, match="coincide"):
        one(model, Atoms("CO", np.zeros((2, 3))))


# Paths, dressed energies, shares


def test_every_shortest_path_gets_an_equal_share():
    square = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    apart, shares = path_shares(square, np.array([[0, 2], [0, 1], [1, 3]]))
    assert apart.tolist() == [2, 1, 2]
    assert shares[:, 0].tolist() == [0.25] * 4
    assert shares[:, 1].tolist() == [1, 0, 0, 0]
    # two paths 0-1-2-4 and 0-1-3-4: the bond they have in common gets twice as much
    fork = np.array([[0, 1], [1, 2], [1, 3], [2, 4], [3, 4], [5, 6]])
    apart, shares = path_shares(fork, np.array([[0, 4], [0, 5]]))
    assert apart.tolist() == [3, 0]
    np.testing.assert_allclose(shares[:, 0], [1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 0])
    assert not shares[:, 1].any()


def test_path_shares_agree_with_networkx():
    import networkx as nx

    graph = nx.gnm_random_graph(9, 12, seed=5)
    bonds = np.array(sorted(tuple(sorted(e)) for e in graph.edges))
    pairs = np.array([(i, j) for i in range(9) for j in range(i + 1, 9)])
    apart, shares = path_shares(bonds, pairs)
    number = {tuple(bond): k for k, bond in enumerate(bonds.tolist())}
    for column, (i, j) in enumerate(pairs.tolist()):
        if not nx.has_path(graph, i, j):
            assert apart[column] == 0
            continue
        paths = list(nx.all_shortest_paths(graph, i, j))
        expected = np.zeros(len(bonds))
        for path in paths:
            for a, b in pairwise(path):
                expected[number[min(a, b), max(a, b)]] += 1 / len(paths) / (len(path) - 1)
        assert apart[column] == len(paths[0]) - 1
        np.testing.assert_allclose(shares[:, column], expected, atol=1e-12)


def ethanol_bonds() -> tuple[Atoms, np.ndarray]:
    from e3d.molecule import bond_pairs, perceive

    atoms = molecule("CH3CH2OH")
    return atoms, bond_pairs(perceive(atoms.numbers, atoms.positions))


def test_dressed_energies_sum_to_the_binding_energy_fragments_apart(model):
    atoms, bonds = ethanol_bonds()
    far = molecule("H2")
    far.translate((0, 0, 3.5))
    both = np.vstack([bonds, [[9, 10]]])
    d = one(model, atoms + far)
    dressed, between = edges.dressed_bond_energies(d, both)
    assert abs(between) > 1e-6
    assert dressed.sum() + between == pytest.approx(d.edge_energies.sum(), abs=1e-10)
    by_distance = edges.topological_energies(d, both)
    assert by_distance[0] == pytest.approx(between, abs=1e-12)
    assert by_distance[1] == pytest.approx(edges.bond_energies(d, both).sum(), abs=1e-10)


def test_dressed_energies_do_not_see_energy_moved_between_bonds_and_geminal_pairs(model):
    """0.3 eV from every H···H pair of methane to its two C-H bonds: another gauge, same dressed."""
    atoms = molecule("CH4")
    bonds = np.array([[0, k] for k in range(1, 5)])
    d = one(model, atoms)
    i, j = d.edge_index
    geminal = (i > 0) & (j > 0)
    moved = np.where(geminal, d.edge_energies + 0.15, d.edge_energies - 3 * 0.3 / 2 / 2)
    gauge = edges.Decomposition(**{**d.__dict__, "edge_energies": moved})
    assert gauge.sum_rule_error == pytest.approx(d.sum_rule_error, abs=1e-9)
    bare = edges.bond_energies(gauge, bonds) - edges.bond_energies(d, bonds)
    np.testing.assert_allclose(bare, -0.45, atol=1e-9)
    np.testing.assert_allclose(
        edges.dressed_bond_energies(gauge, bonds)[0], edges.dressed_bond_energies(d, bonds)[0],
        atol=1e-9,
    )  # fmt: skip


# Tables


def molecule_of(smiles: str, name: str) -> Molecule:
    from e3d.molecule import embed, mapped_smiles, parse_smiles

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
        d = one(each, relaxed)
        np.testing.assert_allclose(ethanol[f"bare:{run}"], edges.bond_energies(d, pairs))
        np.testing.assert_allclose(ethanol[f"dressed:{run}"],
                                   edges.dressed_bond_energies(d, pairs)[0])  # fmt: skip
        row = per_molecule.query("molecule == 'ethanol' and run == @run").iloc[0]
        assert row["model_eV"] == pytest.approx(d.edge_energies.sum(), abs=1e-9)
        assert row["label_eV"] == pytest.approx(-2.0 + 0.9)
        by_distance = edges.topological_energies(d, pairs)
        for k in (1, 2, 3):
            assert row[f"apart_{k}"] == pytest.approx(by_distance[k], abs=1e-9)
        assert row[list(tables.APART_COLUMNS)].sum() == pytest.approx(row["model_eV"], abs=1e-9)
    assert not np.allclose(bonds["bare:a"], bonds["bare:b"])
    assert bonds.equals(tables.bond_table(runs, molecules))


def test_shares_are_ratios_of_sums_averaged_over_seeds():
    columns = list(tables.APART_COLUMNS)
    values = {("a", "x-s0"): [-9.0, -1, 0, 0, 0], ("b", "x-s0"): [-18.0, -2, 0, 0, 0],
              ("a", "x-s1"): [-11.0, 1, 0, 0, 0], ("b", "x-s1"): [-22.0, 2, 0, 0, 0],
              ("a", "y"): [-5.0, -3, -2, 0, 0], ("h2", "x-s0"): [-4.0, 0, 0, 0, 0]}  # fmt: skip
    table = pd.DataFrame(values.values(), columns=columns)
    table[["molecule", "run"]] = list(values)
    table["n_atoms"] = np.where(table["molecule"] == "h2", 2, 5)
    found = tables.topological_shares(table, n_resamples=50).set_index(["ensemble", "apart"])
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
    structures = [molecule("CH3CH2OH"), molecule("H2O")]
    decompositions = list(edges.decompose(model, structures))
    found = tables.energy_map(decompositions, length_step=0.1, energy_step=0.2)
    all_pairs = [edges.pair_energies(d) for d in decompositions]
    assert found["count"].sum() == sum(len(p.energies) for p in all_pairs)
    assert set(found["pair"]) == {"C-C", "C-H", "C-O", "H-H", "H-O"}
    water = all_pairs[1]
    k = int(np.argmin(water.lengths))
    near = found[(found["pair"] == "H-O") & ((found["length_A"] - water.lengths[k]).abs() <= 0.05)]
    assert ((near["energy_eV"] - water.energies[k]).abs() <= 0.1 + 1e-9).any()
