"""An assessment as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Shown after the models, in this order.
NULLS = ("untrained", "shuffled", "additive", "pair", "length")
_LEGEND = (
    "Brackets: 95 % interval over molecules, and over seeds where there are several. bare: −ε of "
    "the bond alone; dressed: with its share of all pairs that are not bonded; across the cut: all "
    "pairs between the two fragments. Models and null models stand on the same molecules: n of "
    "those of the test, without values that their label alone fixes."
)


def columns(report: Mapping[str, Any]) -> list[str]:
    """Names of the columns: the models, then the null models that any test has."""
    present = {name for test in report["tests"] for name in test["values"]}
    models = [model["name"] for model in report["models"]]
    return models + [name for name in NULLS if name in present and name not in models]


def number(found: Mapping[str, Any] | None, *, interval: bool, unit: str = "") -> str:
    """A value with its interval, with as many decimals as it is worth showing; a dash for none."""
    if found is None:
        return "–"
    decimals = 2 if unit in ("", "bit") else 1
    text = f"{found['value']:.{decimals}f}"
    if interval and found["low"] is not None and found["high"] is not None:
        text += f" [{found['low']:.{decimals}f}, {found['high']:.{decimals}f}]"
    return text.replace("-", "−")


def report_text(report: Mapping[str, Any]) -> str:
    """Models, warnings, and one line per score under the name of its test."""
    names = columns(report)
    models = [model["name"] for model in report["models"]]
    lines = [_model(model) for model in report["models"]]
    lines += [f"warning: {text}" for text in report["warnings"]]
    lines += [f"missing: {text}" for text in report["missing"]]
    rows: list[list[str]] = [["", "n", *names]]
    last = ""
    for test in report["tests"]:
        if test["test"] != last:
            last = test["test"]
            rows.append([last, *[""] * (len(names) + 1)])
        cells = [
            number(test["values"].get(name), interval=name in models, unit=test["unit"])
            for name in names
        ]
        rows.append([f"  {label(test)}", f"{test['n']} of {test['of']}", *cells])
    return "\n".join([*lines, "", *_aligned(rows), "", _LEGEND])


def label(test: Mapping[str, Any]) -> str:
    """What a score is called: quantity, which energy, unit, and the bound or ceiling of it."""
    parts = [test["quantity"], *([test["kind"]] if test["kind"] else [])]
    text = ", ".join(parts) + (f" ({test['unit']})" if test["unit"] else "")
    if "bound" in test:
        text += f"; bound {test['bound']:.1f}"
    if "ceiling" in test:
        text += f"; at most {test['ceiling']:.2f}"
    return text


def _model(model: Mapping[str, Any]) -> str:
    seeds = f", {len(model['paths'])} seeds" if len(model["paths"]) > 1 else ""
    return (
        f"{model['name']}: {', '.join(model['elements'])}; cutoff {model['cutoff_A']:g} Å, "
        f"{model['n_weights']:,} weights, {model['dtype']}{seeds}"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with aligned columns; the first is left-aligned, and a heading may run over others."""
    full = [row for row in rows if any(row[1:])]
    widths = [max(len(row[k]) for row in full) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines
