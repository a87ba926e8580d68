"""Minimum energy paths of GFN2-xTB, each through one verified saddle point.

A band between the two ends finds the saddle point. What is kept is the elementary step through it:
the minima on its two sides, which may be other conformers than the search began with, and bands
from there to it.
"""

from __future__ import annotations

import numpy as np
from ase.calculators.calculator import CalculatorError
from jaxtyping import Float

from chapters.reactions.end_points import between, end_points, first_guess
from chapters.reactions.reaction import Reaction, ReactionPath
from chapters.reactions.saddle_points import aligned, distance, downhill, elastic_band, saddle_point
from e3d.chemistry import bonding
from e3d.chemistry.vibrations import SOFT, frequencies
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

#: Images of the band that finds the saddle point.
N_SEARCH = 11
#: Images of the bands on either side for each frame that is kept.
FINER = 2
#: kcal/mol; by so much energies may fall on the way up, as among products that hardly interact.
BUMP = 0.5


def find_path(reaction: Reaction, *, n_between: int = 2) -> ReactionPath:
    """The path of a reaction: reactant, saddle point, product, and `n_between` frames on each side.

    Raises E3DError when an end does not keep its bonds, when nothing on the way lies above both
    ends, when the saddle point has not exactly one imaginary mode that leads to both ends, when
    another barrier lies between, or when GFN2-xTB fails on the way.
    """
    try:
        saddle, frequency, minima = _saddle_with_minima(reaction)
        sides = [_side(reaction, minimum, saddle, n_between) for minimum in minima]
    except (CalculatorError, RuntimeError) as error:
        raise E3DError(f"reaction {reaction.name}: GFN2-xTB failed on the way ({error})") from error
    images = np.concatenate([sides[0], sides[1][-2::-1]])
    for k in range(1, len(images)):
        images[k] = aligned(images[k - 1], images[k])
    steps = np.sqrt((np.diff(images, axis=0) ** 2).sum(axis=(1, 2)))
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    return ReactionPath(reaction, images, arc / arc[-1], n_between + 1, frequency)


def _saddle_with_minima(reaction: Reaction) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Saddle point, its imaginary frequency, and the minima towards reactant and product."""
    numbers = reaction.numbers
    guess = first_guess(reaction, end_points(reaction), n_images=N_SEARCH)
    images, energies = elastic_band(numbers, guess, climb=True)
    top = int(energies.argmax())
    if top in (0, N_SEARCH - 1):
        raise E3DError(f"reaction {reaction.name}: no barrier, an end of its band is the highest")
    saddle = saddle_point(numbers, images[top])
    modes = frequencies(numbers, saddle)
    if (n_imaginary := int((modes < -SOFT).sum())) != 1:
        raise E3DError(f"reaction {reaction.name}: {n_imaginary} imaginary modes at its saddle "
                       "point, one expected")  # fmt: skip
    reached = {_end_of(reaction, r, images[[0, -1]]): r for r in downhill(numbers, saddle)}
    if set(reached) != {0, 1}:
        raise E3DError(f"reaction {reaction.name}: its saddle point does not join its two ends")
    return saddle, float(-modes[0]), [reached[0], reached[1]]


def _end_of(
    reaction: Reaction, minimum: np.ndarray, ends: Float[np.ndarray, "2 n_atoms 3"]
) -> int | None:
    """0 or 1: the end whose bonds a minimum has, of two such the nearer one; None: of neither."""
    same = [k for k in (0, 1) if bonding.keeps_its_bonds(reaction.graphs[k], minimum)]
    return min(same, key=lambda k: distance(minimum, ends[k]), default=None)


def _side(
    reaction: Reaction, minimum: np.ndarray, saddle: np.ndarray, n_between: int
) -> Float[np.ndarray, "n n_atoms 3"]:
    """Frames from a minimum up to the saddle point, both included."""
    ends = np.stack([aligned(saddle, minimum), saddle])
    n_images = FINER * (n_between + 1) + 1
    guess = between(reaction.numbers, ends, n_images=n_images)
    images, energies = elastic_band(reaction.numbers, guess, climb=False)
    if (np.diff(energies) < -BUMP / KCAL_PER_MOL_PER_EV).any():
        raise E3DError(f"reaction {reaction.name}: another barrier lies between an end and its "
                       "saddle point; list the two steps by themselves")  # fmt: skip
    return images[::FINER]
