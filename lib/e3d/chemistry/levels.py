"""TODO docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL

from e3d.chemistry.dft import wb97m, wb97m_frames
from e3d.chemistry.xtb import gfn2, gfn2_frames
from e3d.errors import E3DError
from e3d.units import EV_PER_HARTREE

#: Unpaired electrons of the isolated atoms in their ground states.
UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "Si": 2, "S": 2, "Cl": 1}
#: Command-line name of a method → how data sets name the level of theory.
LEVELS = {"gfn2": "GFN2-xTB", "wb97m-d3bj/def2-tzvp": "wB97M-D3(BJ)/def2-TZVP"}
METHODS: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "gfn2": gfn2,
    "wb97m-d3bj/def2-tzvp": wb97m,
}
#: The same of many conformations of one molecule.
FRAMES: dict[str, Callable[[np.ndarray, np.ndarray], list[tuple[float, np.ndarray]]]] = {
    "gfn2": gfn2_frames,
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
