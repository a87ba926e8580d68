"""Writing what a chapter found: tables as CSV, metrics and verdicts as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from e3d import files
from e3d.errors import E3DError
from e3d.statistics import rounding


def save(
    output_dir: str | Path,
    *,
    tables: Mapping[str, pd.DataFrame] | None = None,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    digits: int = 4,
    decimals: int = 6,
) -> None:
    """Write tables to `<output_dir>/<name>.csv` and metrics to `<output_dir>/<name>.json`.

    metrics: by file name, a dictionary of estimates (value, low, high, n) by key, and `verdicts`.
    Floats are rounded to `digits` significant digits and at most `decimals` decimal places, so that
    another CPU gives the same files.
    Raises E3DError for a metric that is NaN or infinite, before anything is written.
    """
    folder = Path(output_dir)
    texts = {
        f"{name}.json": _json(name, found, digits, decimals)
        for name, found in (metrics or {}).items()
    }
    for name, table in (tables or {}).items():
        texts[f"{name}.csv"] = rounding.rounded(table, digits, decimals).to_csv(index=False)
    for name, text in texts.items():
        with files.replacing(folder / name) as temporary:
            temporary.write_text(text)


def _json(name: str, found: Mapping[str, Any], digits: int, decimals: int) -> str:
    try:
        return (
            json.dumps(rounding.rounded(dict(found), digits, decimals), indent=1, allow_nan=False)
            + "\n"
        )
    except ValueError:
        wrong = [key for key, entry in found.items() if "NaN" in json.dumps(entry)]
        raise E3DError(
            f"{name}.json: not a finite number in {', '.join(wrong) or 'the metrics'}; a metric "
            "rests on no row, or a null was not fitted to one"
        ) from None


def read(results_dir: str | Path, *names: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Metrics of several chapters by key, and their verdicts by chapter.

    names: of the JSON files that `save` wrote. Raises E3DError when one is missing.
    """
    metrics: dict[str, Any] = {}
    verdicts: dict[str, dict[str, str]] = {}
    for name in names:
        path = Path(results_dir) / f"{name}.json"
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            raise E3DError(f"{path} is missing; `make book` makes it") from None
        verdicts[name] = found.pop("verdicts", {})
        metrics |= found
    return metrics, verdicts
