"""Starting points of the search for a reaction path: relaxed end points and images between them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.mep.neb import IDPP
from ase.optimize import MDMin
from jaxtyping import Float, Int
from rdkit import Chem
from scipy.spatial.distance import cdist

from chapters.reactions.reaction import Reaction
from chapters.reactions.saddle_points import aligned, distance
from e3d.chemistry import bonding
from e3d.chemistry.xtb import relax, single_point
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR

#: Rules that turn a dihedral angle.
TURNS = ("turn", "through")
#: RDKit embeddings per end point, from which conformers are relaxed.
N_EMBEDDINGS = 6
#: Å; initial distance between the products of a dissociation.
SEPARATION = 2.4
#: Å; displacement of the middle of the initial path from the straight line. Without it, a path
#: between two linear or planar end points could not leave their symmetry.
BOW = 0.15
#: Distances r are interpolated as r to the power −`STIFFNESS`: halfway, a hydrogen atom that moves
#: from 1.1 to 2.0 Å is at 1.3 Å, as at a saddle point, and not at 1.55 Å, where its bond is broken.
STIFFNESS = 4


def end_points(reaction: Reaction) -> Float[np.ndarray, "2 n_atoms 3"]:
    """Relaxed geometries of both end points in Å, the second aligned with the first.

    The two conformers that are most similar to each other; where a rule gives the second end point,
    the first is the conformer of lowest energy. Raises E3DError when an end point has other bonds
    than its SMILES after relaxation.
    """
    first, second = reaction.graphs
    if reaction.rule:
        start = conformers(first)[0]
        pairs = [(start, relax(reaction.numbers, by_rule(reaction, start)))]
    elif len(fragments := Chem.GetMolFrags(second)) > 1:
        pairs = [(start, _separated(reaction, start, fragments)) for start in conformers(first)]
    else:
        pairs = list(product(conformers(first), conformers(second)))
    start, end = min(pairs, key=lambda pair: distance(*pair))
    for graph, positions in zip(reaction.graphs, (start, end), strict=True):
        if not bonding.keeps_its_bonds(graph, positions):
            raise E3DError(f"reaction {reaction.name}: after relaxation, an end point has other "
                           f"bonds than {Chem.MolToSmiles(graph)}")  # fmt: skip
    return np.stack([start, aligned(start, end)])


def conformers(graph: Chem.Mol) -> list[Float[np.ndarray, "n_atoms 3"]]:
    """Relaxed conformers in Å and their mirror images, in the order of their energies."""
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    found: list[np.ndarray] = []
    for seed in range(1, N_EMBEDDINGS + 1):
        start = relax(numbers, bonding.embed(graph, seed=seed))
        for new in (start, start * [1, 1, -1]):
            if all(distance(old, new) > 0.1 for old in found):
                found.append(new)
    return sorted(
        found, key=lambda r: round(single_point(numbers, r / ANGSTROM_PER_BOHR).energy, 5)
    )


def by_rule(
    reaction: Reaction, positions: Float[np.ndarray, "n_atoms 3"], share: float = 1.0
) -> Float[np.ndarray, "n_atoms 3"]:
    """The geometry in Å that the rule of a reaction makes of the given one.

    share: fraction of the turn, for rules that turn a dihedral. Raises E3DError for unknown rules.
    """
    word, *rest = reaction.rule.split()
    values = [int(value) for value in rest]
    if word == "mirror":
        return positions * [1, 1, -1]
    if word == "permute":
        return positions[[value - 1 for value in values]]
    if word not in TURNS:
        raise E3DError(f"reaction {reaction.name}: unknown rule {word!r}; expected mirror, "
                       "permute, turn or through")  # fmt: skip
    i, j, k, m = (value - 1 for value in values[:4])
    atoms = Atoms(reaction.numbers, positions)
    angle = atoms.get_dihedral(i, j, k, m)
    by = values[4] if word == "turn" else 2 * ((values[4] - angle + 180) % 360 - 180)
    _, turning = bonding.sides(reaction.graphs[0], j, k)
    atoms.set_dihedral(i, j, k, m, angle + share * by, indices=list(turning))
    return atoms.positions


def _separated(
    reaction: Reaction, start: np.ndarray, fragments: tuple[tuple[int, ...], ...]
) -> np.ndarray:
    """Relaxed products of a dissociation, each aligned with its atoms in the reactant, then
    separated and relaxed together."""
    placed = np.array(start, dtype=float)
    parts = Chem.GetMolFrags(reaction.graphs[1], asMols=True)
    for atoms, part in zip(fragments, parts, strict=True):
        own = np.array([atom.GetAtomicNum() for atom in part.GetAtoms()])
        placed[list(atoms)] = aligned(start[list(atoms)], relax(own, bonding.embed(part, seed=1)))
    first, second = (list(atoms) for atoms in fragments)
    away = placed[second].mean(axis=0) - placed[first].mean(axis=0)
    while cdist(placed[first], placed[second]).min() < SEPARATION:
        placed[second] += 0.05 * away / np.linalg.norm(away)
    return relax(reaction.numbers, placed, fmax=0.05)


def first_guess(
    reaction: Reaction, ends: Float[np.ndarray, "2 n_atoms 3"], *, n_images: int
) -> Float[np.ndarray, "n n_atoms 3"]:
    """Initial images in Å from one end point to the other: turned, straight, or by `between`."""
    shares = np.linspace(0, 1, n_images)
    if reaction.rule.startswith(TURNS):
        turned = [aligned(ends[0], by_rule(reaction, ends[0], share)) for share in shares]
        missed = aligned(turned[-1], ends[1]) - turned[-1]
        return np.array(turned) + shares[:, None, None] * missed
    if reaction.rule == "mirror":  # all distances are the same at both ends
        return ends[0] + shares[:, None, None] * (ends[1] - ends[0])
    return between(reaction.numbers, ends, n_images=n_images, bow=0.0 if reaction.rule else BOW)


def between(
    numbers: Int[np.ndarray, " n_atoms"],
    ends: Float[np.ndarray, "2 n_atoms 3"],
    *,
    n_images: int,
    bow: float = 0.0,
) -> Float[np.ndarray, "n n_atoms 3"]:
    """Images in Å whose interatomic distances are interpolated between two end points.

    A straight path, displaced by `bow` Å in its middle, is relaxed with image dependent pair
    potentials (Smidstrup et al. 2014, doi:10.1063/1.4878664). Instead of distances, their powers
    −`STIFFNESS` are interpolated, so that what is bonded at either end stays short.
    """
    out_of_line = np.random.default_rng(0).normal(size=ends[0].shape)
    first, second = (cdist(end, end) + np.eye(len(end)) for end in ends)
    images = []
    for x in np.linspace(0, 1, n_images):
        straight = (1 - x) * ends[0] + x * ends[1] + bow * np.sin(np.pi * x) * out_of_line
        powers = (1 - x) * first**-STIFFNESS + x * second**-STIFFNESS
        wanted = powers ** (-1 / STIFFNESS) - np.eye(len(numbers))
        images.append(Atoms(numbers, straight, calculator=IDPP(wanted, mic=False)))
    band: Any = NEB(images, method="improvedtangent")
    quiet: Any = None
    MDMin(band, logfile=quiet).run(fmax=0.1, steps=100)
    return np.array([image.positions for image in images])
