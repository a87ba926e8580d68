"""The run record of a notebook, as the book shows it at the end of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from e3d.compendium import provenance
from e3d.compendium.harmless import code as _code
from e3d.compendium.harmless import plain as _plain

#: Characters of a hash that are shown; the record itself has all of them.
SHOWN_DIGITS = 12


def by_notebook(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of a folder by the file name of their notebook.

    Raises E3DError when one of them is damaged.
    """
    records = [provenance.read(path) for path in sorted(folder.glob("*.json"))]
    return {Path(record["notebook"]).name: record for record in records}


def record_box(record: dict[str, Any]) -> str:
    """A run record as a folded MyST dropdown with one table."""
    rows = {
        "notebook": _code(record["notebook"]),
        "code revision": _code(_short(record["code"])),
        "parameters": _listing(record["parameters"]),
        "inputs (SHA-256)": _listing({k: _short(v) for k, v in record["inputs"].items()}),
        "requirements.lock (SHA-256)": _code(_short(record["requirements_lock_sha256"])),
        "versions": _listing({"python": record["python"], **record["versions"]}),
        "machine": _plain(record["machine"]),
        "wall time": f"{_plain(record['wall_time_s'])} s",
    }
    table = [f"| {key} | {value.replace('|', chr(92) + '|')} |" for key, value in rows.items()]
    return "\n".join(
        [":::{dropdown} How this page was made", "",
         "| what | value |", "|---|---|", *table, ":::"]
    )  # fmt: skip


def _listing(values: dict[str, Any]) -> str:
    return ", ".join(f"{_plain(key)} {_code(value)}" for key, value in values.items()) or "none"


def _short(digest: str) -> str:
    """First digits of a commit or hash, with the mark of uncommitted changes, if any."""
    head, plus, changes = digest.partition("+")
    return (head[:SHOWN_DIGITS] if len(head) >= 40 else head) + plus + changes
