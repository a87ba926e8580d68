"""TODO docstring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from e3d.chemistry.bonding import elements_of
from e3d.data.dataset import Molecule
from e3d.data.split import in_fold
from e3d.models.additive import Additive, fit_additive, scale_factor
from e3d.models.pair import PairPotential, fit_pair
from e3d.units import KCAL_PER_MOL_PER_EV


class FittedNulls(NamedTuple):
    """The nulls of one set of labels; untrained: scale factor by name of the untrained run."""

    additive: Additive
    pair: PairPotential
    untrained: dict[str, float]


def fit_nulls(
    molecules: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    sums: pd.DataFrame,
    *,
    knots: np.ndarray,
    energy_weight: float,
    penalties: Sequence[float],
) -> FittedNulls:
    """Fit every null to the labels that training saw.

    atomic_energies: μ in eV; sums: rows of the molecule table of the same data set (columns run,
    fold, label_eV and model_eV = Σε); the rest as for `fit_pair`.
    """
    training = list(in_fold(molecules, "train"))
    validation = list(in_fold(molecules, "validation"))
    seen = sums[(sums["fold"] == "train") & sums["run"].str.startswith("untrained-")]
    return FittedNulls(
        fit_additive(training, atomic_energies),
        fit_pair(training, validation, atomic_energies,
                 knots=knots, energy_weight=energy_weight, penalties=penalties),
        {str(run): scale_factor(rows["label_eV"].to_numpy(), rows["model_eV"].to_numpy())
         for run, rows in seen.groupby("run")},
    )  # fmt: skip


def pair_energies(table: pd.DataFrame, pair: PairPotential) -> np.ndarray:
    """ε_ij = φ_ab(r_ij) in eV, negative when bound, of every bond of a bond table."""
    energies = pd.Series(np.nan, index=table.index)
    for name, bonds in table.groupby("class"):
        energies[bonds.index] = pair(*elements_of(str(name)), bonds["length_A"].to_numpy(float))
    return energies.to_numpy()


def pair_bdes(table: pd.DataFrame, pair: PairPotential) -> np.ndarray:
    """−ε_ij of the pair null in kcal/mol, positive when bound, of every bond of a bond table."""
    return pair_energies(table, pair) * -KCAL_PER_MOL_PER_EV
