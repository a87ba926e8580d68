"""GFN2-xTB by tblite: single points, minima and Hessians, always on one thread.

tblite runs on OpenMP threads that wait actively for each other: on small molecules they cost more
than they save, and beside other work a single point takes hundreds of milliseconds instead of two.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import kB
from jaxtyping import Float, Int
from threadpoolctl import ThreadpoolController

from e3d.chemistry.bonding import check_electrons
from e3d.chemistry.relaxation import minimum
from e3d.errors import E3DError
from e3d.memory import keep_freed
from e3d.units import EV_PER_HARTREE

_HARTREE_PER_KELVIN = kB / EV_PER_HARTREE


class SinglePoint(NamedTuple):
    """energy in hartree, gradient (N, 3) in hartree/bohr, Wiberg bond orders (N, N) of no unit."""

    energy: float
    gradient: Float[np.ndarray, "n_atoms 3"]
    orders: Float[np.ndarray, "n_atoms n_atoms"]


def single_point(
    numbers: Int[np.ndarray, " n_atoms"],
    positions: Float[np.ndarray, "n_atoms 3"],
    *,
    unpaired: int = 0,
    electronic_K: float | int | None = None,
) -> SinglePoint:
    """GFN2-xTB of a neutral molecule; positions in bohr.

    electronic_K: temperature of the Fermi smearing, tblite's own 300 K where it is None; the energy
    is the electronic free energy. At 300 K electrons stay paired while a bond is stretched, and its
    order stays near one up to two and a half times the equilibrium length; at 5000 K they do not.

    Raises E3DError for an impossible number of unpaired electrons, and RuntimeError, tblite's own,
    when the SCF does not converge.
    """
    from tblite.interface import Calculator

    check_electrons(numbers, unpaired)
    n_atoms = len(numbers)
    with one_thread():
        tblite = Calculator("GFN2-xTB", np.asarray(numbers, dtype=int), positions, uhf=unpaired)
        tblite.set("verbosity", 0)
        if electronic_K is not None:
            tblite.set("temperature", electronic_K * _HARTREE_PER_KELVIN)
        result = tblite.singlepoint()
    # of open shells tblite gives total orders and, after them, those of the spin density
    orders = np.asarray(result.get("bond-orders")).reshape(-1, n_atoms, n_atoms)[0]
    return SinglePoint(float(result.get("energy")), np.asarray(result.get("gradient")), orders)


def calculator(*, unpaired: int = 0, method: str = "GFN2-xTB") -> Any:
    """ASE calculator of GFN2-xTB, or GFN1-xTB, for a neutral molecule or crystal. An SCF starts
    from the one before."""
    from tblite.ase import TBLite

    class OneThread(TBLite):  # type: ignore[misc]
        def calculate(self, *args: Any, **options: Any) -> None:
            with one_thread():
                super().calculate(*args, **options)

    return OneThread(method=method, multiplicity=unpaired + 1, verbosity=0)


def one_thread() -> AbstractContextManager:
    """A context in which tblite, of which this makes sure that it is loaded, has one thread."""
    return _openmp().limit(limits=1)


@cache
def _openmp() -> ThreadpoolController:
    """The OpenMP runtimes of this process, looked for once: a search takes milliseconds.

    The matrices of a single point are then kept too: of large molecules, mapping them afresh in
    every iteration of the SCF takes longer than the arithmetic.
    """
    keep_freed()
    import tblite.interface  # noqa: F401  (its runtime must be among them)

    return ThreadpoolController().select(user_api="openmp")


def relax(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02, unpaired: int = 0
) -> np.ndarray:
    """GFN2-xTB minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    Raises E3DError when it does not converge within 500 steps, and for an impossible number of
    unpaired electrons.
    """
    check_electrons(numbers, unpaired)
    atoms = Atoms(numbers=numbers, positions=positions, calculator=calculator(unpaired=unpaired))
    return minimum(atoms, fmax=fmax, method="GFN2-xTB")


def relax_to_minimum(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02, unpaired: int = 0
) -> np.ndarray:
    """A true GFN2-xTB minimum from a stationary point, positions (N, 3) in Å.

    A start of high symmetry, as RDKit gives it to a radical beside a double bond, may relax to a
    saddle point. Where the curvature along a mode is below −0.1 eV/Å² (rotations have none beyond
    what `fmax` leaves), the atoms are displaced along it, by 0.2 Å at most, and relaxed again.
    Raises E3DError when five times are not enough, and as `relax` does.
    """
    for _ in range(5):
        values, vectors = np.linalg.eigh(gfn2_hessian(numbers, positions, unpaired=unpaired))
        if values[0] > -0.1:
            return positions
        mode = vectors[:, 0].reshape(-1, 3)
        displaced = positions + 0.2 * mode / np.abs(mode).max()
        positions = relax(numbers, displaced, fmax=fmax, unpaired=unpaired)
    raise E3DError(
        f"{''.join(chemical_symbols[z] for z in numbers)}: GFN2-xTB relaxes to a saddle point five "
        "times in a row; its energy surface may be flat there"
    )


def gfn2_hessian(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0, step: float = 0.01
) -> Float[np.ndarray, "n3 n3"]:
    """GFN2-xTB Hessian (3N, 3N) in eV/Å² by central differences of `step` Å; positions in Å."""
    atoms = Atoms(numbers=numbers, positions=positions, calculator=calculator(unpaired=unpaired))
    flat = np.asarray(positions, dtype=float).reshape(-1)
    rows = []
    for displacement in step * np.eye(flat.size):
        forces = []
        for moved in (flat + displacement, flat - displacement):
            atoms.positions = moved.reshape(-1, 3)
            forces.append(atoms.get_forces().reshape(-1))
        rows.append((forces[1] - forces[0]) / (2 * step))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2
