"""Harmonic vibrations of GFN2-xTB, free of translations and rotations."""

from __future__ import annotations

import numpy as np
from ase import units
from ase.data import atomic_masses
from jaxtyping import Float, Int

from e3d.chemistry.xtb import gfn2_hessian

#: cm⁻¹; modes below it, real or imaginary, are noise of the numerical Hessian.
SOFT = 30.0
#: Rotations whose singular value is smaller than this share of the largest do not exist: those of a
#: linear molecule about its axis.
_NO_ROTATION = 1e-3


def frequencies(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[np.ndarray, "n_atoms 3"]
) -> Float[np.ndarray, " n_modes"]:
    """Harmonic frequencies of GFN2-xTB in cm⁻¹, ascending; imaginary ones are given as negative.

    positions in Å, of a stationary point. Translations and rotations are projected out.
    """
    masses = atomic_masses[numbers]
    basis = internal_basis(positions, masses)
    weights = np.repeat(np.sqrt(masses), 3)
    hessian = gfn2_hessian(numbers, positions) / np.outer(weights, weights)
    values = np.linalg.eigvalsh(basis.T @ hessian @ basis)
    per_root = units._hbar * 1e10 / np.sqrt(units._e * units._amu) / units.invcm
    return np.sign(values) * np.sqrt(np.abs(values)) * per_root


def internal_basis(
    positions: Float[np.ndarray, "n_atoms 3"], masses: Float[np.ndarray, " n_atoms"]
) -> Float[np.ndarray, "n3 n_modes"]:
    """Orthonormal columns that span all displacements but translations and rotations.

    In mass-weighted coordinates, which are Cartesian ones where all masses are 1. A linear molecule
    has 3N − 5 columns, any other 3N − 6.
    """
    roots = np.sqrt(masses)
    centred = positions - np.average(positions, axis=0, weights=masses)
    rigid = [np.tile(axis, (len(roots), 1)) for axis in np.eye(3)]
    rigid += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.array([(roots[:, None] * motion).reshape(-1) for motion in rigid]).T
    left, singular, _ = np.linalg.svd(columns, full_matrices=True)
    return left[:, int((singular > _NO_ROTATION * singular[0]).sum()) :]
