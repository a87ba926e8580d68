"""Build the book: prose pages and executed notebooks, each with the record of its run.

Nothing is executed here. Warnings are errors, and the result needs no network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pandas as pd
import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

from e3d import files
from e3d.compendium import (
    explorer,
    findings,
    finish,
    leaderboard,
    metrics,
    page,
    records,
    speed,
)
from e3d.compendium.findings import Finding
from e3d.errors import E3DError, shortage
from e3d.paths import BOOK, EXECUTED, PIPELINE, PROVENANCE, RESULTS

FINDINGS = "findings.yml"
#: Tables of the results that the page on trust shows.
TRUST = ("faults.csv", "fuzzing.csv")
#: Stands in a notebook where the cards of all chapters go.
CARDS = "<!-- chapters -->"


def build(
    pages: Path = BOOK,
    executed: Path = EXECUTED,
    recorded: Path = PROVENANCE,
    results: Path = RESULTS,
    out: Path = BOOK,
) -> Path:
    """Build the HTML book in `out/_build/html`; returns its `index.html`.

    pages: folder of the prose, `_config.yml`, `_toc.yml` and `findings.yml`; executed: notebooks
    that the pipeline executed; recorded: their run records; results: what they found, which the
    book offers for download.

    Raises E3DError when a chapter, its record or its finding is missing, another process builds
    it, or the build gives any warning; the book that was there then stays.
    """
    html, work = out / "_build" / "html", out / "_build" / "unfinished"
    with files.replacing_folder(html) as new:
        assemble(work / "source", pages, executed, recorded, results)
        made = _rendered(work / "source", work)
        finish.finish(made)
        _offer_files(made, chapters(pages / "_toc.yml"), executed, results)
        (made / ".nojekyll").touch()  # GitHub Pages: folders that begin with _ are served too
        made.rename(new)
        shutil.rmtree(work)
    return html / "index.html"


def _rendered(source: Path, out: Path) -> Path:
    """The folder of HTML that Jupyter Book makes of `source`. Raises E3DError when it warns."""
    shutil.rmtree(out / "_build", ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    options = ["--path-output", str(out), "--warningiserror", "--keep-going", "--quiet"]
    done = subprocess.run(
        [str(jupyter_book), "build", str(source), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise E3DError(f"the book does not build: {_why(f'{done.stdout}{done.stderr}')}")
    return out / "_build" / "html"


def _why(log: str) -> str:
    """The warnings of a build, one a line; where it broke off, the error, and what mends it."""
    lines = [line for line in log.splitlines() if "WARNING:" in line or "ERROR:" in line]
    errors = [
        line for line in log.splitlines() if re.match(r"(\w+\.)*\w*(Error|Exception)\b", line)
    ]
    if errors or "Traceback" in log:
        number = re.search(r"\[Errno (\d+)\]", errors[-1]) if errors else None
        short = OSError(int(number[1]), "") if number else RuntimeError(log)
        return shortage(short) or (errors or log.splitlines())[-1]
    return "\n".join(["", *lines]) if lines else log.strip() or "it ended without a word"


def assemble(source: Path, pages: Path, executed: Path, recorded: Path, results: Path) -> None:
    """Collect the pages and the executed notebooks of the table of contents in one folder.

    Raises E3DError when a chapter has no source, a notebook no record, or neither a finding of its
    own (a cell tagged `in-short`) nor one in `findings.yml`.
    """
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(pages, source, ignore=shutil.ignore_patterns("_build", "executed", FINDINGS))
    for name in TRUST:
        if (results / name).exists():
            table = pd.read_csv(results / name, dtype=str).fillna("–")
            (source / name).with_suffix(".html").write_text(table.to_html(index=False, border=0))
    by_notebook = records.by_notebook(recorded)
    found = findings.read(pages / FINDINGS, results)
    written = _written_by_stage()
    hrefs = metrics.write(source, results) if (source / f"{metrics.PAGE}.md").exists() else {}
    for interactive in (explorer, leaderboard):
        if (source / f"{interactive.PAGE}.md").exists():
            interactive.write(source, results)
    if (source / f"{speed.PAGE}.md").exists():
        speed.write(source)
    for chapter in chapters(pages / "_toc.yml"):
        if (source / f"{chapter}.md").exists():
            continue
        name = f"{chapter}.ipynb"
        if not (executed / name).exists() or name not in by_notebook:
            raise E3DError(
                f"chapter {chapter!r} has neither a page in {pages} nor an executed notebook with "
                "its record; `dvc repro` makes them"
            )
        notebook, record = nbformat.read(executed / name, as_version=4), by_notebook[name]
        if chapter not in found and not any("in-short" in cell.metadata.get("tags", [])
                                            for cell in notebook.cells):  # fmt: skip
            raise E3DError(
                f"chapter {chapter!r} does not say what it found: give it an entry in "
                f"{pages / FINDINGS}, or a cell tagged `in-short`"
            )
        tables = [
            path for path in written.get(record["name"], []) if (results.parent / path).is_file()
        ]
        made = page.page(
            notebook, record, folder=source, finding=found.get(chapter), results=tables, hrefs=hrefs
        )
        _insert_cards(made, pages / "_toc.yml", found)
        nbformat.write(made, source / name)


def chapters(toc: Path) -> list[str]:
    """Names of the pages in a table of contents, the landing page first."""
    return list(parse_toc_yaml(toc))


def _insert_cards(made: nbformat.NotebookNode, toc: Path, found: Mapping[str, Finding]) -> None:
    """Put the cards of all chapters, part by part, where a notebook asks for them."""
    for cell in made.cells:
        if CARDS in cell.source:
            parts = []
            for part in yaml.safe_load(toc.read_text())["parts"]:
                names = [entry["file"] for entry in part["chapters"]]
                if shown := [(name, found[name]) for name in names if name in found]:
                    parts.append(f"### {part['caption']}\n\n{page.cards(shown)}")
            cell.source = cell.source.replace(CARDS, "\n\n".join(parts))


def _written_by_stage() -> dict[str, list[str]]:
    """Tables and metrics that each stage of the pipeline writes, by its name."""
    written = {}
    for name, stage in yaml.safe_load(PIPELINE.read_text())["stages"].items():
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", [])]
        written[name] = [out for out in outs if Path(out).suffix in {".csv", ".json"}
                         and out.startswith("results/")]  # fmt: skip
    return written


def _offer_files(html: Path, names: list[str], executed: Path, results: Path) -> None:
    """Copy executed notebooks, result tables and figure data to where the pages link to them."""
    (html / "notebooks").mkdir()
    for name in names:
        if (executed / f"{name}.ipynb").exists():
            shutil.copyfile(executed / f"{name}.ipynb", html / "notebooks" / f"{name}.ipynb")
    for path in [*results.glob("*.csv"), *results.glob("*.json"), *results.glob("figures/*/*")]:
        copy = html / "results" / path.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
