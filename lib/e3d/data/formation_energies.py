"""Consistency of formation energies with isolated atoms, stored in a file or inferred from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem

Atom = tuple[str, int]  # element symbol, formal charge
#: Molecules with another zero that make a subset suspect, and subsets that are kept apart.
MIN_DIFFERING, MAX_SUBSETS = 3, 1000


@dataclass
class Zero:
    """Energies of isolated atoms in hartree, stored in the file or inferred molecule by molecule.

    Where a file does not store them, the zero of a molecule is its total minus its formation
    energy. It must be a sum over the atoms, with ions as atoms of their own kind: each new
    composition is either predicted by those in the `basis` or extends it. The basis has at most one
    composition per kind of atom, so it does not grow with the file. subsets: molecules of each that
    agree, and that differ.
    """

    tolerance: float
    stored: dict[str, float] | None = None
    basis: list[tuple[Counter[Atom], float]] = field(default_factory=list)
    n_predicted: int = 0
    subsets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def check(
        self, graph: Chem.Mol, total: np.ndarray, formation: np.ndarray, subset: str = ""
    ) -> list[str]:
        """Problems of a molecule's total and formation energies, each (M,) in hartree."""
        problems = self._problems(graph, total, formation)
        if subset in self.subsets or len(self.subsets) < MAX_SUBSETS:
            agree, differ = self.subsets.get(subset, (0, 0))
            self.subsets[subset] = (agree + (not problems), differ + bool(problems))
        return problems

    def by_subset(self) -> list[str]:
        """Subsets that differ as a whole: most of their molecules have another zero."""
        return [
            f"subset {subset!r}: {differ} of {agree + differ} molecules have another zero of "
            "energy than the rest; is it at another level of theory? Use it separately"
            for subset, (agree, differ) in self.subsets.items()
            if differ >= MIN_DIFFERING and differ > agree and len(self.subsets) > 1
        ]

    def _problems(self, graph: Chem.Mol, total: np.ndarray, formation: np.ndarray) -> list[str]:
        zeros = total - formation
        atoms = Counter((a.GetSymbol(), a.GetFormalCharge()) for a in graph.GetAtoms())
        if np.ptp(zeros) > self.tolerance:
            return [
                f"total minus formation energy varies by {np.ptp(zeros):.2g} hartree between "
                "conformations; it must be that of the same isolated atoms in each"
            ]
        if self.stored is None:
            expected = self._predict(atoms, float(zeros[0]))
        elif missing := sorted({symbol for symbol, _ in atoms} - set(self.stored)):
            return [f"no atomic energy stored for {', '.join(missing)}"]
        else:
            expected = sum(count * self.stored[symbol] for (symbol, _), count in atoms.items())
        if expected is None or abs(zeros[0] - expected) <= self.tolerance:
            return []
        return [
            f"formation energy is {abs(zeros[0] - expected):.2g} hartree from total minus isolated "
            f"atoms ({'as stored' if self.stored else 'as the other molecules imply'})"
        ]

    def findings(self) -> list[tuple[str, str]]:
        """Notes on the whole file: how far an inferred zero could be checked."""
        if self.stored is not None or not self.basis:
            return []
        return [
            ("file", f"zero inferred from {len(self.basis)} compositions; {self.n_predicted} "
                     "further molecules checked against it")
        ]  # fmt: skip

    def _predict(self, atoms: Counter[Atom], zero: float) -> float | None:
        """Zero that the basis implies; None where it had to be extended by this composition."""
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
    """Zero of a file that stores its isolated atoms, in hartree by element symbol."""
    return Zero(tolerance, stored=dict(energies))


def inferred_zero(tolerance: float) -> Zero:
    """Zero of a file that does not store its isolated atoms."""
    return Zero(tolerance)
