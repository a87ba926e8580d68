"""The null `pair`: a sum of pair potentials, without angles and independent of the environment.

Where it reproduces the bond energies of a network, the network has learned no more than a pair
potential can express.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float
from scipy.interpolate import BSpline

from e3d.data.molecule import Molecule
from e3d.errors import E3DError

#: Degree of the splines: φ, φ′ and φ″ are continuous, also at the cutoff.
DEGREE = 3


@dataclass(frozen=True)
class PairPotential:
    """Pair null: E − Σ μ = Σ_{i<j} φ_ab(r_ij), with cubic B-splines φ that vanish at the cutoff.

    knots: in Å, the last one being the cutoff; coefficients: (n_knots − 1,) in eV by element pair,
    in alphabetical order; penalty: the ridge penalty of the fit.
    """

    knots: np.ndarray
    coefficients: dict[tuple[str, str], np.ndarray]
    penalty: float = 0.0

    @property
    def cutoff(self) -> float:
        """Distance in Å beyond which φ is zero."""
        return float(self.knots[-1])

    def __call__(self, first: str, second: str, lengths: np.ndarray) -> np.ndarray:
        """φ_ab(r) in eV, negative when bound, of lengths in Å of any shape; NaN for other pairs."""
        first, second = sorted((first, second))
        coefficients = self.coefficients.get((first, second))
        if coefficients is None:
            return np.full(np.shape(lengths), np.nan)
        return np.asarray(splines(self.knots, np.asarray(lengths, dtype=float)) @ coefficients)

    def predict(self, molecule: Molecule) -> tuple[np.ndarray, np.ndarray]:
        """Binding energies (M,) in eV and forces (M, N, 3) in eV/Å of all conformations.

        Raises E3DError for an element pair that was not fitted.
        """
        pairs = pairs_within(molecule)
        if missing := [pair for pair in pairs if pair not in self.coefficients]:
            raise E3DError(
                f"the pair null has no potential for {'-'.join(missing[0])}, a pair of elements in "
                f"{molecule.name!r}; fit it to molecules of all elements"
            )
        energy_rows, force_rows = design_rows(molecule, self.knots)
        solution = np.concatenate([self.coefficients[pair] for pair in pairs])
        return energy_rows @ solution, force_rows @ solution


def pairs_within(molecule: Molecule) -> list[tuple[str, str]]:
    """Element pairs of the atoms of a molecule, in alphabetical order, as are both of each pair."""
    symbols = sorted(chemical_symbols[z] for z in molecule.atomic_numbers)
    return sorted(set(combinations(symbols, 2)))


def spline_knots(start: float, cutoff: float, spacing: float) -> Float[np.ndarray, " n_knots"]:
    """Uniform knots in Å from `start` to `cutoff`, at most `spacing` apart.

    Raises E3DError unless 0 < start < cutoff.
    """
    if not 0 < start < cutoff:
        raise E3DError(f"spline knots need 0 < start < cutoff in Å, got {start} and {cutoff}")
    return np.linspace(start, cutoff, int(np.ceil((cutoff - start) / spacing)) + 1)


def splines(knots: np.ndarray, lengths: np.ndarray, *, derivative: bool = False) -> np.ndarray:
    """Values of the B-spline basis, or its derivatives in 1/Å, at lengths (…) in Å.

    Shape (…, n_knots − 1). The knots are continued with the same spacing on both sides. Splines
    that extend beyond the last knot are left out, so that any linear combination vanishes there
    with two continuous derivatives; at the first knot it is free. Raises E3DError for a length
    below the first knot.
    """
    if np.any(lengths < knots[0]):
        raise E3DError(f"a distance of {np.min(lengths):.3f} Å is below the first spline knot, "
                       f"{knots[0]:.3f} Å; let the knots start at a smaller distance")  # fmt: skip
    beyond = (knots[1] - knots[0]) * np.arange(1, DEGREE + 1)
    padded = np.concatenate([knots[0] - beyond[::-1], knots, knots[-1] + beyond])
    basis = BSpline(padded, np.eye(len(padded) - DEGREE - 1), DEGREE, extrapolate=False)
    values = (basis.derivative() if derivative else basis)(np.asarray(lengths))
    return np.nan_to_num(values[..., : len(knots) - 1], nan=0.0)  # zero beyond the cutoff


def design_rows(molecule: Molecule, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of binding energies and forces with respect to the spline coefficients.

    Shapes (M, n_columns), dimensionless, and (M, N, 3, n_columns), in 1/Å; n_knots − 1 columns for
    each element pair of `pairs_within`.

    Raises E3DError for a crystal, whose pairs have many images.
    """
    if molecule.cells is not None:
        raise E3DError(f"{molecule.name}: the pair potential is fitted to molecules, not crystals")
    pairs = pairs_within(molecule)
    symbols = [chemical_symbols[z] for z in molecule.atomic_numbers]
    first, second = np.triu_indices(len(symbols), k=1)
    vectors = molecule.positions[:, first] - molecule.positions[:, second]  # (M, n_pairs, 3)
    lengths = np.linalg.norm(vectors, axis=-1)  # (M, n_pairs)
    values = splines(knots, lengths)  # (M, n_pairs, n_splines)
    slopes = splines(knots, lengths, derivative=True)
    pulls = -slopes[:, :, None, :] * (vectors / lengths[..., None])[..., None]
    n_splines = values.shape[-1]
    energy_rows = np.zeros((len(molecule), len(pairs), n_splines))
    force_rows = np.zeros((len(molecule), len(symbols), 3, len(pairs), n_splines))
    for k, (i, j) in enumerate(zip(first, second, strict=True)):
        low, high = sorted((symbols[i], symbols[j]))
        column = pairs.index((low, high))
        energy_rows[:, column] += values[:, k]
        force_rows[:, i, :, column] += pulls[:, k]
        force_rows[:, j, :, column] -= pulls[:, k]
    return (
        energy_rows.reshape(len(molecule), -1),
        force_rows.reshape(len(molecule), len(symbols), 3, -1),
    )


