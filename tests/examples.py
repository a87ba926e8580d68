"""Small models with random weights, molecules with made-up labels, a pair potential, a record.

What a worker process is to call must be defined here: it cannot import a test.
"""

import numpy as np
from ase import Atoms
from scipy.sparse.csgraph import shortest_path

from chapters.dynamics.trajectories import Record
from e3d.chemistry.bonding import bond_pairs, embed, from_mapped_smiles, mapped_smiles, parse_smiles
from e3d.chemistry.xtb import relax, single_point
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import Decomposition
from e3d.errors import E3DError
from e3d.labels.fragments import unpaired_electrons
from e3d.models.allegro import Model, _as_model, build
from e3d.models.pair import PairPotential, spline_knots
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

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


def relaxed_by_gfn2(smiles: str) -> Atoms:
    """As `fragments.relaxed`, at a level that takes no time; fails for water, as some must."""
    if smiles == "O":
        raise E3DError("water is left out")
    graph = parse_smiles(smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    unpaired = unpaired_electrons(smiles)
    positions = np.zeros((1, 3))
    if len(numbers) > 1:
        positions = relax(numbers, embed(graph, seed=1), unpaired=unpaired)
    energy = single_point(numbers, positions / ANGSTROM_PER_BOHR, unpaired=unpaired).energy
    info = {"smiles": smiles, "unpaired": unpaired, "energy_eV": energy * EV_PER_HARTREE,
            "spin_square": 0.75 * unpaired}  # fmt: skip
    return Atoms(numbers, positions, info=info)


def by_bonds_apart(decomposition: Decomposition, bonds: np.ndarray) -> dict[int, float]:
    """Σε in eV of the pairs of a molecule that are 1, 2, 3, … bonds apart; 0: between fragments."""
    n_atoms = len(decomposition.atomic_numbers)
    graph = np.zeros((n_atoms, n_atoms))
    graph[tuple(bonds.T)] = 1
    apart = shortest_path(graph, directed=False, unweighted=True)[tuple(decomposition.edge_index)]
    numbers = np.where(np.isfinite(apart), apart, 0).astype(int)
    return dict(enumerate(np.bincount(numbers, decomposition.edge_energies).tolist()))
