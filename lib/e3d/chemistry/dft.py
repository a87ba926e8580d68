"""Energies and gradients of closed-shell molecules: GFN2-xTB and ωB97M-D3(BJ)/def2-TZVP."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import chemical_symbols

from e3d.chemistry.xtb import _check_electrons, _minimum, gfn2_hessian
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR


def kohn_sham(
    numbers: np.ndarray,
    positions: np.ndarray,
    *,
    unpaired: int = 0,
    basis: str = "def2-tzvp",
    unrestricted: bool = False,
) -> Any:
    """PySCF mean field of a neutral molecule, not yet run: ωB97M-D3(BJ) in one thread.

    Density fitting, grid level 2, SCF to 1e-9 hartree; unrestricted when electrons are unpaired, or
    when asked for, so that the spins of a singlet may part.
    positions (N, 3) in bohr. Raises E3DError for an impossible number of unpaired electrons.
    """
    from pyscf import dft, gto, lib

    _check_electrons(numbers, unpaired)
    lib.num_threads(1)
    atoms = [(chemical_symbols[z], tuple(row)) for z, row in zip(numbers, positions, strict=True)]
    mole = gto.M(atom=atoms, unit="Bohr", basis=basis, spin=unpaired, verbose=0)
    method = dft.UKS if unpaired or unrestricted else dft.RKS
    mean_field = method(mole, xc="wb97m-d3bj").density_fit()
    mean_field.grids.level = 2
    mean_field.conv_tol = 1e-9
    return mean_field


def converged_energy(mean_field: Any, guess: np.ndarray | None = None) -> float:
    """Energy in hartree of a mean field, from the density matrix `guess` where there is one.

    Raises E3DError when its SCF does not converge.
    """
    energy = mean_field.kernel(dm0=guess)
    if not mean_field.converged:
        raise E3DError(
            f"SCF not converged for {''.join(mean_field.mol.elements)}; the geometry may be "
            "distorted"
        )
    return float(energy)


def open_shell_energy(mean_field: Any, guess: np.ndarray | None = None) -> float:
    """`converged_energy` with a second try: radicals with a degenerate orbital, as OH, make the SCF
    oscillate unless empty levels are shifted up, which slows down all others."""
    try:
        return converged_energy(mean_field, guess)
    except E3DError:
        mean_field.level_shift, mean_field.max_cycle = 0.3, 200
        return converged_energy(mean_field, mean_field.make_rdm1())


def stable_energy(mean_field: Any, guess: np.ndarray, *, max_rounds: int = 5) -> float:
    """Energy in hartree of a minimum of the SCF, not of a saddle point, near the density `guess`.

    guess (2, n, n): density matrices of both spins. Where the stability analysis finds a direction
    downwards the SCF begins anew from there (Seeger & Pople 1977, doi:10.1063/1.434318), and what
    it finds counts if it is lower: the response of a meta-GGA is noise where the electrons have one
    spin, as at a hydrogen atom far away, and yields directions that are not there. The analysis
    alone is on a grid of level 1, in a third of the time. Raises E3DError when the first SCF does
    not converge, or is still unstable after `max_rounds`.
    """
    from pyscf import dft
    from pyscf.scf.stability import uhf_internal

    energy = open_shell_energy(mean_field, guess)
    fine, coarse = mean_field.grids, dft.Grids(mean_field.mol)
    coarse.level = 1
    for _ in range(max_rounds):
        mean_field.grids = coarse
        # begins with one spin alone: from both alike it would never see that they want to part
        orbitals, stable = uhf_internal(mean_field, with_symmetry=False, return_status=True)
        mean_field.grids = fine
        if stable:
            return energy
        density = mean_field.make_rdm1()
        try:
            lower = open_shell_energy(mean_field, mean_field.make_rdm1(orbitals, mean_field.mo_occ))
        except E3DError:
            lower = energy
        if energy - lower < 1e-6:
            return open_shell_energy(mean_field, density)
        energy = lower
    raise E3DError(
        f"the SCF of {''.join(mean_field.mol.elements)} is still unstable after {max_rounds} rounds"
    )


def wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """ωB97M-D3(BJ)/def2-TZVP energy in hartree and gradient (N, 3) in hartree/bohr.

    As `kohn_sham` sets it up. positions (N, 3) in bohr. Raises E3DError when the SCF does not
    converge, or for an odd number of electrons that are to be paired.
    """
    mean_field = kohn_sham(numbers, positions, unpaired=unpaired)
    return converged_energy(mean_field), _gradient(mean_field)


def wb97m_frames(numbers: np.ndarray, frames: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """`wb97m` of the conformations of one molecule; frames (M, N, 3) in bohr.

    An SCF begins with the density of the frame before, which saves a fifth of its steps.
    """
    found, density = [], None
    for positions in frames:
        mean_field = kohn_sham(numbers, positions)
        found.append((converged_energy(mean_field, density), _gradient(mean_field)))
        density = mean_field.make_rdm1()
    return found


def _gradient(mean_field: Any) -> np.ndarray:
    if mean_field.mol.natm == 1:
        return np.zeros((1, 3))
    return np.asarray(mean_field.nuc_grad_method().kernel())


def relax_wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.05, unpaired: int = 0
) -> np.ndarray:
    """ωB97M-D3(BJ)/def2-SVP minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    Begins with the curvature of GFN2-xTB, which leaves few steps to be made from its minimum.
    Raises E3DError as `relax` does.
    """
    from pyscf.pbc.tools.pyscf_ase import PySCF

    bohr = np.asarray(positions) / ANGSTROM_PER_BOHR
    calculator = PySCF(method=kohn_sham(numbers, bohr, unpaired=unpaired, basis="def2-svp"))
    curvature = _positive_definite(gfn2_hessian(numbers, positions, unpaired=unpaired))
    return _minimum(numbers, positions, calculator, fmax, "ωB97M-D3(BJ)/def2-SVP", curvature)


def _positive_definite(hessian: np.ndarray) -> np.ndarray:
    """The matrix with its soft directions, rotations among them, made stiff: a short first step."""
    values, vectors = np.linalg.eigh(hessian)
    return (vectors * np.maximum(np.abs(values), 2.0)) @ vectors.T
