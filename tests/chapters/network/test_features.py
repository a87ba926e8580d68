"""Edge features: the tensors that the energy is made of, invariant as the energy is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule as named
from examples import labelled, random_model

from chapters.network import features
from e3d.chemistry import bonding
from e3d.decomposition.edges import bond_energies, decompose
from e3d.decomposition.features import ENERGY, HIDDEN, READOUT, TWO_BODY
from e3d.errors import E3DError


@pytest.fixture(scope="module")
def model():
    return random_model()


def part(model, attribute):
    return next(m for m in model.module.modules() if hasattr(m, attribute))


def test_the_readout_of_the_features_is_the_edge_energy(model):
    """E_ij = σ e_ij / √(2 N̄) with e the readout; scales and neighbour numbers differ by type."""
    structures = [named("CH3CH2OH"), named("HCN"), named("CH3CONH2")]
    scales = model.metadata["architecture"]["per_type_energy_scales"]
    neighbours = model.metadata["architecture"]["avg_num_neighbors"]
    readout = part(model, "edge_readout").edge_readout.mlp_module
    found = list(features.edge_features(model, structures))
    for atoms, (index, at, own), expected in zip(
        structures, found, decompose(model, structures), strict=True
    ):
        np.testing.assert_array_equal(own.edge_energies, expected.edge_energies)
        np.testing.assert_array_equal(index, expected.edge_index)
        kinds = [atoms[int(i)].symbol for i in index[0]]
        factor = np.array([scales[s] / np.sqrt(2 * neighbours[s]) for s in kinds])
        with torch.no_grad():
            raw = readout(torch.tensor(at[READOUT])).numpy()[:, 0]
            last = readout.mlp[-1](torch.tensor(at[HIDDEN])).numpy()[:, 0]
        np.testing.assert_allclose(factor * raw, expected.edge_energies, rtol=1e-10)
        np.testing.assert_allclose(factor * last, expected.edge_energies, rtol=1e-10)
        np.testing.assert_array_equal(at[ENERGY][:, 0], expected.edge_energies)


def test_layers_are_what_allegro_s_own_modules_put_out(model):
    allegro, seen = part(model, "latents"), []
    modules = [allegro.first_layer_env_embed_projection, *allegro.latents]
    hooks = [m.register_forward_hook(lambda _, __, out: seen.append(out)) for m in modules]
    (found,) = features.edge_features(model, [named("CH3CH2OH")])
    for hook in hooks:
        hook.remove()
    width = allegro.num_scalar_features
    for place, out in zip((TWO_BODY, "layer 1", "layer 2"), seen, strict=True):
        np.testing.assert_array_equal(found.features[place], out[:, :width].numpy())
    blocks = [found.features[place] for place in (TWO_BODY, "layer 1", "layer 2")]
    np.testing.assert_array_equal(found.features[READOUT], np.hstack(blocks))


def test_hooks_are_gone_afterwards(model):
    next(features.edge_features(model, [named("H2O"), named("CH4")])).features.clear()
    list(features.edge_features(model, [named("H2O")]))
    assert not any(m._forward_pre_hooks for m in model.module.modules())


def test_two_body_features_see_two_atoms_and_layers_more(model):
    alone = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    formaldehyde = Atoms("COH2", [[0, 0, 0], [0, 0, 1.2], [0, 0.95, -0.6], [0, -0.95, -0.6]])
    short, long = features.edge_features(model, [alone, formaldehyde])
    first, second = short.features, long.features
    row = next(k for k, (i, j) in enumerate(long.edge_index.T) if (i, j) == (0, 1))
    np.testing.assert_allclose(first[TWO_BODY][0], second[TWO_BODY][row], rtol=1e-12)
    assert np.abs(first["layer 1"][0] - second["layer 1"][row]).max() > 1e-3


def test_bond_features_do_not_depend_on_order_or_orientation(model):
    entry = labelled("CC=O")
    sample = features.sample_bonds([entry])
    (atoms,), (bonds,) = sample.structures, sample.bonds
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3))
    turned.translate([1.0, -2.0, 0.5])
    back = turned[::-1]
    renamed = features.Sample([back], [len(atoms) - 1 - bonds[:, ::-1]], sample.table)
    one, other = (features.bond_features(model, s) for s in (sample, renamed))
    for place in one:
        np.testing.assert_allclose(one[place], other[place], atol=1e-9)
    (whole,) = decompose(model, [atoms])
    np.testing.assert_allclose(one[ENERGY][:, 0], bond_energies(whole, bonds))


def test_features_come_in_the_order_of_the_structures(model):
    """More structures than a batch holds, of different sizes."""
    entries = [labelled(smiles) for smiles in ("C", "CO", "CC=O", "N", "O")] * 7
    together = features.bond_features(model, features.sample_bonds(entries))
    apart = [features.bond_features(model, features.sample_bonds([entry])) for entry in entries[:5]]
    for place, values in together.items():
        expected = np.concatenate([part[place] for part in apart] * 7)
        np.testing.assert_allclose(values, expected, atol=1e-10)


def test_environments_name_the_kind_of_a_bond():
    graph = bonding.parse_smiles("CC=O")  # 0 C, 1 C, 2 O, 3-5 H on 0, 6 H on 1
    assert features.environment(graph, 0, 3) == "C-H|C-C C-H C-H|"
    assert features.environment(graph, 0, 3) == features.environment(graph, 4, 0)
    assert features.environment(graph, 1, 6) == "C-H|C-C C=O|"
    ends = "C-H C-H C-H", "C-H C=O"
    assert features.environment(graph, 0, 1) == "|".join(["C-C", *ends])
    assert features.environment(graph, 1, 0) == "|".join(["C-C", *ends])


def test_a_bond_table_has_what_probes_need():
    table = features.sample_bonds([labelled("C=O"), labelled("O")]).table
    assert table["class"].tolist() == ["C=O", "C-H", "C-H", "H-O", "H-O"]
    assert table["order"].tolist() == ["=", "-", "-", "-", "-"]
    assert table["length_A"].between(0.9, 1.3).all()


def test_hot_bonds_are_those_of_the_first_geometry_of_a_temperature():
    entry = labelled("CO")
    geometries = [1.0, 1.02, 1.1, 1.2]
    entry = replace(
        entry,
        positions=np.concatenate([scale * entry.positions for scale in geometries]),
        temperatures=np.array([300, 0, 1000, 1000]),
    )
    relaxed, hot = (features.sample_bonds([entry], temperature=t).table for t in (0, 1000))
    np.testing.assert_allclose(hot["length_A"] / relaxed["length_A"], 1.1 / 1.02)
    assert hot.drop(columns="length_A").equals(relaxed.drop(columns="length_A"))


def test_neighbours_are_counted_by_class():
    counts = features.neighbours(["C-H|C-C|", "C-C|C-H|C-H C-H"])
    assert counts.tolist() == [[1, 0], [0, 3]]


def test_errors_say_what_is_wrong(model):
    with pytest.raises(E3DError, match="empty"):
        features.sample_bonds([])
    with pytest.raises(E3DError, match="'C=O' has no conformation with temperature 1000 K"):
        features.sample_bonds([labelled("C=O")], temperature=1000)
    far = Atoms("CO", [[0, 0, 0], [0, 0, 5.0]])
    sample = features.Sample(
        [far], [np.array([[0, 1]])], features.sample_bonds([labelled("C=O")]).table
    )
    with pytest.raises(E3DError, match=r"longer than 4\.0 Å"):
        features.bond_features(model, sample)
    with pytest.raises(E3DError, match="expected an Allegro model"):
        list(features.edge_features(replace(model, module=torch.nn.Linear(1, 1)), [far]))
