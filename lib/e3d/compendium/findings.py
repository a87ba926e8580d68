"""What each chapter found, in three lines: `book/findings.yml`, filled with results.

An entry, by the name of its notebook, has a `title`, the lines `in short`, the `figure` of its
card, `values` that only a table has, and `while`: what must hold for the other words to be
true. Title and lines are templates as `e3d.notebook.prose.filled` takes them, over all metrics and
verdicts (`file/verdict`) of the results, so no number is typed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from e3d.compendium import metrics
from e3d.errors import E3DError
from e3d.notebook.prose import filled, with_numbers

_KEYS = {"title", "in short", "figure", "values", "while"}
_HOW = ("sum", "mean", "median", "max", "min", "nunique", "count")


@dataclass(frozen=True)
class Finding:
    """One chapter: its number as in the name of its notebook, and what it found, as Markdown."""

    number: str
    title: str
    lines: tuple[str, ...]
    figure: str
    #: The lines, each number linked to where it stands; for a page of the book.
    linked: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title with its number, "05 · Bond order"."""
        return f"{self.number} · {self.title}"


def read(path: Path, results: Path) -> dict[str, Finding]:
    """The findings of all chapters by name, such as `05_entropy`.

    path: `findings.yml`; results: the folder of result tables and metrics. Raises E3DError for an
    entry with another shape, and for a number that no result has.
    """
    known = _metrics(results)
    return {
        chapter: _finding(chapter, entry, known, results, path)
        for chapter, entry in (yaml.safe_load(path.read_text()) or {}).items()
    }


def _finding(
    chapter: str, entry: Mapping[str, Any], known: Mapping[str, Any], results: Path, path: Path
) -> Finding:
    if not isinstance(entry, Mapping) or not {"title", "in short"} <= set(entry) <= _KEYS:
        raise E3DError(f"{path}: {chapter} needs `title` and `in short`, and may have "
                       f"`figure`, `values` and `while`; got {entry!r}")  # fmt: skip
    values = {n: _value(how, known, results) for n, how in entry.get("values", {}).items()}
    try:
        for template, words in entry.get("while", {}).items():
            if not re.search(words, filled(template, known, **values)):
                raise E3DError(f"the words hold while {template} says {words!r}, but it says "
                               f"{filled(template, known, **values)!r}; rewrite them")  # fmt: skip
        said = [with_numbers(line, known, **values) for line in entry["in short"]]
        title = filled(entry["title"], known, **values)
    except E3DError as error:
        raise E3DError(f"{path}: {chapter}: {error}") from None
    hrefs = metrics.hrefs(known) | {n: href for n, how in entry.get("values", {}).items()
                                    if (href := _href(how))}  # fmt: skip
    linked = tuple(metrics.linked(text, numbers, hrefs) for text, numbers in said)
    number = re.match(r"\d*", chapter)[0]  # type: ignore[index]
    return Finding(number, title, tuple(text for text, _ in said), entry.get("figure", ""), linked)


def _href(how: Mapping[str, str]) -> str | None:
    """Where a page links a number of `values`: to its metric, or to its table if it is offered."""
    if "metric" in how:
        return metrics.href(how["metric"])
    folder = Path(how["table"]).parts[0]
    return f"results/{how['table']}" if folder in {"figures", how["table"]} else None


def _value(how: Mapping[str, str], known: Mapping[str, Any], results: Path) -> float:
    """A number of a table or of a metric.

    how: {table, column, take}, and `where` if only some rows count; or {metric, column}. A column
    is an expression over the columns of the table, or over value, low, high and n of the metric.
    """
    if "metric" in how:
        if how["metric"] not in known:
            raise E3DError(f"no result is called {how['metric']!r}")
        return float(pd.DataFrame([known[how["metric"]]]).eval(how["column"], engine="python")[0])
    rows = pd.read_csv(results / how["table"])
    if "where" in how:
        rows = rows.query(how["where"], engine="python")
    if how["take"] not in _HOW:
        raise E3DError(f"cannot take {how['take']!r} of a column; known: {', '.join(_HOW)}")
    return float(rows.eval(how["column"], engine="python").agg(how["take"]))


def _metrics(results: Path) -> dict[str, Any]:
    """Metrics by key, and verdicts by `file/name`, of all JSON files of the results."""
    known: dict[str, Any] = {}
    for path in sorted(results.glob("*.json")):
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            continue  # data, no metrics
        verdicts = found.get("verdicts", {})
        known |= {f"{path.stem}/{name}": text for name, text in verdicts.items()}
        known |= {k: v for k, v in found.items() if isinstance(v, dict) and "value" in v}
    return known
