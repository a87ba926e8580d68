"""Reports on bonds as one self-contained page: molecules to turn, tables to sort, references.

The page loads nothing from anywhere. Its tables need no JavaScript, its molecules, drawn on a
canvas, no WebGL. What people wrote (names, SMILES) is escaped wherever it stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from e3d.decomposition import page_strip
from e3d.decomposition.text import (
    FRAGMENT,
    KINDS,
    UNKNOWN,
    errors,
    fragment_errors,
    fragment_meaning,
)
from e3d.webpage import document

#: Heading, unit, key of a row, decimals. Numbers alone; a column that is empty is left out.
_COLUMNS = (
    ("length", "Å", "length_A", 3), ("bare", "kcal/mol", "bde_kcal_per_mol", 1),
    ("dressed", "kcal/mol", "dressed_kcal_per_mol", 1), ("std", "kcal/mol", "std_kcal_per_mol", 1),
    ("conformers", "kcal/mol", "conformers_kcal_per_mol", 1),
    ("fragment", "kcal/mol", FRAGMENT, 1),
    ("±", "kcal/mol", "fragment_std_kcal_per_mol", 1),
    ("unfamiliar", "× limit", "unfamiliarity", 2),
)  # fmt: skip


def page(reports: Sequence[dict[str, Any]], *, title: str = "Bond energies") -> str:
    """HTML of reports of `bond_report`, with references or without, in their order."""
    data = inert_json([_drawing(report) for report in reports])
    body = "\n".join([f"<h1>{escape(title)}</h1>", *map(_section, reports)])
    script = (
        f'<script type="application/json" id="data">{data}</script>\n'
        f'<script>\n"use strict";\n{sort_script()}{view_script()}{_part("page.js")}</script>\n'
    )
    return document(title, body, style=_part("page.css"), script=script)


def view_script() -> str:
    """JavaScript that draws molecules: it defines `moleculeView`."""
    return _part("molecule.js")


def sort_script() -> str:
    """JavaScript that sorts tables: it defines `sortable`."""
    return _part("sort.js")


def _part(name: str) -> str:
    """A file beside this one."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _drawing(report: dict[str, Any]) -> dict[str, Any]:
    """What the script draws; bonds to atoms of other cells are None."""
    rows = report["bonds"]
    return {
        "symbols": report["symbols"],
        "positions": report["positions_A"],
        "bonds": [None if any(row.get("shift", [])) else [row["i"], row["j"]] for row in rows],
        "values": [row["bde_kcal_per_mol"] for row in rows],
    }


