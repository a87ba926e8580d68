"""ωB97M-D3(BJ) by PySCF: energies, gradients and minima of closed-shell molecules and radicals."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Int

from e3d.chemistry.bonding import check_electrons
from e3d.chemistry.relaxation import minimum
from e3d.chemistry.xtb import gfn2_hessian
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
    """PySCF mean field of a neutral molecule, not yet run: ωB97M-D3(BJ) on one thread.

    Density fitting, grid level 2, SCF to 1e-9 hartree. Unrestricted where electrons are unpaired,
    and where asked for, so that a singlet may break its spin symmetry. positions (N, 3) in bohr.
    Raises E3DError for an impossible number of unpaired electrons.
    """
    from pyscf import dft, gto, lib

    check_electrons(numbers, unpaired)
    lib.num_threads(1)
    atoms = [(chemical_symbols[z], tuple(row)) for z, row in zip(numbers, positions, strict=True)]
    mole = gto.M(atom=atoms, unit="Bohr", basis=basis, spin=unpaired, verbose=0)
    method = dft.UKS if unpaired or unrestricted else dft.RKS
    mean_field = method(mole, xc="wb97m-d3bj").density_fit()
    mean_field.grids.level = 2
    mean_field.conv_tol = 1e-9
    return mean_field


def converged_energy(mean_field: Any, guess: np.ndarray | None = None) -> float:
    """Run the SCF of a mean field, from the density matrix `guess` if given; energy in hartree.

    Raises E3DError when it does not converge.
    """
    energy = mean_field.kernel(dm0=guess)
    if not mean_field.converged:
        raise E3DError(
            f"SCF not converged for {''.join(mean_field.mol.elements)}; the geometry may be "
            "distorted"
        )
    return float(energy)


def open_shell_energy(mean_field: Any, guess: np.ndarray | None = None) -> float:
    """`converged_energy` with a second attempt, for which the virtual orbitals are shifted up.

    In radicals with degenerate orbitals, such as OH, the SCF oscillates without this level shift,
    which slows down all others.
    """
    try:
        return converged_energy(mean_field, guess)
    except E3DError:
        mean_field.level_shift, mean_field.max_cycle = 0.3, 200
        return converged_energy(mean_field, mean_field.make_rdm1())


def stable_energy(mean_field: Any, guess: np.ndarray, *, max_rounds: int = 5) -> float:
    """Energy in hartree of a stable SCF solution, not of a saddle point, near the density `guess`.

    guess (2, n, n): density matrices of both spins. Where the stability analysis (Seeger & Pople
    1977, doi:10.1063/1.434318) finds a direction of negative curvature, the SCF is started again
    from there, and its result is accepted only if it is lower: where all electrons have the same
    spin, as at a distant hydrogen atom, the response of a meta-GGA is numerical noise and suggests
    directions that do not lead down. The analysis alone uses a grid of level 1, which takes a third
    of the time. Raises E3DError when the first SCF does not converge, and when the solution is
    still unstable after `max_rounds`.
    """
    from pyscf import dft
    from pyscf.scf.stability import uhf_internal

    energy = open_shell_energy(mean_field, guess)
    fine, coarse = mean_field.grids, dft.Grids(mean_field.mol)
    coarse.level = 1
    for _ in range(max_rounds):
        mean_field.grids = coarse
        # starts from a change of one spin: from equal changes of both it would stay restricted
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
        f"the SCF solution of {''.join(mean_field.mol.elements)} is still unstable after "
        f"{max_rounds} rounds"
    )


def wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """ωB97M-D3(BJ)/def2-TZVP energy in hartree and gradient (N, 3) in hartree/bohr.

    Settings as of `kohn_sham`. positions (N, 3) in bohr. Raises E3DError when the SCF does not
    converge, and for an impossible number of unpaired electrons.
    """
    mean_field = kohn_sham(numbers, positions, unpaired=unpaired)
    return converged_energy(mean_field), gradient(mean_field)


def wb97m_frames(
    numbers: np.ndarray, frames: np.ndarray, *, unpaired: int = 0
) -> list[tuple[float, np.ndarray]]:
    """`wb97m` of the conformations of one molecule or radical; frames (M, N, 3) in bohr.

    Each SCF starts from the density of the frame before, which saves a fifth of its steps.
    """
    converged = open_shell_energy if unpaired else converged_energy
    found, density = [], None
    for positions in frames:
        mean_field = kohn_sham(numbers, positions, unpaired=unpaired)
        found.append((converged(mean_field, density), gradient(mean_field)))
        density = mean_field.make_rdm1()
    return found


def gradient(mean_field: Any) -> np.ndarray:
    """Nuclear gradient (N, 3) in hartree/bohr of a converged mean field."""
    if mean_field.mol.natm == 1:
        return np.zeros((1, 3))
    return np.asarray(mean_field.nuc_grad_method().kernel())


def relax_wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.05, unpaired: int = 0
) -> np.ndarray:
    """ωB97M-D3(BJ)/def2-SVP minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    BFGS starts from the Hessian of GFN2-xTB, so that few steps lead from a minimum of GFN2-xTB to
    this one. Raises E3DError as `xtb.relax` does.
    """
    from pyscf.pbc.tools.pyscf_ase import PySCF

    bohr = np.asarray(positions) / ANGSTROM_PER_BOHR
    calculator = PySCF(method=kohn_sham(numbers, bohr, unpaired=unpaired, basis="def2-svp"))
    atoms = Atoms(numbers=numbers, positions=positions, calculator=calculator)
    curvature = _positive_definite(gfn2_hessian(numbers, positions, unpaired=unpaired))
    return minimum(atoms, fmax=fmax, method="ωB97M-D3(BJ)/def2-SVP", curvature=curvature)


def _positive_definite(hessian: np.ndarray) -> np.ndarray:
    """The matrix with its eigenvalues raised to 2 eV/Å² at least, so that the first step is short.

    Rotations, whose curvature is zero, and directions of negative curvature become stiff as well.
    """
    values, vectors = np.linalg.eigh(hessian)
    return (vectors * np.maximum(np.abs(values), 2.0)) @ vectors.T


def atom_of_each_orbital(mole: Any) -> Int[np.ndarray, " n_orbitals"]:
    """Index of the atom on which each basis function of a PySCF molecule is centred."""
    slices = mole.aoslice_by_atom()
    return np.repeat(np.arange(len(slices)), slices[:, 3] - slices[:, 2])