def fit_pair(
    training: Sequence[Molecule],
    validation: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    knots: np.ndarray,
    energy_weight: float,
    penalties: Sequence[float],
) -> PairPotential:
    """Pair null by ridge regression on energies and forces.

    Minimises the mean over conformations of w·(ΔE/N)² + ⟨ΔF²⟩ plus penalty·|c|², with ΔE in eV, N
    atoms, ⟨ΔF²⟩ the mean over force components in (eV/Å)² and w = `energy_weight` in 1/Å².
    atomic_energies: μ in eV by element symbol; penalties: of these the one with the smallest loss
    on the validation conformations is used. Raises E3DError without training or validation
    conformations.
    """
    elements = sorted(
        {chemical_symbols[z] for m in (*training, *validation) for z in m.atomic_numbers}
    )
    pairs = list(combinations_with_replacement(elements, 2))
    normal = _normal_equations(training, atomic_energies, knots, pairs, energy_weight)
    check = _normal_equations(validation, atomic_energies, knots, pairs, energy_weight)
    matrix, vector, _ = normal
    values, vectors = np.linalg.eigh(matrix)
    best: tuple[float, float, np.ndarray] = (np.inf, np.nan, vector)
    for penalty in penalties:
        solution = vectors @ ((vectors.T @ vector) / (np.maximum(values, 0) + penalty))
        loss = float(solution @ check[0] @ solution - 2 * check[1] @ solution + check[2])
        if loss < best[0]:
            best = (loss, float(penalty), solution)
    parts = np.split(best[2], len(pairs))
    return PairPotential(knots, dict(zip(pairs, parts, strict=True)), best[1])


def _normal_equations(
    molecules: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    knots: np.ndarray,
    pairs: list[tuple[str, str]],
    energy_weight: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """AᵀA, Aᵀy and yᵀy of the weighted rows per conformation; memory does not grow."""
    n_splines = len(knots) - 1
    n_columns = len(pairs) * n_splines
    matrix, vector, square = np.zeros((n_columns, n_columns)), np.zeros(n_columns), 0.0
    n_conformations = sum(len(molecule) for molecule in molecules)
    if not n_conformations:
        raise E3DError("the pair null needs at least one training and one validation conformation")
    for molecule in molecules:
        rows, targets = _weighted_rows(molecule, atomic_energies, knots, energy_weight)
        starts = n_splines * np.array([pairs.index(pair) for pair in pairs_within(molecule)])
        columns = (starts[:, None] + np.arange(n_splines)).ravel()
        matrix[np.ix_(columns, columns)] += rows.T @ rows
        vector[columns] += rows.T @ targets
        square += targets @ targets
    return matrix / n_conformations, vector / n_conformations, square / n_conformations


def _weighted_rows(
    molecule: Molecule,
    atomic_energies: Mapping[str, float],
    knots: np.ndarray,
    energy_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    n_atoms = len(molecule.atomic_numbers)
    energy_rows, force_rows = design_rows(molecule, knots)
    energies = molecule.binding_energies(atomic_energies)
    of_energy, of_force = np.sqrt(energy_weight) / n_atoms, 1 / np.sqrt(3 * n_atoms)
    rows = [of_energy * energy_rows, of_force * force_rows.reshape(-1, energy_rows.shape[1])]
    targets = [of_energy * energies, of_force * molecule.forces.ravel()]
    return np.concatenate(rows), np.concatenate(targets)
