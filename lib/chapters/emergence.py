"""How a quantity sets in during training: all at once, or along with the loss."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from e3d.errors import E3DError
from e3d.statistics.grouping import Numbers


def progress(values: Numbers) -> Float[np.ndarray, " n"]:
    """Share of the whole change, from the first value (0) to the last (1), made at each value.

    Raises E3DError when the first and the last value are equal: nothing has changed.
    """
    values = np.asarray(values, dtype=float)
    if values[0] == values[-1]:
        raise E3DError(f"the quantity is {values[0]:g} at both ends, so there is no progress")
    return (values - values[0]) / (values[-1] - values[0])


def onset(steps: Numbers, values: Numbers, share: float = 0.5) -> float:
    """Gradient step from which on at least `share` of the change is made, in log(1 + step).

    steps: (n,) rising; values: (n,), the first of them before training. Interpolated after the last
    value below the share, so that a detour on the way counts as not having arrived.
    """
    made = progress(values)
    x = np.log10(1 + np.asarray(steps, dtype=float))
    k = int(np.flatnonzero(made < share)[-1]) + 1
    weight = (share - made[k - 1]) / (made[k] - made[k - 1])
    return float(10 ** (x[k - 1] + weight * (x[k] - x[k - 1])) - 1)


def transition_decades(
    steps: Numbers, values: Numbers, low: float = 0.1, high: float = 0.9
) -> float:
    """Decades of training between `low` and `high` of the change: few for a transition."""
    first, last = (1 + onset(steps, values, share) for share in (low, high))
    return float(np.log10(last / first))


def snapshot_resolution(steps: Numbers, at: float) -> float:
    """Decades that a change at once between two snapshots appears to take.

    steps: (n,) of the snapshots, rising; at: a step between those of the two. What is measured to
    change as fast may have changed faster.
    """
    return transition_decades(steps, np.where(np.asarray(steps, dtype=float) < at, 0.0, 1.0))
