"""Do formation energies agree with the isolated atoms, stored in the file or inferred from it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem

Atom = tuple[str, int]  # element symbol, formal charge


@dataclass
class Zero:
    """Energies of atoms in hartree, known from the start or learned molecule by molecule.

    Where a file states no isolated atoms, the zero of a molecule is its total minus its formation
    energy, which must be a sum over its atoms, an ion being an atom of its own: each new
    composition either extends the `basis` or is predicted by it. The basis holds at most one
    composition per kind of atom, so it does not grow with the file.
    """

    tolerance: float
    stored: dict[str, float] | None = None
    basis: list[tuple[Counter[Atom], float]] = field(default_factory=list)
    n_predicted: int = 0

    def check(self, graph: Chem.Mol, total: np.ndarray, formation: np.ndarray) -> list[str]:
        """What is wrong with a molecule's energies, total and formation (M,) in hartree."""
        zeros = total - formation
        atoms = Counter((a.GetSymbol(), a.GetFormalCharge()) for a in graph.GetAtoms())
        if np.ptp(zeros) > self.tolerance:
            return [
                f"total minus formation energy varies by {np.ptp(zeros):.2g} hartree between "
                "conformations; it must be the same isolated atoms in each"
            ]
        expected = self._expected(atoms, float(zeros[0]))
        if isinstance(expected, str):
            return [expected]
        if expected is None or abs(zeros[0] - expected) <= self.tolerance:
            return []
        return [
            f"formation energy is {abs(zeros[0] - expected):.2g} hartree from total minus isolated "
            f"atoms ({'as stored' if self.stored else 'as the other molecules imply'})"
        ]

    def findings(self) -> list[tuple[str, str]]:
        """Notes at the end: how far an inferred zero could be checked."""
        if self.stored is not None or not self.basis:
            return []
        return [
            ("file", f"zero inferred from {len(self.basis)} compositions; {self.n_predicted} "
                     "further molecules checked against it")
        ]  # fmt: skip

    def _expected(self, atoms: Counter[Atom], zero: float) -> float | str | None:
        """Sum of the isolated atoms; why there is none; None where it had to be learned."""
        if self.stored is None:
            return self._predict(atoms, zero)
        missing = sorted({symbol for symbol, _ in atoms} - set(self.stored))
        if missing:
            return f"no atomic energy stored for {', '.join(missing)}"
        return sum(count * self.stored[symbol] for (symbol, _), count in atoms.items())

    def _predict(self, atoms: Counter[Atom], zero: float) -> float | None:
        kinds = sorted({kind for known, _ in self.basis for kind in known} | set(atoms))
        target = np.array([atoms[kind] for kind in kinds], dtype=float)
        rows = np.array([[known[k] for k in kinds] for known, _ in self.basis], dtype=float)
        if self.basis:
            weights, *_ = np.linalg.lstsq(rows.T, target, rcond=None)
            if np.allclose(weights @ rows, target, atol=1e-6):
                self.n_predicted += 1
                return float(weights @ [energy for _, energy in self.basis])
        self.basis.append((atoms, zero))
        return None


def stored_zero(energies: Mapping[str, float], tolerance: float) -> Zero:
    """Zero of a file that states its isolated atoms, in hartree by element symbol."""
    return Zero(tolerance, stored=dict(energies))


def inferred_zero(tolerance: float) -> Zero:
    """Zero of a file that does not state its isolated atoms."""
    return Zero(tolerance)
