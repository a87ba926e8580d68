"""Energies of pairs of atoms that GFN2-xTB itself has: what a network of its labels could recover.

The energy of GFN2-xTB is Σ_μν P_μν H₀_μν, with H₀ the Hamiltonian before any charge is known, plus
repulsion, plus what has no division into pairs of neighbours (electrostatics of charges and
multipoles, third order, dispersion). The first two are sums over atoms and pairs of atoms,

    E_AB = 2 Σ_{μ∈A, ν∈B} P_μν H₀_μν + Z_A Z_B / R · exp(−√(α_A α_B) R^k)

with k = 1 between two hydrogens and 3/2 elsewhere, in hartree and bohr. Bannwarth, Ehlert & Grimme
2019, doi:10.1021/acs.jctc.8b01176.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from e3d.chemistry.xtb import one_thread
from e3d.errors import E3DError

#: α (1/bohr^k) and effective nuclear charge Z of the repulsion, of the elements of this project,
#: as in tblite's parametrisation (src/tblite/xtb/gfn2.f90).
REPULSION = {
    "H": (2.213717, 1.105388), "C": (1.247655, 4.231078), "N": (1.682689, 5.242592),
    "O": (2.165712, 5.784415), "F": (2.421394, 7.021486), "Si": (1.187323, 40.001111),
    "S": (1.214553, 14.995090), "Cl": (1.577144, 17.353134),
}  # fmt: skip


class PairEnergies(NamedTuple):
    """Parts of the energy of GFN2-xTB in hartree, negative where they bind.

    hamiltonian: symmetric, E of the pair off the diagonal, that of the atom itself on it, so that
    Σ P·H₀ is its upper triangle; repulsion: symmetric, zero on the diagonal.
    """

    hamiltonian: Float[np.ndarray, "n_atoms n_atoms"]
    repulsion: Float[np.ndarray, "n_atoms n_atoms"]

    @property
    def total(self) -> Float[np.ndarray, "n_atoms n_atoms"]:
        """E_AB of every pair, with a diagonal of zeros."""
        both = self.hamiltonian + self.repulsion
        return both - np.diag(np.diag(both))


def gfn2_pair_energies(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[np.ndarray, "n_atoms 3"]
) -> PairEnergies:
    """Pair energies of a neutral closed-shell molecule; positions in bohr.

    Raises E3DError for an element without parameters here, and RuntimeError, tblite's own, when the
    SCF does not converge.
    """
    from tblite.interface import Calculator

    repulsion = gfn2_repulsion(numbers, positions)
    with one_thread():
        tblite = Calculator("GFN2-xTB", np.asarray(numbers, dtype=int), positions)
        tblite.set("verbosity", 0)
        tblite.set("save-integrals", 1)
        result = tblite.singlepoint()
    owners = np.asarray(tblite.get("shell-map"))[np.asarray(tblite.get("orbital-map"))]
    products = np.asarray(result.get("density-matrix")) * result.get("hamiltonian-matrix")
    atoms = np.eye(len(numbers))[owners]
    blocks = atoms.T @ products @ atoms
    return PairEnergies(blocks + blocks.T - np.diag(np.diag(blocks)), repulsion)


def gfn2_repulsion(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[np.ndarray, "n_atoms 3"]
) -> Float[np.ndarray, "n_atoms n_atoms"]:
    """Repulsion of every pair of atoms in hartree, zero on the diagonal; positions in bohr.

    Raises E3DError for an element that is not in `REPULSION`.
    """
    symbols = [chemical_symbols[z] for z in numbers]
    if unknown := sorted(set(symbols) - set(REPULSION)):
        raise E3DError(
            f"no repulsion of GFN2-xTB is known here for {', '.join(unknown)}; its elements are "
            f"{', '.join(REPULSION)}"
        )
    alpha, charge = np.array([REPULSION[symbol] for symbol in symbols]).T
    light = np.asarray(numbers) == 1
    exponent = np.where(np.outer(light, light), 1.0, 1.5)
    lengths = cdist(positions, positions) + np.diag(np.full(len(symbols), np.inf))
    decay = np.exp(-np.sqrt(np.outer(alpha, alpha)) * lengths**exponent)
    return np.outer(charge, charge) / lengths * decay
