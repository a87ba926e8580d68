"""Numbers for tables and for prose: rounding that does not depend on the CPU, and wording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from e3d.statistics.intervals import Estimate

_Results = TypeVar("_Results", pd.DataFrame, dict)
#: A space at which no line breaks.
_TIGHT = "\N{NO-BREAK SPACE}"
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
    """An estimate as text, "0.412 ± 0.014" (see `ranged`), or the value alone without an interval.

    found: an estimate, or a row of a table with the same keys. A dash for anything else, such as
    the NaN of a missing entry, and for a value that is not finite.
    """
    if not isinstance(found, Mapping | pd.Series) or not np.isfinite(found["value"]):
        return NOTHING
    low, high = found["low"], found["high"]
    if low is None or high is None or np.isnan(low) or np.isnan(high):
        return f"{found['value']:.{decimals}f}"
    return ranged(found["value"], low, high, f".{decimals}f")


def ranged(value: float, low: float, high: float, spec: str) -> str:
    """A value with its interval, in a form that does not break over lines.

    "0.79 ± 0.04" with the wider half-width where both, as printed with the format `spec`, are alike
    within a tenth or one last digit and the interval so written excludes zero if the true one does;
    "0.80 (0.13 to 4.97)" where that would mislead.
    """
    digits = _decimals(spec)
    down, up = (
        side if digits is None else round(side, digits) for side in (value - low, high - value)
    )
    wider, digit = max(down, up), 0.0 if digits is None else 10.0**-digits
    alike = abs(up - down) <= max(0.1 * wider, digit) * (1 + 1e-9)
    hides_sign = (low > 0 or high < 0) and wider >= abs(value)
    if alike and not hides_sign:
        return f"{value:{spec}}{_TIGHT}±{_TIGHT}{wider:{spec.replace('+', '')}}"
    return f"{value:{spec}} ({low:{spec}}{_TIGHT}to{_TIGHT}{high:{spec}})"


def _decimals(spec: str) -> int | None:
    """Decimal places of a number that a format such as ".2f" or ".0%" prints, if it fixes them."""
    found = re.search(r"\.(\d+)([f%])", spec)
    return None if found is None else int(found[1]) + (2 if found[2] == "%" else 0)


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
