"""The recorded benchmark as tables of the page `speed`: ratios, and how time grows with size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from e3d.errors import E3DError
from e3d.paths import ROOT

#: The page, and the file that it includes.
PAGE, TABLES = "speed", "speed-tables.html"
RESULTS = ROOT / "bench" / "results.json"


def write(source: Path, recorded: Path = RESULTS) -> None:
    """Write the tables of the page into the folder that the book is built from."""
    (source / TABLES).write_text(tables(read(recorded)), encoding="utf-8")


def read(recorded: Path = RESULTS) -> dict[str, Any]:
    """Rows of `bench/results.json` by name; none where nothing is recorded.

    Raises E3DError for a file that is not what `bench/benchmark.py` writes.
    """
    if not recorded.exists():
        return {}
    try:
        content = json.loads(recorded.read_text(encoding="utf-8"))
        rows = {name: row for name, row in content.items() if isinstance(row, dict)}
        for row in rows.values():
            for values in [row, *row.get("sizes", {}).values()][bool(row.get("sizes")) :]:
                float(values["median"]), float(values["low"]), float(values["high"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise E3DError(f"{recorded} is no benchmark ({error!r}); `make bench` makes it") from None
    return rows


def tables(rows: Mapping[str, Any]) -> str:
    """HTML: a table of all ratios, one for each scaling, and where they were measured."""
    if not rows:
        return (
            "<p>No benchmark is recorded in this version of the project; <code>make bench</code> "
            "measures one, on a machine that does nothing else.</p>"
        )
    ratios = {name: row for name, row in rows.items() if "sizes" not in row}
    parts = [_ratios(ratios)] if ratios else []
    parts += [_scaling(row) for row in rows.values() if "sizes" in row]
    return "\n".join([*parts, _circumstances(rows)])


def _ratios(rows: Mapping[str, Any]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(row["what"])}<br><code>{escape(name)}</code></th>'
        f"<td>{_number(row['median'])}</td><td>{_range(row)}</td>"
        f"<td>{escape(row.get('aim') or '–')}</td></tr>"
        for name, row in rows.items()
    )
    return _table(["ratio", "median", "range", "aim"], body)


def _scaling(row: Mapping[str, Any]) -> str:
    body = "".join(
        f'<tr><th scope="row">{_size(size)}</th><td>{_number(values["median"])}</td>'
        f"<td>{_range(values)}</td></tr>"
        for size, values in row["sizes"].items()
    )
    head = "size" if all(map(str.isdigit, row["sizes"])) else "part"
    return f"<p>{escape(row['what'])}</p>" + _table([head, "ratio", "range"], body)


def _size(name: str) -> str:
    return f"{int(name):,}" if name.isdigit() else escape(name)


def _table(heads: list[str], body: str) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<div class="pst-scrollable-table-container" tabindex="0"><table class="table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _range(values: Mapping[str, Any]) -> str:
    if values["repeats"] < 2:
        return "one repeat"
    return f"{_number(values['low'])} to {_number(values['high'])}, {values['repeats']} repeats"


def _number(value: float | int) -> str:
    return f"{value:.3g}"


def _circumstances(rows: Mapping[str, Any]) -> str:
    """Machines, loads and versions of the code, each said once."""

    def listed(key: str) -> str:
        return "; ".join(dict.fromkeys(str(row.get(key, "unknown")) for row in rows.values()))

    loads = [row["load_average"] for row in rows.values() if "load_average" in row]
    load = f"{min(loads):g} to {max(loads):g}" if loads else "unknown"
    facts = {"machine": listed("machine"), "processes that ran at the end of a row": load,
             "code": listed("code")}  # fmt: skip
    items = "".join(f"<li>{name}: {escape(text)}</li>" for name, text in facts.items())
    return f"<ul>{items}</ul>"
