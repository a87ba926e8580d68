"""The decomposition is exact, invariant and local, and a wrong one is caught."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.build import make_supercell as supercell
from examples import TYPES, by_bonds_apart, random_model

from e3d.chemistry.topology import path_shares
from e3d.decomposition import edges
from e3d.decomposition import forward as passes
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model


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
    right = passes.edge_energies
    monkeypatch.setattr(passes, "edge_energies", lambda *given: wrong(right(*given)))
    with pytest.raises(E3DError, match=r"structure 1 \(C2H6O\).*miss its energy"):
        list(edges.decompose(model, [Atoms("H"), molecule("CH3CH2OH")]))


def test_hidden_energy_term_is_rejected(model, monkeypatch):
    """The model itself is wrong: a term that is no sum over edges."""
    shift = passes.energy_network(model).total_energy_sum
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


def water_box(n: int = 4) -> Atoms:
    """Water on a cubic lattice of n³ places, each molecule turned and moved at random, periodic."""
    rng = np.random.default_rng(0)
    box = Atoms(cell=[3.1 * n] * 3, pbc=True)
    for place in np.ndindex(n, n, n):
        one = molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3))
        one.translate(3.1 * np.array(place) + rng.normal(scale=0.1, size=3))
        box += one
    return box


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_structure_cut_by_centres_has_the_edges_of_one_forward_pass(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(dtype)
    structures = [water_box(), molecule("CH3CH2OH"), Atoms("H"), water_box(3)]
    whole = list(edges.decompose(model, structures))
    counted = []
    evaluate = passes._evaluate
    monkeypatch.setattr(passes, "_evaluate", lambda *given: (
        counted.append(given[2]["edge_index"].shape[1]) or evaluate(*given)
    ))  # fmt: skip
    monkeypatch.setitem(passes.MAX_EDGES, "cpu", 500)
    cut = list(edges.decompose(model, structures))
    assert max(counted) <= 500 < len(whole[0].edge_energies)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.edge_index, other.edge_index)
        np.testing.assert_allclose(other.edge_energies, one.edge_energies, rtol=0,
                                   atol=1e-5 if dtype == "float32" else 1e-12)  # fmt: skip
        assert other.energy == pytest.approx(one.energy, abs=1e-4 if dtype == "float32" else 1e-8)


def test_a_batch_is_full_with_so_many_edges(model):
    structures = [molecule("CH3CH2OH"), molecule("H2O"), Atoms("H"), molecule("CH3CH2OH")]
    found = [b["edge_index"].shape[1] for b in batches.batches(model, structures, max_edges=80)]
    assert found == [76, 70]
    assert len(list(batches.batches(model, structures, max_edges=1))) == len(structures)


def test_batches_made_ahead_are_the_same_and_so_are_their_errors(model):
    structures = [molecule("CH3CH2OH"), molecule("H2O"), molecule("CH4")]
    for one, other in zip(
        batches.batches(model, structures, 1),
        batches._ahead(batches.batches(model, structures, 1)),
        strict=True,
    ):
        assert all(torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(E3DError, match="does not know F"):
        list(batches._ahead(batches.batches(model, [*structures, Atoms("F")], 1)))


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
    apart, _ = path_shares(pairs[bonds], pairs, bond_shifts=shifts[bonds], pair_shifts=shifts)
    second = (lengths > 2.5) & (lengths < 2.6)  # second shell: two bonds apart
    np.testing.assert_array_equal(apart == 2, second)


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


# Dressed energies


def ethanol_bonds() -> tuple[Atoms, np.ndarray]:
    from e3d.chemistry.bonding import bond_pairs, perceive

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
    by_distance = by_bonds_apart(d, both)
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
