"""Energies and gradients of closed-shell molecules: GFN2-xTB and ωB97M-D3(BJ)/def2-TZVP."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols

from e3d.errors import E3DError
from e3d.units import EV_PER_HARTREE

#: Unpaired electrons of the isolated atoms in their ground states.
UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "Si": 2, "S": 2, "Cl": 1}
#: Command-line name of a method → how data sets name the level of theory.
LEVELS = {"gfn2": "GFN2-xTB", "wb97m-d3bj/def2-tzvp": "wB97M-D3(BJ)/def2-TZVP"}


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


def wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """ωB97M-D3(BJ)/def2-TZVP energy in hartree and gradient (N, 3) in hartree/bohr.

    Density fitting, grid level 2, SCF converged to 1e-9 hartree; unrestricted when electrons are
    unpaired. positions (N, 3) in bohr. Raises E3DError when the SCF does not converge, or for an
    odd number of electrons that are to be paired.
    """
    from pyscf import dft, gto, lib

    _check_electrons(numbers, unpaired)
    lib.num_threads(1)
    atoms = [(chemical_symbols[z], tuple(row)) for z, row in zip(numbers, positions, strict=True)]
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-tzvp", spin=unpaired, verbose=0)
    kohn_sham = dft.UKS if unpaired else dft.RKS
    mean_field = kohn_sham(mole, xc="wb97m-d3bj").density_fit()
    mean_field.grids.level = 2
    mean_field.conv_tol = 1e-9
    energy = mean_field.kernel()
    if not mean_field.converged:
        raise E3DError(
            f"SCF not converged for {''.join(s for s, _ in atoms)}; the geometry may be distorted"
        )
    if len(atoms) == 1:
        return float(energy), np.zeros((1, 3))
    return float(energy), np.asarray(mean_field.nuc_grad_method().kernel())


METHODS: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "gfn2": gfn2,
    "wb97m-d3bj/def2-tzvp": wb97m,
}


def isolated_atoms(method: str, elements: Iterable[str]) -> dict[str, float]:
    """Energies in eV of isolated atoms in their ground states, by element symbol.

    Raises E3DError for an element without a known ground state.
    """
    energies = {}
    for symbol in elements:
        if symbol not in UNPAIRED:
            raise E3DError(f"no ground state known for an isolated {symbol} atom; known: "
                           f"{', '.join(UNPAIRED)}")  # fmt: skip
        numbers = np.array([NUMBER_OF_SYMBOL[symbol]])
        energy, _ = METHODS[method](numbers, np.zeros((1, 3)), unpaired=UNPAIRED[symbol])
        energies[symbol] = energy * EV_PER_HARTREE
    return energies


def relax(numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02) -> np.ndarray:
    """GFN2-xTB minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    Raises E3DError when it does not converge within 500 steps, or for an odd number of electrons.
    """
    from ase import Atoms
    from ase.calculators.calculator import CalculatorError
    from ase.optimize import BFGS
    from tblite.ase import TBLite

    _check_electrons(numbers, 0)
    atoms = Atoms(numbers=numbers, positions=positions)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    try:
        converged = BFGS(atoms, logfile=None).run(fmax=fmax, steps=500)
    except CalculatorError as error:
        raise E3DError(f"{atoms.get_chemical_formula()}: GFN2-xTB failed ({error})") from error
    if not converged:
        raise E3DError(f"{atoms.get_chemical_formula()}: no GFN2-xTB minimum within 500 steps")
    return atoms.positions
