"""Errors of models in barriers and in energies of reaction.

Quantities stand in tables by name (one of `barriers.QUANTITIES`), see `by_quantity`: one row per
reaction, one column per model, kcal/mol. Reactions of one composition share molecules, so groups
are compositions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.statistics import intervals, power_laws
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import Estimate


def by_quantity(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table of `barriers.barrier_table` as one table per quantity, indexed by the reaction."""
    return {str(q): rows.set_index("reaction") for q, rows in table.groupby("quantity")}


def signed_errors(
    values: Mapping[str, pd.DataFrame], models: Sequence[str], level: str, *quantities: str
) -> Float[np.ndarray, "n k"]:
    """Model minus reference in kcal/mol, (reactions, models), mean over the quantities.

    level: the column of the reference.
    """
    return np.mean([_off(values[q], models, level) for q in quantities], axis=0)


def absolute_errors(
    values: Mapping[str, pd.DataFrame], models: Sequence[str], level: str, *quantities: str
) -> Float[np.ndarray, "n k"]:
    """|model − reference| in kcal/mol, (reactions, models), mean over the quantities."""
    return np.mean([np.abs(_off(values[q], models, level)) for q in quantities], axis=0)


def errors_by_reaction(
    values: Mapping[str, pd.DataFrame],
    models: Sequence[Sequence[str]],
    level: str,
    *quantities: str,
) -> Float[np.ndarray, "n k"]:
    """`absolute_errors`, each reaction with models of its own: k names for each of n reactions."""
    rows = {
        own: absolute_errors(values, own, level, *quantities) for own in {tuple(m) for m in models}
    }
    return np.stack([rows[tuple(own)][k] for k, own in enumerate(models)])


def _off(table: pd.DataFrame, models: Sequence[str], level: str) -> Float[np.ndarray, "n k"]:
    return table[list(models)].sub(table[level], axis=0).to_numpy()


def mean_error(
    errors: Float[np.ndarray, "n k"], groups: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Mean over reactions and independently seeded models, in the unit of the errors.

    The interval is found on a logarithmic scale, since no error is negative.
    """
    options = {"n_resamples": n_resamples, "seed": seed}
    mean = power_laws.mean_errors(errors[:, None, :], groups, **options).iloc[0]
    low, high = float(mean["low"]), float(mean["high"])
    return {"value": float(mean["value"]), "low": low, "high": high, "n": len(errors)}


def difference(first: Estimate, second: Estimate) -> Estimate:
    """First minus second, of two quantities measured on different rows: independent intervals.

    Half the width of the second interval is added in quadrature to both sides of the first; n is
    that of the first.
    """
    shifted = intervals.transformed(first, lambda x: x - second["value"])
    if second["low"] is None or second["high"] is None:
        return shifted
    return intervals.widened(shifted, (second["high"] - second["low"]) / 2)
