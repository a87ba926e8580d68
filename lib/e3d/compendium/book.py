"""Build the book: prose pages and executed notebooks, each with the record of its run.

Nothing is executed here. Warnings are errors, and the result needs no network.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from sphinx_external_toc.parsing import parse_toc_yaml

from e3d.errors import E3DError
from e3d.paths import BOOK, EXECUTED, PROVENANCE

_FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>\n?')
#: Characters of a hash that are shown; the record itself has all of them.
SHOWN_DIGITS = 12


def build(
    pages: Path = BOOK, executed: Path = EXECUTED, records: Path = PROVENANCE, out: Path = BOOK
) -> Path:
    """Build the HTML book in `out/_build/html`; returns its `index.html`.

    pages: folder of the prose, `_config.yml` and `_toc.yml`; executed: notebooks that the pipeline
    executed; records: their run records.

    Raises E3DError when a chapter or its record is missing, or the build gives any warning.
    """
    source, html = out / "_build" / "source", out / "_build" / "html"
    assemble(source, pages, executed, records)
    shutil.rmtree(html, ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    options = ["--path-output", str(out), "--warningiserror", "--keep-going", "--quiet"]
    done = subprocess.run(
        [str(jupyter_book), "build", str(source), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise E3DError(f"the book does not build:\n{done.stdout}{done.stderr}")
    for page in html.glob("*.html"):
        # hints to fetch fonts early: browsers refuse them for pages opened as files, with an error
        page.write_text(_FONT_PRELOAD.sub("", page.read_text()))
    (html / ".nojekyll").touch()  # GitHub Pages: folders that begin with _ are to be served too
    return html / "index.html"


def assemble(source: Path, pages: Path, executed: Path, records: Path) -> None:
    """Collect the pages and the executed notebooks of the table of contents in one folder.

    Raises E3DError when a chapter has no source, or a notebook no record.
    """
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(pages, source, ignore=shutil.ignore_patterns("_build", "executed"))
    by_notebook = _records_by_notebook(records)
    for chapter in chapters(pages / "_toc.yml"):
        if (source / f"{chapter}.md").exists():
            continue
        name = f"{chapter}.ipynb"
        if not (executed / name).exists() or name not in by_notebook:
            raise E3DError(
                f"chapter {chapter!r} has neither a page in {pages} nor an executed notebook with "
                "its record; `dvc repro` makes them"
            )
        notebook = nbformat.read(executed / name, as_version=4)
        nbformat.write(with_record(notebook, by_notebook[name]), source / name)


def chapters(toc: Path) -> list[str]:
    """Names of the pages in a table of contents, the landing page first."""
    return list(parse_toc_yaml(toc))


def with_record(notebook: nbformat.NotebookNode, record: dict[str, Any]) -> nbformat.NotebookNode:
    """The notebook as a page of the book.

    The findings, computed last, come first, under the title; all code is folded, cells that show
    nothing together with the next one; the run record stands at the end; and the alternative text
    of a figure moves from its output to where the book looks for it, the cell.
    """
    findings = [c for c in notebook.cells if "findings" in c.metadata.get("tags", [])]
    others = [c for c in notebook.cells if c not in findings]
    notebook.cells = [*others[:1], *findings, *others[1:]]
    for cell in notebook.cells:
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type == "code" and "remove-input" not in tags:
            tags.append("remove-input" if cell in findings else "hide-input")
        for output in cell.get("outputs", []):
            for kind in output.get("metadata", {}).values():
                if isinstance(kind, dict) and "alt" in kind:
                    cell.metadata["mystnb"] = {"image": {"alt": kind["alt"]}}
    notebook.cells = _joined(notebook.cells)
    notebook.cells.append(nbformat.v4.new_markdown_cell(record_box(record), id="provenance"))
    return notebook


def _joined(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Cells, with folded code that shows nothing put before the code cell that follows it."""
    joined: list[nbformat.NotebookNode] = []
    for cell in cells:
        before = joined[-1] if joined else None
        if before is not None and _is_folded(before) and _is_folded(cell) and not before.outputs:
            cell.source = f"{before.source}\n\n{cell.source}"
            joined.pop()
        joined.append(cell)
    return joined


def _is_folded(cell: nbformat.NotebookNode) -> bool:
    return bool(cell.cell_type == "code" and "hide-input" in cell.metadata.tags)


def record_box(record: dict[str, Any]) -> str:
    """A run record as a folded MyST admonition with one table."""
    rows = {
        "notebook": _code(record["notebook"]),
        "code revision": _code(_short(record["code"])),
        "parameters": _listing(record["parameters"]),
        "inputs (SHA-256)": _listing({k: _short(v) for k, v in record["inputs"].items()}),
        "requirements.lock (SHA-256)": _code(_short(record["requirements_lock_sha256"])),
        "versions": _listing({"python": record["python"], **record["versions"]}),
        "machine": record["machine"],
        "wall time": f"{record['wall_time_s']} s",
    }
    table = [f"| {key} | {value.replace('|', chr(92) + '|')} |" for key, value in rows.items()]
    return "\n".join(
        [":::{admonition} How this page was made", ":class: dropdown", "",
         "| | |", "|---|---|", *table, ":::"]
    )  # fmt: skip


def _records_by_notebook(folder: Path) -> dict[str, dict[str, Any]]:
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {Path(record["notebook"]).name: record for record in records}


def _listing(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_code(value)}" for key, value in values.items()) or "none"


def _code(value: Any) -> str:
    return f"`{value if value != '' else ' '}`"


def _short(digest: str) -> str:
    """First digits of a commit or hash, with the mark of uncommitted changes, if any."""
    head, plus, changes = digest.partition("+")
    return (head[:SHOWN_DIGITS] if len(head) >= 40 else head) + plus + changes