def inert_json(value: Any) -> str:
    """JSON that stays inert inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _section(report: dict[str, Any]) -> str:
    smiles, name = report["smiles"] or "", report.get("input") or ""
    heading = name or smiles or "structure"
    energy = report["energy_eV"]
    facts = [
        *([f"SMILES {smiles}"] if smiles and smiles != heading else []),
        f"{report['n_atoms']} atoms",
        *([] if energy is None else [f"energy {energy:.4f} eV"]),
        f"atomization energy {report['atomization_energy_eV']:.4f} eV",
        f"sum rule kept to {report['sum_rule_error_eV']:.0e} eV",
        f"models {', '.join(report['models'])}",
        f"zero of energy: {report['zero']}",
    ]
    warnings = "".join(f"<li>{escape(text)}</li>" for text in report["warnings"])
    parts = [
        '<section class="molecule">',
        f"<h2>{escape(heading)}</h2>",
        f'<p class="soft">{escape(" · ".join(facts))}</p>',
        f'<ul class="warnings" aria-label="warnings">{warnings}</ul>' if warnings else "",
        _view(report),
        _table(report) if report["bonds"] else "<p>no bonds</p>",
        _meaning(report) if report["bonds"] else "",
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _view(report: dict[str, Any]) -> str:
    """The canvas, hidden until the script finds that it can draw."""
    values = [row["bde_kcal_per_mol"] for row in report["bonds"]] or [0.0]
    return (
        '<div class="view" hidden><canvas tabindex="0" role="img" aria-label="the molecule; arrow '
        'keys turn it"></canvas><div class="tools">'
        f'<span>bare, kcal/mol: {min(values):.0f}<span class="scale"></span>'
        f"{max(values):.0f}</span>"
        '<label><input type="checkbox"> numbers of atoms</label>'
        "<span>drag to turn; click a bond to find it in the table</span>"
        "</div></div>"
    )


def _table(report: dict[str, Any]) -> str:
    rows = report["bonds"]
    columns = [c for c in _COLUMNS if any(row.get(c[2]) is not None for row in rows)]
    known = any(row.get("references") for row in rows)
    classes = any(row.get("class_kcal_per_mol") for row in rows)
    heads = ['<th class="text"><button type="button">bond</button></th>',
             '<th class="text"><button type="button">class</button></th>']  # fmt: skip
    heads += [
        f'<th><button type="button">{name}</button><small>{unit}</small></th>'
        for name, unit, _, _ in columns
    ]
    if known:
        heads.append('<th><button type="button">reference</button><small>kcal/mol</small></th>')
    if classes:
        heads.append('<th class="text">in its class<small>kcal/mol</small></th>')
    span = page_strip.span(rows)
    body = []
    for k, row in enumerate(rows):
        cells = [f'<td class="text" data-value="{row["i"] * 100000 + row["j"]}">'
                 f"{row['i']}–{row['j']}{_image(row)}</td>",
                 f'<td class="text">{escape(row["class"])}</td>']  # fmt: skip
        cells += [
            _number(row.get(key), decimals, _mark(row, key)) for _, _, key, decimals in columns
        ]
        cells += [_known(row.get("references", []))] if known else []
        cells += [f"<td>{page_strip.strip(row, *span)}</td>"] if classes else []
        body.append(f'<tr data-bond="{k}" tabindex="0">{"".join(cells)}</tr>')
    return (
        '<div class="scroll" tabindex="0"><table class="bonds">'
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _image(row: dict[str, Any]) -> str:
    """The cell of atom j in a crystal."""
    return f" {tuple(row['shift'])}" if any(row.get("shift", [])) else ""


def _number(value: float | None, decimals: int, mark: str = "") -> str:
    if value is None:
        return '<td data-value="">–</td>'
    return f'<td data-value="{value:.6g}">{value:.{decimals}f}{mark}</td>'


def _mark(row: dict[str, Any], key: str) -> str:
    """Behind a fragment BDE of which training had neither radical."""
    return UNKNOWN if key == FRAGMENT and row.get("radicals_known") is False else ""


def _known(references: Sequence[dict[str, Any]]) -> str:
    """Reference values, the kind that a bond energy is most like first."""
    ordered = sorted(references, key=lambda entry: list(KINDS).index(entry["kind"]))
    if not ordered:
        return '<td data-value="">–</td>'
    texts = [
        f'<div title="{escape(entry["of"])}">{entry["value_kcal_per_mol"]:.1f} '
        f"<span>{escape(KINDS[entry['kind']])}</span></div>"
        for entry in ordered
    ]
    first = ordered[0]["value_kcal_per_mol"]
    return f'<td class="known" data-value="{first:.6g}">{"".join(texts)}</td>'


def _meaning(report: dict[str, Any]) -> str:
    """What the columns are, and how far such values were off where the answer is known."""
    lines = [
        "bare: −ε, the energy of the bond alone; dressed: with its share of all pairs of atoms "
        "that are not bonded. Both are positive when bound and emerge from total energies and "
        "forces; no bond energy was trained on."
    ]
    if len(report["models"]) > 1:
        lines.append(f"std: standard deviation of bare over {len(report['models'])} models.")
    if "conformers_kcal_per_mol" in report["bonds"][0]:
        lines.append("conformers: range of bare over conformers within reach of thermal energy.")
    if any(row.get("unfamiliarity") is not None for row in report["bonds"]):
        lines.append(
            "unfamiliar: distance from the surroundings that training had, as a multiple of what "
            "most held-out molecules stay below; above 1 is a warning, below 1 no guarantee."
        )
    if any(row.get(FRAGMENT) is not None for row in report["bonds"]):
        lines.append(f"fragment: {fragment_meaning(report)}.")
    paragraphs = [f'<p class="soft">{escape(" ".join(lines))}</p>']
    if any(row.get("class_kcal_per_mol") for row in report["bonds"]):
        paragraphs.append(f'<p class="soft">{page_strip.key(report["bonds"])}</p>')
    if found := [*errors(report.get("tests", {})), *fragment_errors(report)]:
        items = "".join(f"<li>{escape(line)}</li>" for line in found)
        paragraphs.append(
            f"<details open><summary>How far such values are off</summary>"
            f'<ul class="soft">{items}</ul></details>'
        )
    return "\n".join(paragraphs)
