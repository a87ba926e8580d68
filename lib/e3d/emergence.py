"""How a quantity sets in during training: all at once, or along with the loss."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import stats

from e3d.errors import E3DError
from e3d.statistics import Numbers


def progress(values: Numbers) -> Float[np.ndarray, " n"]:
    """Share of the whole change, from the first value (0) to the last (1), made at each value.

    Raises E3DError when the first and the last value are equal: nothing has changed.
    """
    values = np.asarray(values, dtype=float)
    if values[0] == values[-1]:
        raise E3DError(f"the quantity is {values[0]:g} at both ends, so there is no progress")
    return (values - values[0]) / (values[-1] - values[0])


def onset(steps: Numbers, values: Numbers, share: float = 0.5) -> float:
    """Gradient step at which `share` of the change is made first, interpolated in log(1 + step).

    steps: (n,) rising; values: (n,), the first of them before training.
    """
    made = progress(values)
    x = np.log10(1 + np.asarray(steps, dtype=float))
    k = int(np.argmax(made >= share))
    if k == 0:
        return float(steps[0])
    weight = (share - made[k - 1]) / (made[k] - made[k - 1])
    return float(10 ** (x[k - 1] + weight * (x[k] - x[k - 1])) - 1)


def decades(steps: Numbers, values: Numbers, low: float = 0.1, high: float = 0.9) -> float:
    """Decades of training between `low` and `high` of the change: few for a transition."""
    first, last = (1 + onset(steps, values, share) for share in (low, high))
    return float(np.log10(last / first))


def partial_spearman(x: Numbers, y: Numbers, given: Numbers) -> float:
    """Rank correlation of x and y with the rank of `given` held fixed; NaN without variation.

    (r_xy − r_xz r_yz) / √((1 − r_xz²)(1 − r_yz²)), r Spearman's (Kendall 1942).
    """
    columns = np.column_stack([np.asarray(v, dtype=float) for v in (x, y, given)])
    if len(columns) < 4 or (np.ptp(columns, axis=0) == 0).any():
        return float("nan")
    xy, xz, yz = stats.spearmanr(columns).statistic[[0, 0, 1], [1, 2, 2]]
    scale = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / np.sqrt(scale)) if scale > 1e-12 else float("nan")
