"""Measures of a bond that know nothing of a network: bond orders and stretching force constants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.linalg import orth, sqrtm

from e3d import files, molecule, statistics
from e3d.calibration import wiberg_orders
from e3d.dataset import Molecule
from e3d.pieces import discard, work_through
from e3d.quantum import converged_energy, gfn2_hessian, kohn_sham
from e3d.tables import relaxed_index
from e3d.units import ANGSTROM_PER_BOHR


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


def witnesses_of(entry: Molecule) -> pd.DataFrame:
    """Witnesses of every bond of a molecule at its relaxed conformation, one row per bond.

    Columns: molecule (name), smiles (canonical), i, j (i < j), class, length_A; bond orders
    `mayer` and `wiberg_lowdin` (ωB97M-D3(BJ)/def2-TZVP) and `wiberg_gfn2` (GFN2-xTB, as tblite
    gives it); force_constant_eV_per_A2 (GFN2-xTB, all else relaxed). Raises E3DError when the SCF
    does not converge, or as `tables.relaxed_index` does.
    """
    numbers, positions = entry.atomic_numbers, entry.positions[relaxed_index(entry)]
    graph = molecule.from_mapped_smiles(entry.smiles)
    pairs = molecule.bond_pairs(graph)
    i, j = pairs.T
    mean_field = kohn_sham(numbers, positions / ANGSTROM_PER_BOHR)
    converged_energy(mean_field)
    orders = mean_field_bond_orders(mean_field)
    stiffness = relaxed_force_constants(gfn2_hessian(numbers, positions), positions, pairs)
    return pd.DataFrame(
        {"molecule": entry.name, "smiles": entry.canonical_smiles, "i": i, "j": j,
         "class": [molecule.bond_class(graph, *pair) for pair in pairs.tolist()],
         "length_A": np.linalg.norm(positions[i] - positions[j], axis=1)}
        | {name: matrix[i, j] for name, matrix in orders.items()}
        | {"wiberg_gfn2": wiberg_orders(numbers, positions, pairs),
           "force_constant_eV_per_A2": stiffness}
    )  # fmt: skip


def label_witnesses(
    molecules: Sequence[Molecule],
    out: str | Path,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write `witnesses_of` every molecule to one CSV file; an interrupted call goes on.

    Returns the molecules left out, with the reason of each. Raises E3DError as `work_through` does.
    """
    out = Path(out)
    found, left_out = work_through(
        _write, molecules, out, key=_name, unit="molecule", n_workers=n_workers, progress=progress
    )
    table = pd.concat([pd.read_csv(piece, keep_default_na=False) for piece in found.values()])
    with files.replacing(out) as path:
        statistics.rounded(table, 6).to_csv(path, index=False)
    discard(out)
    return left_out


def _name(entry: Molecule) -> str:
    return entry.name


def _write(entry: Molecule, piece: Path) -> None:
    witnesses_of(entry).to_csv(piece, index=False)
