"""Minimum energy paths of GFN2-xTB, each through one verified saddle point.

A band between the two end points finds the saddle point. The path is the elementary step through
it: bands between the saddle point and the minima on either side, which may be other conformers than
the search started from.
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
#: Images of the bands on either side per frame of the path.
FINER = 2
#: kcal/mol; energies may fall by this on the way up, as between products that hardly interact.
BUMP = 0.5


def find_path(reaction: Reaction, *, n_between: int = 2) -> ReactionPath:
    """The path of a reaction: reactant, saddle point, product, and `n_between` frames on each side.

    Raises E3DError when an end point does not keep its bonds on relaxation, when there is no
    barrier, when the saddle point does not have exactly one imaginary mode or does not connect both
    end points, when another barrier lies in between, and when a GFN2-xTB calculation fails.
    """
    try:
        saddle, frequency, minima = _saddle_with_minima(reaction)
        sides = [_side(reaction, minimum, saddle, n_between) for minimum in minima]
    except (CalculatorError, RuntimeError) as error:
        raise E3DError(
            f"reaction {reaction.name}: a GFN2-xTB calculation failed ({error})"
        ) from error
    images = np.concatenate([sides[0], sides[1][-2::-1]])
    for k in range(1, len(images)):
        images[k] = aligned(images[k - 1], images[k])
    steps = np.sqrt((np.diff(images, axis=0) ** 2).sum(axis=(1, 2)))
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    return ReactionPath(reaction, images, arc / arc[-1], n_between + 1, frequency)


def _saddle_with_minima(reaction: Reaction) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Saddle point, modulus of its imaginary frequency, and its minima: reactant and product."""
    numbers = reaction.numbers
    guess = first_guess(reaction, end_points(reaction), n_images=N_SEARCH)
    images, energies = elastic_band(numbers, guess, climb=True)
    top = int(energies.argmax())
    if top in (0, N_SEARCH - 1):
        raise E3DError(
            f"reaction {reaction.name}: no barrier; an end point is the highest image of its band"
        )
    saddle = saddle_point(numbers, images[top])
    modes = frequencies(numbers, saddle)
    if (n_imaginary := int((modes < -SOFT).sum())) != 1:
        raise E3DError(f"reaction {reaction.name}: expected one imaginary mode at its saddle "
                       f"point, got {n_imaginary}")  # fmt: skip
    reached = {_end_of(reaction, r, images[[0, -1]]): r for r in downhill(numbers, saddle)}
    if set(reached) != {0, 1}:
        raise E3DError(
            f"reaction {reaction.name}: its saddle point does not connect its two end points"
        )
    return saddle, float(-modes[0]), [reached[0], reached[1]]


def _end_of(
    reaction: Reaction, minimum: np.ndarray, ends: Float[np.ndarray, "2 n_atoms 3"]
) -> int | None:
    """Index of the end point whose bonds a minimum has, of two the nearer one; None if neither."""
    same = [k for k in (0, 1) if bonding.keeps_its_bonds(reaction.graphs[k], minimum)]
    return min(same, key=lambda k: distance(minimum, ends[k]), default=None)


def _side(
    reaction: Reaction, minimum: np.ndarray, saddle: np.ndarray, n_between: int
) -> Float[np.ndarray, "n n_atoms 3"]:
    """Frames from a minimum up to the saddle point, including both."""
    ends = np.stack([aligned(saddle, minimum), saddle])
    n_images = FINER * (n_between + 1) + 1
    guess = between(reaction.numbers, ends, n_images=n_images)
    images, energies = elastic_band(reaction.numbers, guess, climb=False)
    if (np.diff(energies) < -BUMP / KCAL_PER_MOL_PER_EV).any():
        raise E3DError(f"reaction {reaction.name}: another barrier lies between an end point and "
                       "the saddle point; list the two steps as reactions")  # fmt: skip
    return images[::FINER]
