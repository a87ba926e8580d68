"""TODO docstring."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pandas as pd

from e3d.statistics.intervals import Estimate

_Results = TypeVar("_Results", pd.DataFrame, dict)


def significant(value: float | None, digits: int = 4, decimals: int = 6) -> float | None:
    """A number to `digits` significant digits, and to no more than `decimals` decimal places.

    Result tables hold such numbers, so that the last bits, which differ between CPUs, do not show;
    the limit on decimals turns rounding noise about zero into zero. None and NaN pass through.
    """
    if value is None or not np.isfinite(value):
        return value
    return round(float(f"{value:.{digits - 1}e}"), decimals) + 0.0  # +0.0: no negative zero


def rounded(results: _Results, digits: int = 4, decimals: int = 6) -> _Results:
    """A table, or a (nested) dictionary of metrics, with every float rounded by `significant`."""
    if isinstance(results, pd.DataFrame):
        floats = results.select_dtypes("floating").columns
        return results.assign(
            **{str(c): results[c].map(lambda v: significant(v, digits, decimals)) for c in floats}
        )
    return {key: _rounded_entry(entry, digits, decimals) for key, entry in results.items()}


def _rounded_entry(entry: Any, digits: int, decimals: int) -> Any:
    if isinstance(entry, dict):
        return rounded(entry, digits, decimals)
    return significant(float(entry), digits, decimals) if isinstance(entry, float) else entry


def spelled(found: Estimate, decimals: int = 3) -> str:
    """An estimate for prose: "0.412 [0.398, 0.425]", or the value alone without an interval."""
    text = f"{found['value']:.{decimals}f}"
    if found["low"] is None or found["high"] is None:
        return text
    return f"{text} [{found['low']:.{decimals}f}, {found['high']:.{decimals}f}]"


def compared_with_zero(found: Estimate, *, more: str, less: str, same: str) -> str:
    """The wording that an interval supports: `more` above zero, `less` below, otherwise `same`."""
    if found["low"] is not None and found["low"] > 0:
        return more
    return less if found["high"] is not None and found["high"] < 0 else same
