"""TODO docstring."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE


def wiberg_orders(
    atomic_numbers: Int[np.ndarray, " n_atoms"],
    positions: Float[np.ndarray, "n_atoms 3"],
    bonds: Int[np.ndarray, "n_bonds 2"],
) -> Float[np.ndarray, " n_bonds"]:
    """Wiberg bond orders (no unit, 1 for a single bond) of GFN2-xTB at the geometry given, in Å."""
    from tblite.interface import Calculator

    calculator = Calculator(
        "GFN2-xTB", np.asarray(atomic_numbers, dtype=int), positions / ANGSTROM_PER_BOHR
    )
    calculator.set("verbosity", 0)
    orders = np.squeeze(calculator.singlepoint().get("bond-orders"))
    return orders[bonds[:, 0], bonds[:, 1]]


#: Temperature of the electrons where nothing else is said, as of the labels.
COLD_K = 300.0
_HARTREE_PER_KELVIN = units.kB / EV_PER_HARTREE


class SinglePoint(NamedTuple):
    """energy in eV, forces (N, 3) in eV/Å and Wiberg bond orders (N, N), no unit."""

    energy: float
    forces: np.ndarray
    orders: np.ndarray


def gfn2_point(molecule: Atoms, electronic_K: float | int) -> SinglePoint:
    """GFN2-xTB with electrons at a temperature; the energy is then their free energy.

    Cold electrons stay paired while a bond is torn, and its order stays near one up to two and a
    half times its length; warm ones let go. NaN where the SCF does not converge.
    """
    from tblite.interface import Calculator as Tblite

    tblite = Tblite("GFN2-xTB", molecule.numbers, molecule.positions / ANGSTROM_PER_BOHR)
    tblite.set("verbosity", 0)
    tblite.set("temperature", electronic_K * _HARTREE_PER_KELVIN)
    n = len(molecule)
    try:
        result = tblite.singlepoint()
    except RuntimeError:
        return SinglePoint(np.nan, np.full((n, 3), np.nan), np.full((n, n), np.nan))
    gradient = np.asarray(result.get("gradient"))
    return SinglePoint(
        float(result.get("energy")) * EV_PER_HARTREE,
        -gradient * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
        np.squeeze(result.get("bond-orders")).reshape(n, n),
    )


def _check_electrons(numbers: np.ndarray, unpaired: int) -> None:
    """Raise E3DError when a neutral molecule cannot have this number of unpaired electrons."""
    if (int(np.sum(numbers)) - unpaired) % 2:
        raise E3DError(
            f"a neutral molecule of {int(np.sum(numbers))} electrons cannot have {unpaired} "
            "unpaired; only neutral closed-shell molecules are labelled, no ions or radicals"
        )


def gfn2(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """GFN2-xTB energy in hartree and gradient (N, 3) in hartree/bohr; positions (N, 3) in bohr.

    Raises E3DError for an odd number of electrons that are to be paired.
    """
    from tblite.interface import Calculator

    _check_electrons(numbers, unpaired)
    calculator = Calculator("GFN2-xTB", np.asarray(numbers), np.asarray(positions), uhf=unpaired)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    return float(result.get("energy")), np.asarray(result.get("gradient"))


def gfn2_frames(numbers: np.ndarray, frames: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """`gfn2` of the conformations of one molecule; frames (M, N, 3) in bohr."""
    return [gfn2(numbers, positions) for positions in frames]


def relax(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02, unpaired: int = 0
) -> np.ndarray:
    """GFN2-xTB minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    Raises E3DError when it does not converge within 500 steps, or for an odd number of electrons
    that are to be paired.
    """
    from tblite.ase import TBLite

    _check_electrons(numbers, unpaired)
    calculator = TBLite(method="GFN2-xTB", multiplicity=unpaired + 1, verbosity=0)
    return _minimum(numbers, positions, calculator, fmax, "GFN2-xTB")


def relax_to_minimum(
    numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02, unpaired: int = 0
) -> np.ndarray:
    """A true GFN2-xTB minimum from a stationary point, positions (N, 3) in Å.

    A start of high symmetry, as RDKit gives it to a radical beside a double bond, may relax to a
    saddle point. Where the curvature along a mode is below −0.1 eV/Å² (rotations have none beyond
    what `fmax` leaves), the atoms are displaced along it, 0.2 Å at most, and relaxed again. Raises
    E3DError when five times are not enough, and as `relax` does.
    """
    for _ in range(5):
        values, vectors = np.linalg.eigh(gfn2_hessian(numbers, positions, unpaired=unpaired))
        if values[0] > -0.1:
            return positions
        mode = vectors[:, 0].reshape(-1, 3)
        displaced = positions + 0.2 * mode / np.abs(mode).max()
        positions = relax(numbers, displaced, fmax=fmax, unpaired=unpaired)
    raise E3DError(
        f"{''.join(chemical_symbols[z] for z in numbers)}: a saddle point of GFN2-xTB is met again "
        "and again; its surface may be flat"
    )


def gfn2_hessian(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0, step: float = 0.01
) -> np.ndarray:
    """GFN2-xTB Hessian (3N, 3N) in eV/Å² by central differences of `step` Å; positions in Å."""
    from tblite.ase import TBLite

    calculator = TBLite(method="GFN2-xTB", multiplicity=unpaired + 1, verbosity=0)
    atoms = Atoms(numbers=numbers, positions=positions, calculator=calculator)
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


def _minimum(
    numbers: np.ndarray,
    positions: np.ndarray,
    calculator: Any,
    fmax: float,
    method: str,
    curvature: np.ndarray | None = None,
) -> np.ndarray:
    from ase.calculators.calculator import CalculatorError
    from ase.optimize import BFGS

    atoms = Atoms(numbers=numbers, positions=positions, calculator=calculator)
    optimizer = BFGS(atoms, logfile=None)
    if curvature is not None:
        optimizer.H0 = curvature
    try:
        converged = optimizer.run(fmax=fmax, steps=500)
    except (CalculatorError, RuntimeError) as error:
        raise E3DError(f"{atoms.get_chemical_formula()}: {method} failed ({error})") from error
    if not converged:
        raise E3DError(f"{atoms.get_chemical_formula()}: no {method} minimum within 500 steps")
    return atoms.positions
