"""TODO docstring."""

from __future__ import annotations

import numpy as np
from ase import units
from ase.data import atomic_masses
from jaxtyping import Float, Int

from e3d.chemistry.xtb import gfn2_hessian

#: cm⁻¹; modes below it, on either side of zero, are noise of the numerical Hessian.
SOFT = 30.0


def frequencies(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[np.ndarray, "n_atoms 3"]
) -> Float[np.ndarray, " n_modes"]:
    """Harmonic frequencies of GFN2-xTB in cm⁻¹, ascending, imaginary ones negative.

    Translations and rotations are projected out. positions in Å, of a stationary point.
    """
    roots = np.sqrt(atomic_masses[numbers])
    inside = _internal(roots, positions)
    weights = np.repeat(roots, 3)
    hessian = gfn2_hessian(numbers, positions) / np.outer(weights, weights)
    values = np.linalg.eigvalsh(inside.T @ hessian @ inside)
    per_root = units._hbar * 1e10 / np.sqrt(units._e * units._amu) / units.invcm
    return np.sign(values) * np.sqrt(np.abs(values)) * per_root


def _internal(roots: np.ndarray, positions: np.ndarray) -> Float[np.ndarray, "n3 n_modes"]:
    """Orthonormal columns that span everything but translations and rotations.

    roots (N,): square roots of the masses, or ones.
    """
    centred = positions - np.average(positions, axis=0, weights=roots**2)
    rigid = [np.tile(axis, (len(roots), 1)) for axis in np.eye(3)]
    rigid += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.array([(roots[:, None] * motion).reshape(-1) for motion in rigid]).T
    left, singular, _ = np.linalg.svd(columns, full_matrices=True)
    return left[:, int((singular > 1e-3 * singular[0]).sum()) :]
