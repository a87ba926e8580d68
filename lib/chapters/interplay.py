"""Do measures that need no label foresee the errors of a model? Measures, errors, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from chapters.reactions import barrier_errors, barriers
from chapters.reactions.labelled_paths import LabelledPath
from e3d.data.molecule import Molecule
from e3d.decomposition.tables import edge_tables
from e3d.models.allegro import Model
from e3d.statistics import ranks
from e3d.statistics.intervals import Estimate, estimate
from e3d.units import KCAL_PER_MOL_PER_EV


def weight_norm(model: Model) -> float:
    """Euclidean norm of all trained weights, dimensionless."""
    with torch.no_grad():
        return float(sum((w.double() ** 2).sum() for w in model.module.parameters()) ** 0.5)


def off_bond_shares(models: Mapping[str, Model], molecules: Sequence[Molecule]) -> dict[str, float]:
    """Share of Σε that is on pairs of atoms without a bond, over relaxed molecules, by model."""
    zero = {symbol: 0.0 for entry in molecules for symbol in entry.symbols}
    rows = edge_tables(models, molecules, atomic_energies=zero).molecules
    sums = rows.groupby("run")[["apart_1", "model_eV"]].sum()
    return (1 - sums["apart_1"] / sums["model_eV"]).to_dict()


def distance_from_others(bonds: pd.DataFrame, runs: Sequence[str]) -> dict[str, float]:
    """Root mean square difference of each run's ε from the mean of the others, kcal/mol.

    bonds: columns `bare:<run>` in eV. What an ensemble of seeds says without any reference.
    """
    values = KCAL_PER_MOL_PER_EV * bonds[[f"bare:{run}" for run in runs]].to_numpy()
    others = (values.sum(axis=1, keepdims=True) - values) / (len(runs) - 1)
    return dict(zip(runs, np.sqrt(((values - others) ** 2).mean(axis=0)).tolist(), strict=True))


def barrier_mae(
    models: Mapping[str, Model],
    paths: Sequence[LabelledPath],
    reference: Sequence[np.ndarray],
) -> dict[str, float]:
    """Mean absolute error of forward and reverse barriers of each model, kcal/mol.

    reference: energies (M,) in eV of the frames of each path, at the models' level of theory.
    """
    energies: dict[str, Sequence[np.ndarray]] = {"reference": reference}
    for name, model in models.items():
        frames = barriers.decompositions(model, paths)
        energies[name] = [np.array([d.energy for d in own]) for own in frames]
    values = barrier_errors.by_quantity(barriers.barrier_table(paths, energies))
    errors = barrier_errors.absolute_errors(values, list(models), "reference", "forward", "reverse")
    return dict(zip(models, errors.mean(axis=0).tolist(), strict=True))


def correlation(
    table: pd.DataFrame, measure: str, error: str, *, given: str = "", **options: Any
) -> Estimate:
    """Rank correlation over runs of a measure with an error, with its interval over runs.

    given: a column whose rank is held constant (partial correlation). Options as of `estimate`.
    """
    columns = [measure, error, *([given] if given else [])]
    rows = table[columns].dropna().to_numpy(dtype=float)

    def statistic(drawn: np.ndarray) -> float:
        if given:
            return ranks.partial_spearman(drawn[:, 0], drawn[:, 1], drawn[:, 2:])
        return ranks.spearman(drawn[:, 0], drawn[:, 1])

    return estimate(rows, statistic=statistic, limits=(-1.0, 1.0), **options)


def verdict(found: Estimate, least: float) -> str:
    """Whether a rank correlation is of use: `least` or more in size, and not by chance."""
    if abs(found["value"]) < least:
        return f"refuted by the criterion declared, |ρ| < {least}"
    low, high = found["low"], found["high"]
    if low is None or high is None or low <= 0 <= high:
        return "undecided: the interval includes zero"
    return "supported"
