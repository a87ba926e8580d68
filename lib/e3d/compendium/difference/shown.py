"""A difference in words, for every form in which it is shown."""

from __future__ import annotations

import dataclasses
from typing import Any

from e3d.compendium.difference.comparison import Difference
from e3d.compendium.difference.tables import Change, FileDifference


def value(found: Any) -> str:
    """A value as a table shows it: six digits of a number, a dash for none."""
    if found is None:
        return "–"
    if isinstance(found, float):
        return f"{found:.6g}".replace("-", "−")
    return str(found)


def change(found: Change) -> str:
    """How far a number has moved, relative to what it was; nothing for what is no number."""
    if (relative := found.relative) is None:
        return ""
    percent = 100 * relative
    digits = 2 if abs(percent) < 1 else 1 if abs(percent) < 100 else 0
    text = f"{percent:+.{digits}f} %" if abs(percent) >= 0.01 else f"{percent:+.0e} %"
    return text.replace("-", "−")


def summary(table: FileDifference) -> str:
    """One line: how many values differ, and what only one of the runs has."""
    if not table.differs:
        return f"{_number(table.n_values, 'value')}, all equal"
    parts = [f"{len(table.changes):,} of {_number(table.n_values, 'value')} differ"]
    for names, what in (
        (table.rows_before, "row only before"), (table.rows_after, "row only after"),
        (table.columns_before, "column only before"), (table.columns_after, "column only after"),
    ):  # fmt: skip
        if names:
            noun, _, where = what.partition(" ")
            shown = f" ({', '.join(names)})" if noun == "column" or len(names) <= 3 else ""
            parts.append(f"{_number(len(names), noun)} {where}{shown}")
    return "; ".join(parts)


def verdict(found: Difference) -> str:
    """The last line: what differs, counted."""
    if not found.differs:
        return "no difference"
    differ = sum(table.differs for table in found.tables) + len(found.other)
    n_files = len(found.tables) + len(found.other)
    parts = [_number(len(found.parameters), "parameter")] if found.parameters else []
    parts += [f"{differ} of {_number(n_files, 'file')} that both have"] if differ else []
    alone = len(found.only_before) + len(found.only_after)
    parts += [f"{_number(alone, 'file')} that only one has"] if alone else []
    return "different: " + ", ".join(parts)


def notes(found: Difference) -> list[str]:
    """What is not compared, and what explains a difference."""
    lines = [f"no parameters are recorded for {name}" for name in found.unknown_parameters]
    lines += [f"only {found.before} has {name}" for name in found.only_before]
    lines += [f"only {found.after} has {name}" for name in found.only_after]
    lines += [f"{name} differs (no table, compared as a whole)" for name in found.other]
    if found.not_compared:
        lines.append(f"not in git, not compared: {', '.join(found.not_compared)}")
    lines += [f"{c.column}: {_short(c.before)} → {_short(c.after)}" for c in found.origin]
    return lines


def as_json(found: Difference) -> dict[str, Any]:
    """Everything, for scripts."""
    content = dataclasses.asdict(found) | {"differs": found.differs}
    for table in content["tables"]:
        table["differs"] = any(bool(part) for name, part in table.items()
                               if name not in ("name", "n_values"))  # fmt: skip
    return content


def _short(digest: Any) -> str:
    """First digits of a commit or hash, with the mark of uncommitted changes, if any."""
    head, plus, changes = value(digest).partition("+")
    return (head[:12] if len(head) >= 40 else head) + plus + changes


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
