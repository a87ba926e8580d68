"""Small Allegro models with random weights, and molecules with made-up labels."""

import numpy as np

from e3d.dataset import Molecule
from e3d.model import Model, _as_model, build
from e3d.molecule import embed, mapped_smiles, parse_smiles

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


def labelled(smiles: str, energy: float = 0.0) -> Molecule:
    """One conformation, not relaxed, with an energy and a formation energy in eV and no forces."""
    graph = parse_smiles(smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    return Molecule(
        name=smiles,
        smiles=mapped_smiles(graph),
        subset="test",
        atomic_numbers=numbers,
        positions=embed(graph, seed=0)[None],
        energies=np.array([energy]),
        forces=np.zeros((1, len(numbers), 3)),
        formation_energies=np.array([energy]),
        temperatures=np.array([0]),
    )
