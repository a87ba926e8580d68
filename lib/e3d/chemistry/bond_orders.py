"""TODO docstring."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import orth, sqrtm


def bond_orders(
    density: np.ndarray, overlap: Float[np.ndarray, "n n"], owners: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, "n_atoms n_atoms"]]:
    """Mayer and Wiberg bond orders between all atoms, symmetric, zero on the diagonal.

    density (n, n), or (2, n, n) for spin up and down, and overlap in one basis; owners: the atom of
    each basis function. `mayer`: 2 Σ_σ Σ_μν (P_σ S)_μν (P_σ S)_νμ, μ on one atom and ν on the other
    (Mayer 1983, doi:10.1016/0009-2614(83)80005-0); `wiberg_lowdin`: the same in Löwdin's orthogonal
    basis, where the products are squares.
    """
    spins = density if density.ndim == 3 else np.stack([density, density]) / 2
    atoms = np.eye(owners.max() + 1)[owners]
    root = np.real(sqrtm(overlap))
    matrices = {
        "mayer": [spin @ overlap for spin in spins],
        "wiberg_lowdin": [root @ spin @ root for spin in spins],
    }
    found = {}
    for name, products in matrices.items():
        orders = 2 * sum(atoms.T @ (matrix * matrix.T) @ atoms for matrix in products)
        found[name] = orders * (1 - np.eye(len(orders)))
    return found


def mean_field_bond_orders(mean_field: Any) -> dict[str, Float[np.ndarray, "n_atoms n_atoms"]]:
    """`bond_orders` of a converged PySCF mean field."""
    slices = mean_field.mol.aoslice_by_atom()
    owners = np.repeat(np.arange(len(slices)), slices[:, 3] - slices[:, 2])
    return bond_orders(np.asarray(mean_field.make_rdm1()), mean_field.get_ovlp(), owners)


def relaxed_force_constants(
    hessian: Float[np.ndarray, "n3 n3"],
    positions: Float[np.ndarray, "n_atoms 3"],
    pairs: Int[np.ndarray, "n_pairs 2"],
) -> Float[np.ndarray, " n_pairs"]:
    """Force constants in eV/Å² of stretching pairs of atoms while everything else relaxes.

    hessian in eV/Å² at a minimum, positions in Å. The inverse of a diagonal element of the
    compliance matrix, which does not depend on the other coordinates chosen (Brandhorst &
    Grunenberg 2008, doi:10.1039/b717781j).
    """
    n_atoms = len(positions)
    centred = positions - positions.mean(axis=0)
    rigid = [np.tile(axis, n_atoms) for axis in np.eye(3)]
    rigid += [np.cross(axis, centred).reshape(-1) for axis in np.eye(3)]
    basis = orth(np.array(rigid).T, rcond=1e-6)  # five motions for a linear molecule
    inner = np.eye(3 * n_atoms) - basis @ basis.T
    compliance = np.linalg.pinv(inner @ hessian @ inner, rcond=1e-6, hermitian=True)
    i, j = pairs.T
    along = positions[j] - positions[i]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    ends = np.eye(n_atoms)[j] - np.eye(n_atoms)[i]
    stretches = (ends[:, :, None] * along[:, None, :]).reshape(len(pairs), -1)
    return 1.0 / np.einsum("pi,ij,pj->p", stretches, compliance, stretches)
