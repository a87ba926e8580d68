"""A difference as a page that needs nothing but itself, and as an output of JupyterLab."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from IPython.display import HTML

from e3d.compendium.difference import runs, shown
from e3d.compendium.difference.comparison import Difference, compare
from e3d.compendium.difference.tables import Change, FileDifference, Tolerance
from e3d.webpage import document

#: Changes of one table that the page shows; more are counted.
MOST = 500
_STYLE = """
td.text { white-space: normal; min-width: 5rem; max-width: 32rem; }
td.after { font-weight: 600; } td.change { color: var(--soft); }
td.number { min-width: 4rem; white-space: normal; }
p.verdict { font-weight: 600; }
"""


def diff(
    run: str, other: str | None = None, *, like: str | None = None, rtol: float = 0.0,
    atol: float = 0.0,
) -> HTML:  # fmt: skip
    """What `e3d diff` says, for the last cell of a notebook: `diff(output_dir)`."""
    with runs.opened(run, other, like=like) as pair:
        return HTML(body(compare(*pair, Tolerance(rtol, atol))))


def page(found: Difference) -> str:
    """HTML with every change; tables that are equal are named."""
    title = f"{found.after} beside {found.before}"
    return document(title, f"<h1>What differs</h1>\n{body(found)}", style=_STYLE)


def body(found: Difference) -> str:
    """The inner HTML, without a heading of its own."""
    runs = f"<p>before: <b>{escape(found.before)}</b><br>after: <b>{escape(found.after)}</b></p>"
    parts = [runs, f'<p class="verdict">{escape(shown.verdict(found))}</p>']
    if lines := shown.notes(found):
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        parts.append(f'<ul class="soft">{items}</ul>')
    if found.parameters:
        parts.append(f"<h2>Parameters</h2>{_table(found.parameters, ['parameter'])}")
    parts += [_file(table) for table in found.tables if table.differs]
    if equal := [table for table in found.tables if not table.differs]:
        names = ", ".join(escape(table.name) for table in equal)
        parts.append(f"<h2>Equal</h2><p>{names}</p>")
    return "\n".join(parts)


def _file(table: FileDifference) -> str:
    changes = table.changes[:MOST]
    parts = [f'<h2>{escape(table.name)}</h2><p class="soft">{escape(shown.summary(table))}</p>']
    if changes:
        parts.append(_table(changes, ["row", "column"]))
    if more := len(table.changes) - len(changes):
        parts.append(f"<p>and {more:,} more; <code>e3d diff --json</code> gives all</p>")
    for names, where in ((table.rows_before, "before"), (table.rows_after, "after")):
        if names:
            listed = ", ".join(map(escape, names[:MOST])) + (" …" if len(names) > MOST else "")
            parts.append(f"<details><summary>rows only {where}</summary><p>{listed}</p></details>")
    return "".join(parts)


def _table(changes: Sequence[Change], names: Sequence[str]) -> str:
    head = "".join(f'<th class="text" scope="col">{name}</th>' for name in names)
    head += "".join(f'<th scope="col">{name}</th>' for name in ("before", "after", "change"))
    rows = []
    for one in changes:
        where = [one.column] if len(names) == 1 else [one.row, one.column]
        cells = [f'<td class="text">{escape(text)}</td>' for text in where]
        for side, found in (("before", one.before), ("after", one.after)):
            kind = "text" if isinstance(found, str) else "number"
            cells.append(f'<td class="{kind} {side}">{escape(shown.value(found))}</td>')
        cells.append(f'<td class="change">{escape(shown.change(one))}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
