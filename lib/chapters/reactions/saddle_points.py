"""Elastic bands and saddle points of GFN2-xTB.

A climbing-image nudged elastic band (Henkelman, Uberuaga & Jónsson 2000, doi:10.1063/1.1329672)
approaches a saddle point; Newton steps converge to it.
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
#: Å; longest step, so that no image falls into another valley.
MAX_STEP = 0.1
#: Å; displacement from a saddle point towards a minimum, of the atom that moves most.
ASIDE = 0.15
#: eV/Å; largest force of a minimum: beside the top of a rotation of ethane it is below 0.05.
SETTLED = 0.005
#: eV/Å²; softer modes are treated as this stiff, or a Newton step along them would be too long.
SOFTEST = 0.05


def aligned(
    reference: Float[np.ndarray, "n_atoms 3"], positions: Float[np.ndarray, "n_atoms 3"]
) -> Float[np.ndarray, "n_atoms 3"]:
    """Positions translated and rotated to fit a reference best, without reflection."""
    moved = Atoms(numbers=np.ones(len(positions)), positions=positions)
    minimize_rotation_and_translation(Atoms(moved.numbers, reference), moved)
    return moved.positions


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root-mean-square deviation of two geometries in Å after alignment."""
    return float(np.sqrt(((aligned(first, second) - first) ** 2).sum(axis=1).mean()))


def elastic_band(
    numbers: Int[np.ndarray, " n_atoms"],
    guess: Float[np.ndarray, "n n_atoms 3"],
    *,
    climb: bool,
    fmax: float = 0.05,
    steps: int = 300,
) -> tuple[Float[np.ndarray, "n n_atoms 3"], Float[np.ndarray, " n"]]:
    """Images of a relaxed band in Å, its end points unchanged, and their energies in eV.

    fmax: largest remaining force in eV/Å, within `steps`. With `climb` the highest image climbs
    towards a saddle point in a second phase, and the band need not converge. Without, raises
    E3DError when it does not.
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

    Newton steps of at most `MAX_STEP`, uphill along the lowest mode and downhill along all others.
    Raises E3DError when they do not converge.
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
    """The two minima in Å to which a saddle point relaxes, displaced either way along its mode."""
    inside = internal_basis(saddle, np.ones(len(numbers)))
    _, modes = np.linalg.eigh(inside.T @ gfn2_hessian(numbers, saddle) @ inside)
    mode = (inside @ modes[:, 0]).reshape(-1, 3)
    step = ASIDE * mode / np.abs(mode).max()
    return [relax(numbers, saddle + sign * step, fmax=SETTLED) for sign in (1, -1)]
