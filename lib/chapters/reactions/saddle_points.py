"""Bands and saddle points of GFN2-xTB.

A climbing-image nudged elastic band (Henkelman, Uberuaga & Jónsson 2000, doi:10.1063/1.1329672)
comes near a saddle point; Newton steps go there.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from jaxtyping import Float, Int

from e3d.chemistry.vibrations import internal_basis
from e3d.chemistry.xtb import calculator, gfn2_hessian, relax, single_point
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

#: eV/Å²; stiff enough that a converged band is evenly spaced.
SPRING = 3.0
#: Å; images go no further at a time, so that none falls into another valley.
MAX_STEP = 0.1
#: Å; first step away from a saddle point, of the atom that moves most.
ASIDE = 0.15
#: eV/Å; largest force of a minimum: beside the top of a rotation of ethane it is below 0.05.
SETTLED = 0.005
#: eV/Å²; along softer modes a Newton step would be too long.
SOFTEST = 0.05


def aligned(
    reference: Float[np.ndarray, "n_atoms 3"], positions: Float[np.ndarray, "n_atoms 3"]
) -> Float[np.ndarray, "n_atoms 3"]:
    """Positions moved and turned to fit a reference best, no mirroring."""
    moved = Atoms(numbers=np.ones(len(positions)), positions=positions)
    minimize_rotation_and_translation(Atoms(moved.numbers, reference), moved)
    return moved.positions


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square distance of atoms in Å between two geometries turned to fit."""
    return float(np.sqrt(((aligned(first, second) - first) ** 2).sum(axis=1).mean()))


def elastic_band(
    numbers: Int[np.ndarray, " n_atoms"],
    guess: Float[np.ndarray, "n n_atoms 3"],
    *,
    climb: bool,
    fmax: float = 0.05,
    steps: int = 300,
) -> tuple[Float[np.ndarray, "n n_atoms 3"], Float[np.ndarray, " n"]]:
    """Images of a band in Å, ends included as they are, and their energies in eV.

    Relaxed to `fmax` eV/Å within so many steps. With `climb` the highest image climbs at last, and
    comes near a saddle point whether or not all others converge; without, raises E3DError when they
    do not.
    """
    from ase.mep import NEB
    from ase.optimize import FIRE

    images = [Atoms(numbers, positions) for positions in guess]
    for image in images:
        image.calc = calculator()
    band = NEB(images, k=SPRING, method="improvedtangent", remove_rotation_and_translation=True)
    converged = FIRE(band, logfile=None, maxstep=MAX_STEP).run(
        fmax=5 * fmax if climb else fmax, steps=steps
    )
    if climb:
        band.climb = True
        FIRE(band, logfile=None, maxstep=MAX_STEP).run(fmax=fmax, steps=steps)
    elif not converged:
        raise E3DError(f"a band of {images[0].symbols} does not converge within {steps} steps")
    positions = np.array([image.positions for image in images])
    return positions, np.array([image.get_potential_energy() for image in images])


def saddle_point(
    numbers: Int[np.ndarray, " n_atoms"],
    positions: Float[np.ndarray, "n_atoms 3"],
    *,
    fmax: float = 0.005,
    steps: int = 50,
) -> Float[np.ndarray, "n_atoms 3"]:
    """The saddle point of GFN2-xTB near a geometry in Å, to a largest force of `fmax` eV/Å.

    Newton steps, uphill along the lowest mode and downhill along all others, `MAX_STEP` at most.
    Raises E3DError when it does not converge.
    """
    for _ in range(steps):
        gradient = single_point(numbers, positions / ANGSTROM_PER_BOHR).gradient
        slope = gradient.reshape(-1) * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        if np.abs(slope).max() < fmax:
            return positions
        inside = internal_basis(positions, np.ones(len(numbers)))
        curvatures, modes = np.linalg.eigh(inside.T @ gfn2_hessian(numbers, positions) @ inside)
        stiffness = np.maximum(np.abs(curvatures), SOFTEST)
        stiffness[0] *= -1
        step = -(inside @ modes) @ ((inside @ modes).T @ slope / stiffness)
        step *= min(1.0, MAX_STEP / np.abs(step).max())
        positions = positions + step.reshape(-1, 3)
    raise E3DError(f"no saddle point of {Atoms(numbers).symbols} within {steps} steps")


def downhill(
    numbers: Int[np.ndarray, " n_atoms"], saddle: Float[np.ndarray, "n_atoms 3"]
) -> list[Float[np.ndarray, "n_atoms 3"]]:
    """The two minima in Å that are reached from a saddle point, on either side of its mode."""
    inside = internal_basis(saddle, np.ones(len(numbers)))
    _, modes = np.linalg.eigh(inside.T @ gfn2_hessian(numbers, saddle) @ inside)
    mode = (inside @ modes[:, 0]).reshape(-1, 3)
    step = ASIDE * mode / np.abs(mode).max()
    return [relax(numbers, saddle + sign * step, fmax=SETTLED) for sign in (1, -1)]
