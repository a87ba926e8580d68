"""The nulls `additive`, one energy per bond class, and `untrained`, the scale of random weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from e3d.data.molecule import Molecule
from e3d.errors import E3DError

#: Singular values below this fraction of the largest are treated as zero.
RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Additive:
    """One energy per bond class: E − Σ μ = Σ_bonds e_class.

    energies: e_class in eV, negative when bound, NaN where the labels do not determine it (classes
    that occur in a fixed ratio only); std: standard error of e_class in eV; n_molecules: number of
    molecules with the class in the fit; rmse: root mean square residual of the fit in eV per bond.
    """

    energies: dict[str, float]
    std: dict[str, float]
    n_molecules: dict[str, int]
    rmse: float

    def bond_energies(self, classes: Sequence[str]) -> Float[np.ndarray, " n_bonds"]:
        """Bond energies ε in eV, negative when bound; NaN for a class that was not fitted."""
        return np.array([self.energies.get(name, np.nan) for name in classes], dtype=float)


def fit_additive(molecules: Iterable[Molecule], atomic_energies: Mapping[str, float]) -> Additive:
    """Additive null by least squares on binding energies of relaxed conformations.

    atomic_energies: μ in eV by element symbol. Where temperatures are known, only conformations at
    temperature 0 are used: additive energies do not depend on geometry, and on hot conformations
    they would absorb the mean thermal excitation, which emergent BDEs, taken at the relaxed
    geometry, do not contain.

    Raises E3DError when no conformation with a bond remains.
    """
    counts, targets = [], []
    for molecule in molecules:
        if molecule.temperatures is not None:
            molecule = molecule.select(molecule.temperatures == 0)
        classes = molecule.bond_classes
        for energy in molecule.binding_energies(atomic_energies):
            counts.append({name: classes.count(name) for name in set(classes)})
            targets.append(energy)
    names = sorted({name for row in counts for name in row})
    if not names:
        raise E3DError("the additive null needs molecules with bonds; none of the conformations "
                       "is relaxed (temperature 0), or none has a bond")  # fmt: skip
    design = np.array([[row.get(name, 0) for name in names] for row in counts], dtype=float)
    values, errors, residuals = _least_squares(design, np.array(targets))
    return Additive(
        energies=dict(zip(names, values.tolist(), strict=True)),
        std=dict(zip(names, errors.tolist(), strict=True)),
        n_molecules=dict(zip(names, (design > 0).sum(axis=0).tolist(), strict=True)),
        rmse=float(np.sqrt(np.mean((residuals / design.sum(axis=1)) ** 2))),
    )


def _least_squares(
    design: Float[np.ndarray, "rows columns"], targets: Float[np.ndarray, " rows"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients and their standard errors, NaN where undetermined, and the residuals."""
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    left, singular, right = left[:, kept], singular[kept], right[kept]
    values = right.T @ ((left.T @ targets) / singular)  # the solution of smallest norm
    residuals = targets - design @ values
    freedom = len(targets) - kept.sum()
    variance = residuals @ residuals / freedom if freedom > 0 else np.nan
    errors = np.sqrt(variance * ((right.T / singular) ** 2).sum(axis=1))
    # A coefficient is determined when its unit vector lies in the row space of the design.
    undetermined = 1 - (right**2).sum(axis=0) > np.sqrt(RANK_TOLERANCE)
    values[undetermined] = errors[undetermined] = np.nan
    return values, errors, residuals


def scale_factor(
    binding: Float[np.ndarray, " n_molecules"], sums: Float[np.ndarray, " n_molecules"]
) -> float:
    """Scale factor c of the `untrained` null: least squares of binding energies on c·Σε.

    binding: label of each molecule in eV; sums: its Σε in eV by random weights. A single number
    gives these the right overall scale and sign, and nothing else.
    Raises E3DError when all sums are zero.
    """
    square = float(np.dot(sums, sums))
    if square == 0:
        raise E3DError("the edge energies of the untrained model sum to zero in every molecule, so "
                       "that no factor scales them")  # fmt: skip
    return float(np.dot(binding, sums)) / square
