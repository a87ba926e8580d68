"""Numbers for tables and for prose: rounding that does not depend on the CPU, and wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from e3d.statistics.intervals import Estimate

_Results = TypeVar("_Results", pd.DataFrame, dict)
#: Stands for a missing number.
NOTHING = "–"


def significant(value: float | None, digits: int = 4, decimals: int = 6) -> float | None:
    """A number to `digits` significant digits, and to no more than `decimals` decimal places.

    Result tables are rounded like this, since the last bits differ between CPUs; the limit on
    decimals turns rounding noise about zero into zero. None and NaN are returned unchanged.
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


def spelled(found: Estimate | pd.Series | float | None, decimals: int = 3) -> str:
    """An estimate as text, "0.412 [0.398, 0.425]", or the value alone where it has no interval.

    found: an estimate, or a row of a table with the same keys. A dash for anything else, such as
    the NaN of a missing entry, and for a value that is not finite.
    """
    if not isinstance(found, Mapping | pd.Series) or not np.isfinite(found["value"]):
        return NOTHING
    text = f"{found['value']:.{decimals}f}"
    if pd.isna(found["low"]) or pd.isna(found["high"]):
        return text
    return f"{text} [{found['low']:.{decimals}f}, {found['high']:.{decimals}f}]"


def spelled_all(found: Mapping[Any, Estimate], decimals: int = 3) -> pd.Series:
    """Estimates as the text of `spelled`, by key; tuples as keys give a MultiIndex."""
    return pd.Series({key: spelled(value, decimals) for key, value in found.items()}, dtype=object)


def compared_with(found: Estimate, reference: float, *, more: str, less: str, same: str) -> str:
    """The wording that an interval supports.

    `more` where the whole interval lies above the reference, `less` where it lies below, otherwise,
    and without an interval, `same`.
    """
    if found["low"] is not None and found["low"] > reference:
        return more
    return less if found["high"] is not None and found["high"] < reference else same


def compared_with_zero(found: Estimate, *, more: str, less: str, same: str) -> str:
    """The wording that the interval of a difference supports: `compared_with` zero."""
    return compared_with(found, 0.0, more=more, less=less, same=same)


def by_outcome(
    found: Mapping[Any, Estimate], *, more: str, less: str, same: str
) -> dict[str, list[Any]]:
    """Keys of estimates by the wording that their intervals support, see `compared_with_zero`.

    Has all three wordings, in the order more, less, same, some perhaps with an empty list.
    """
    outcome = {
        key: compared_with_zero(value, more=more, less=less, same=same)
        for key, value in found.items()
    }
    return {
        words: [key for key in outcome if outcome[key] == words] for words in (more, less, same)
    }
