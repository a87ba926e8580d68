"""What a result varies with: the seed, or what was changed on purpose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from e3d.errors import E3DError
from e3d.statistics.grouping import Numbers
from e3d.statistics.intervals import CONFIDENCE, Estimate


class TwoWay(NamedTuple):
    """Variance components of a table of rows by columns, in the squared unit of its values.

    rows, columns: of the effects of rows and of columns, unbiased, so that they may be negative;
    residual: of what neither explains. columns_over_rows: variance of the column means over that of
    the row means, with its interval.
    """

    rows: float
    columns: float
    residual: float
    columns_over_rows: Estimate


def components(values: Float[np.ndarray, "n k"]) -> TwoWay:
    """Analysis of variance of n ≥ 2 rows by k ≥ 2 columns without repetition.

    x_rc = m + a_r + b_c + e_rc with independent normal effects; components by expected mean squares
    (Searle, Casella & McCulloch 1992, doi:10.1002/9780470316856), the interval of the ratio by
    Fisher's F. Raises E3DError for other shapes.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or min(table.shape) < 2:
        raise E3DError(f"expected two rows and two columns or more, got shape {table.shape}")
    n, k = table.shape
    of_rows, of_columns = table.mean(axis=1), table.mean(axis=0)
    left = table - of_rows[:, None] - of_columns + table.mean()
    residual = float((left**2).sum() / ((n - 1) * (k - 1)))
    row_means, column_means = float(of_rows.var(ddof=1)), float(of_columns.var(ddof=1))
    ratio = column_means / row_means
    low, high = ratio / stats.f.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], k - 1, n - 1)
    return TwoWay(
        row_means - residual / k, column_means - residual / n, residual,
        {"value": ratio, "low": float(low), "high": float(high), "n": table.size},
    )  # fmt: skip


def standard_deviation(of_seeds: Numbers) -> Estimate:
    """Standard deviation over k ≥ 2 independently seeded models, in the unit of their values.

    Its interval is that of normal values, by the χ² distribution; n is k.
    """
    values = np.asarray(of_seeds, dtype=float)
    free = len(values) - 1
    found = float(values.std(ddof=1))
    tails = stats.chi2.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], free)
    low, high = (found * np.sqrt(free / tails)).tolist()
    return {"value": found, "low": low, "high": high, "n": len(values)}
