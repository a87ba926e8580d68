"""Bond orders from density matrices, and relaxed force constants from Hessians."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import sqrtm

from e3d.chemistry.dft import atom_of_each_orbital
from e3d.chemistry.vibrations import internal_basis


def bond_orders(
    density: np.ndarray, overlap: Float[np.ndarray, "n n"], owners: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, "n_atoms n_atoms"]]:
    """Mayer and Wiberg bond orders of all pairs of atoms, symmetric, with a diagonal of zeros.

    density (n, n), or (2, n, n) for spin up and down, and overlap in the same basis; owners: the
    atom of each basis function. `mayer` is 2 Σ_σ Σ_μν (P_σ S)_μν (P_σ S)_νμ with μ on one atom and
    ν on the other (Mayer 1983, doi:10.1016/0009-2614(83)80005-0); `wiberg_lowdin` is the same in
    Löwdin's orthogonal basis, where the products are squares.
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
    owners = atom_of_each_orbital(mean_field.mol)
    return bond_orders(np.asarray(mean_field.make_rdm1()), mean_field.get_ovlp(), owners)


def relaxed_force_constants(
    hessian: Float[np.ndarray, "n3 n3"],
    positions: Float[np.ndarray, "n_atoms 3"],
    pairs: Int[np.ndarray, "n_pairs 2"],
) -> Float[np.ndarray, " n_pairs"]:
    """Relaxed force constants of pairs of atoms in eV/Å²: everything else relaxes as they stretch.

    hessian in eV/Å² at a minimum, positions in Å. Each is the inverse of a diagonal element of the
    compliance matrix, which does not depend on the choice of the other coordinates (Brandhorst &
    Grunenberg 2008, doi:10.1039/b717781j).
    """
    n_atoms = len(positions)
    basis = internal_basis(positions, np.ones(n_atoms))
    inner = basis @ basis.T  # projects out translations and rotations
    compliance = np.linalg.pinv(inner @ hessian @ inner, rcond=1e-6, hermitian=True)
    i, j = pairs.T
    along = positions[j] - positions[i]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    ends = np.eye(n_atoms)[j] - np.eye(n_atoms)[i]
    stretches = (ends[:, :, None] * along[:, None, :]).reshape(len(pairs), -1)
    return 1.0 / np.einsum("pi,ij,pj->p", stretches, compliance, stretches)
