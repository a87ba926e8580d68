"""Small models with random weights, molecules with made-up labels, a pair potential, a record."""

import numpy as np

from chapters.dynamics.trajectories import Record
from e3d.chemistry.bonding import bond_pairs, embed, from_mapped_smiles, mapped_smiles, parse_smiles
from e3d.data.dataset import Molecule
from e3d.models.allegro import Model, _as_model, build
from e3d.models.pair import PairPotential, spline_knots

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


def well(depth: float = 5.0, at: float = 1.0) -> PairPotential:
    """A pair potential with one minimum for every pair of H, C and O."""
    knots = spline_knots(0.5, 4.0, 0.2)
    centres = np.linspace(knots[0] - 0.2, knots[-1] - 0.6, len(knots) - 1)
    shape = depth * ((1 - np.exp(-2.0 * (centres - at))) ** 2 - 1)
    pairs = [("C", "C"), ("C", "H"), ("C", "O"), ("H", "H"), ("H", "O"), ("O", "O")]
    return PairPotential(knots, dict.fromkeys(pairs, shape))


def torn(smiles: str = "O", bond: int = 0, n_frames: int = 21) -> Record:
    """A record in which one bond of a molecule is torn, a tenth of an Å per frame of 2 fs."""
    entry = labelled(smiles)
    pairs = bond_pairs(from_mapped_smiles(entry.smiles))
    i, j = pairs[bond]
    away = entry.positions[0, j] - entry.positions[0, i]
    positions = np.repeat(entry.positions, n_frames, axis=0)
    positions[:, j] += 0.1 * np.arange(n_frames)[:, None] * away / np.linalg.norm(away)
    orders = np.ones((n_frames, len(pairs)))
    orders[:, bond] = np.linspace(1, 0, n_frames)
    zeros = np.zeros(n_frames)
    return Record(
        "hot", "pair", smiles, entry.smiles, "train", "broken", 3000.0, 0.0, 0.5, 40.0, 10.0,
        entry.atomic_numbers, 2.0 * np.arange(n_frames), positions, zeros, zeros, orders, orders,
        zeros,
    )  # fmt: skip
