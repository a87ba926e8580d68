"""An assessment as one self-contained page. What people wrote, such as names, is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from e3d.assess import decomposition, figures, scoring
from e3d.assess.assessment import Assessment
from e3d.assess.summary import summary
from e3d.assess.text import columns, label, number
from e3d.statistics.grouping import bond_weights
from e3d.webpage import document

#: Element pairs whose maps are drawn, the most frequent ones.
N_MAPS = 4
#: Range of the histogram in eV, and of the maps in Å and eV.
ENERGIES, LENGTHS = (-12.0, 2.0), (0.7, 4.0)
_EXPLAINED = (
    "<p>Bond energies are read from the edges of the models and compared with what is known. "
    "<b>bare</b>: −ε of the bond alone; <b>dressed</b>: with its share of the energy of all pairs "
    "that are not bonded; <b>across the cut</b>: all pairs between the two fragments. Null models "
    "have seen no chemistry (<i>untrained</i>, <i>shuffled</i> labels) or know next to nothing of "
    "it (<i>additive</i>: one energy per bond class; <i>pair</i>: a sum of pair potentials; "
    "<i>length</i>: the bond length). A claim about a model holds as far as it is ahead of them. "
    "Brackets: 95 % interval over molecules, and over seeds where there are several. All columns "
    "stand on the same molecules, n of those of the test, without values that their label alone "
    "fixes, such as ε of H2.</p>"
)


def page(assessment: Assessment, *, title: str = "Assessment of models") -> str:
    """HTML of an assessment: scores, and figures of the models side by side."""
    report = assessment.report
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = [
        f"<h1>{escape(title)}</h1>", _models(report), _notes(report), _summary(report), _EXPLAINED,
        _scores(report), _figures(assessment),
    ]  # fmt: skip
    return document(title, "\n".join(body), style=style)


def _models(report: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row" class="text">{escape(model["name"])}</th>'
        f'<td class="text">{escape(", ".join(model["elements"]))}</td>'
        f"<td>{model['cutoff_A']:g} Å</td><td>{model['n_weights']:,}</td>"
        f"<td>{escape(model['dtype'])}</td><td>{len(model['paths'])}</td></tr>"
        for model in report["models"]
    )
    return (
        '<div class="scroll" tabindex="0"><table><thead><tr><th class="text">model</th>'
        '<th class="text">elements</th><th>cutoff</th><th>weights</th><th>precision</th>'
        f"<th>seeds</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _notes(report: Mapping[str, Any]) -> str:
    lines = [*report["warnings"], *report["missing"]]
    items = "".join(f"<li>{escape(text)}</li>" for text in lines)
    return f'<ul class="warnings" aria-label="warnings">{items}</ul>' if items else ""


def _summary(report: Mapping[str, Any]) -> str:
    """For each model, in which tests it is ahead of the null models, and in which it is not."""
    items = []
    for model, verdicts in summary(report).items():
        parts = "".join(
            f"<dd><b>{escape(verdict)}</b>: {escape('; '.join(names))}</dd>"
            for verdict, names in verdicts.items()
        )
        items.append(f"<dt>{escape(model)}</dt>{parts}")
    return f"<h2>In short</h2><dl>{''.join(items)}</dl>"


def _scores(report: Mapping[str, Any]) -> str:
    names, models = columns(report), [model["name"] for model in report["models"]]
    heads = "".join(
        f'<th class="{"own" if name in models else "null"}">{escape(name)}</th>' for name in names
    )
    rows, last = [], ""
    for test in report["tests"]:
        if test["test"] != last:
            last = test["test"]
            rows.append(f'<tr class="test"><th colspan="{len(names) + 2}" class="text">'
                        f"<span>{escape(last)}</span></th></tr>")  # fmt: skip
        best = _best(test)
        cells = "".join(
            f'<td class="{"best" if name == best else ""}">'
            f"{_number(test['values'].get(name), test['unit'])}</td>"
            for name in names
        )
        rows.append(f'<tr><th scope="row" class="text">{escape(label(test))}</th>'
                    f"<td>{test['n']} of {test['of']}</td>{cells}</tr>")  # fmt: skip
    return (
        '<h2>Scores</h2><p class="soft">Bold: the best value of a row; it need not be ahead of the '
        'others by more than chance.</p><div class="scroll" tabindex="0"><table><thead><tr>'
        f'<th class="text">score</th><th>n</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _number(found: Mapping[str, Any] | None, unit: str) -> str:
    value, _, rest = number(found, interval=True, unit=unit).partition(" ")
    return escape(value) + (f"<small>{escape(rest)}</small>" if rest else "")


def _best(test: Mapping[str, Any]) -> str | None:
    """The source with the best value, where one direction is better."""
    keys = {"high": lambda v: -v, "low": lambda v: v, "zero": abs}
    if test["better"] not in keys or len(test["values"]) < 2:
        return None
    key = keys[test["better"]]
    return str(min(test["values"], key=lambda name: key(test["values"][name]["value"])))


def _figures(assessment: Assessment) -> str:
    sources = assessment.sources
    groups = [group.name for group in sources.groups]
    parts = []
    used = scoring.used_reactions(scoring.matched(sources, assessment.standard))
    used = used.assign(label=used["reaction"])
    kinds = scoring.broken_kinds(sources, assessment.standard)
    kinds = kinds.assign(label=kinds["smiles"] + " → " + kinds["fragments"])
    for heading, rows, reference in (
        ("Reference reactions: bare against literature Dₑ", used, scoring.DE),
        ("Single bonds: bare against fragment BDEs by DFT", kinds, "reference"),
    ):
        if len(rows) > 1:
            panels = [figures.parity(rows, reference, f"bare {name}", "additive", title=name)
                      for name in groups]  # fmt: skip
            note = (
                "Circles: the model; squares: the additive null model. Point at one for its name."
            )
            parts.append(_section(heading, note, panels))
    parts += [_histograms(assessment), *_maps(assessment)]
    return "\n".join(parts)


def _section(heading: str, note: str, panels: list[str]) -> str:
    return (
        f'<section><h2>{escape(heading)}</h2><p class="soft">{escape(note)}</p>'
        f'<div class="panels">{"".join(panels)}</div></section>'
    )


def _histograms(assessment: Assessment) -> str:
    table, names = decomposition.distribution_table(assessment.sources)
    weights = bond_weights(table["molecule"])
    edges = np.arange(ENERGIES[0], ENERGIES[1] + 0.1, 0.2)

    def weighed(source: str) -> np.ndarray:
        found = [np.histogram(table[c], edges, weights=weights)[0] for c in names[source]]
        return np.asarray(np.mean(found, axis=0))

    panels = []
    for group in assessment.sources.groups:
        lines = [("null", weighed("untrained"))] if "untrained" in names else []
        lines += [("second", weighed("pair"))] if "pair" in names else []
        panels.append(figures.histogram([*lines, ("own", weighed(group.name))], edges,
                                        title=group.name))  # fmt: skip
    note = "Every molecule has weight 1. Thick: the model; grey: untrained; dashed: pair potential."
    return _section("Distribution of bond energies", note, panels)


def _maps(assessment: Assessment) -> list[str]:
    maps = assessment.sources.pieces.maps
    runs = {group.name: group.runs[0] for group in assessment.sources.groups}
    own = maps[maps["run"].isin(runs.values())]
    pairs = own.groupby("pair")["count"].sum().nlargest(N_MAPS).index
    parts = []
    for pair in pairs:
        part = own[own["pair"] == pair]
        span = (LENGTHS, _energies(part))
        panels = [
            figures.energy_map(part[part["run"] == run], span, title=name)
            for name, run in runs.items()
            if (part["run"] == run).any()
        ]
        note = "Relaxed molecules; of several seeds the first. Strong colour: many pairs of atoms."
        parts.append(_section(f"E3D map, {pair}", note, panels))
    return parts


def _energies(part: pd.DataFrame) -> tuple[float, float]:
    """Range of energies that holds nearly all pairs, in eV."""
    order = part.sort_values("energy_eV")
    share = order["count"].cumsum() / order["count"].sum()
    low = float(order["energy_eV"][share >= 0.001].iloc[0])
    high = float(order["energy_eV"][share >= 0.999].iloc[0])
    return low - 0.5, high + 0.5
