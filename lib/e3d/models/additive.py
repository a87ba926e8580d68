"""Null models: what a bond energy looks like when nothing about bonds has emerged.

`additive` gives every bond class one energy, by least squares on labels that the networks see.
`pair` (see `e3d.pair_null`) is the best sum of pair potentials. `untrained` takes the edge energies
of a network with random weights, times one factor. The fourth, `shuffled`, is a trained run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from e3d.data.dataset import Molecule
from e3d.errors import E3DError

#: Singular values below this fraction of the largest count as zero.
RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Additive:
    """One energy per bond class: E − Σ μ = Σ_bonds e_class.

    energies: e_class in eV, negative when bound, NaN where the labels do not determine it (two
    classes that only ever occur in a fixed ratio); std: its standard error in eV; n_molecules: how
    many molecules of the fit have the class; rmse: of the fit, in eV per bond.
    """

    energies: dict[str, float]
    std: dict[str, float]
    n_molecules: dict[str, int]
    rmse: float

    def bond_energies(self, classes: Sequence[str]) -> Float[np.ndarray, " n_bonds"]:
        """Bond energies ε in eV, negative when bound; NaN for a class that was not fitted."""
        return np.array([self.energies.get(name, np.nan) for name in classes], dtype=float)


def fit_additive(
    molecules: Iterable[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    relaxed_only: bool = True,
) -> Additive:
    """Additive null from binding energies, by least squares over conformations.

    With `relaxed_only` only conformations at temperature 0 count: an additive energy knows no
    geometry, and on hot conformations it would absorb the mean thermal excitation, which emergent
    BDEs, taken at the relaxed geometry, do not contain.

    Raises E3DError when nothing is left to fit.
    """
    counts, targets = [], []
    for molecule in molecules:
        if relaxed_only and molecule.temperatures is not None:
            molecule = molecule.select(molecule.temperatures == 0)
        classes = molecule.bond_classes
        for energy in molecule.binding_energies(atomic_energies):
            counts.append({name: classes.count(name) for name in set(classes)})
            targets.append(energy)
    names = sorted({name for row in counts for name in row})
    if not names:
        raise E3DError("the additive null needs molecules with bonds; none of the conformations "
                       "given is relaxed (temperature 0), or none has a bond")  # fmt: skip
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
    """Coefficients and standard errors, NaN where undetermined, and the residuals."""
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
    """Factor c of the `untrained` null: least squares of binding energies on c·Σε, both in eV.

    One number gives a random network the right overall scale and sign, nothing more.
    Raises E3DError when the edge energies are all zero.
    """
    square = float(np.dot(sums, sums))
    if square == 0:
        raise E3DError("edge energies of the untrained model sum to zero in every molecule; "
                       "there is no scale to match")  # fmt: skip
    return float(np.dot(binding, sums)) / square
