"""Scores of models against BSE49: rank correlation, deviation and accuracy, all on the same rows.

Rows are bonds. Columns: smiles (of the molecule), class, `REFERENCE`, and the values of models in
kcal/mol, positive when bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.statistics import intervals
from e3d.statistics.comparison import Comparison, compare
from e3d.statistics.intervals import UNBOUNDED

#: Column of BSE49's bond energies, kcal/mol.
REFERENCE = "reference_kcal_per_mol"


def absolute_error(values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]) -> float:
    """Mean absolute deviation, in the unit of the values; missing values do not count."""
    return float(np.nanmean(np.abs(values - references)))


def accuracy(values: Float[np.ndarray, " n"], references: Float[np.ndarray, " n"]) -> float:
    """Mean of `intervals.scores`; missing values do not count."""
    known = ~np.isnan(values)
    return float(intervals.scores(values[known], references[known]).mean())


def large_classes(rows: pd.DataFrame, min_molecules: int) -> pd.DataFrame:
    """Rows of the bond classes that occur in at least `min_molecules` molecules, renumbered."""
    n_molecules = rows.groupby("class")["smiles"].transform("nunique")
    return rows[n_molecules >= min_molecules].reset_index(drop=True)


def compare_with_reference(
    rows: pd.DataFrame,
    columns: Sequence[str],
    statistic: Callable[..., float],
    *,
    members: Mapping[str, Sequence[str]],
    within: str | None = None,
    limits: tuple[float, float] = UNBOUNDED,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """`statistic(values, references)` of every column, resampled over molecules in step.

    members: the columns of the independently seeded models whose mean a column is. within: a column
    of labels, such as the class, that the statistic takes as its third argument. limits as for
    `compare`.
    """
    given = [rows[REFERENCE], *([rows[within]] if within else [])]
    return compare(
        {column: rows[column] for column in columns}, *given, statistic=statistic,
        groups=rows["smiles"], limits=limits, n_resamples=n_resamples, seed=seed,
        seeds={column: rows[list(members[column])] for column in columns if column in members},
    )  # fmt: skip


def error_per_radical(deviation: pd.Series, n_radicals: np.ndarray) -> float:
    """Least-squares deviation per radical of fragment values, in the unit of `deviation`.

    n_radicals: how many fragments of each bond are radicals, not atoms.
    """
    return float(n_radicals @ deviation / (n_radicals @ n_radicals))
