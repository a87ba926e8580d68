"""A difference as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e3d.compendium.difference import shown
from e3d.compendium.difference.comparison import Difference
from e3d.compendium.difference.tables import Change, FileDifference


def show(found: Difference, console: Console, *, limit: int | None) -> None:
    """Print parameters, then every table that differs, its `limit` largest changes first."""
    console.print(f"before  {found.before}", highlight=False, markup=False)
    console.print(f"after   {found.after}", highlight=False, markup=False)
    if found.parameters:
        console.print("\nparameters", style="bold", highlight=False)
        console.print(_changes(found.parameters, ["parameter"]))
    for table in found.tables:
        if table.differs:
            _show_table(table, console, limit)
    console.print()
    equal = [table.name for table in found.tables if not table.differs]
    if equal:
        console.print(f"equal: {', '.join(equal)}", highlight=False, markup=False)
    for line in shown.notes(found):
        console.print(line, highlight=False, markup=False)
    console.print(shown.verdict(found), style="bold", highlight=False, markup=False)


def _show_table(table: FileDifference, console: Console, limit: int | None) -> None:
    title = f"\n{table.name}: {shown.summary(table)}"
    console.print(title, style="bold", highlight=False, markup=False)
    chosen = sorted(table.changes, key=_size)[:limit]
    if chosen:
        console.print(_changes(chosen, ["row", "column"]))
    if more := len(table.changes) - len(chosen):
        console.print(f"  … and {more:,} more; --limit 0 or --html shows them", highlight=False)


def _size(change: Change) -> float:
    """Texts first, then numbers by how much they have moved."""
    return float("-inf") if change.relative is None else -abs(change.relative)


def _changes(changes: Iterable[Change], names: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", overflow="fold")
    for one in changes:
        where = [one.column] if len(names) == 1 else [one.row, one.column]
        cells = [*where, shown.value(one.before), shown.value(one.after), shown.change(one)]
        table.add_row(*map(escape, cells))
    return table
