"""The levels of theory by which labels are computed, and their isolated atoms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL

from e3d.chemistry.dft import wb97m, wb97m_frames
from e3d.chemistry.xtb import single_point
from e3d.errors import E3DError
from e3d.units import EV_PER_HARTREE

#: Unpaired electrons of the isolated atoms in their ground states.
UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "Si": 2, "S": 2, "Cl": 1}
#: Name of a method on the command line → the name of its level of theory in data sets.
LEVELS = {"gfn2": "GFN2-xTB", "wb97m-d3bj/def2-tzvp": "wB97M-D3(BJ)/def2-TZVP"}


def _gfn2(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    point = single_point(numbers, positions, unpaired=unpaired)
    return point.energy, point.gradient


def _gfn2_frames(
    numbers: np.ndarray, frames: np.ndarray, *, unpaired: int = 0
) -> list[tuple[float, np.ndarray]]:
    return [_gfn2(numbers, positions, unpaired=unpaired) for positions in frames]


#: Energy in hartree and gradient (N, 3) in hartree/bohr of atomic numbers (N,) and positions (N, 3)
#: in bohr; `unpaired` electrons as an option.
METHODS: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "gfn2": _gfn2,
    "wb97m-d3bj/def2-tzvp": wb97m,
}
#: The same for the conformations (M, N, 3) of one molecule.
FRAMES: dict[str, Callable[..., list[tuple[float, np.ndarray]]]] = {
    "gfn2": _gfn2_frames,
    "wb97m-d3bj/def2-tzvp": wb97m_frames,
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
