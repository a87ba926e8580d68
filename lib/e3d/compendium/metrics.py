"""The page of metrics: each number of `results/*.json` with interval, unit, chapter and anchor.

Numbers in the sentences of the book link to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml

from e3d import files
from e3d.errors import E3DError
from e3d.paths import PIPELINE

#: The page, what its main metrics mean, and the files that it includes.
PAGE, MEANINGS = "metrics", "metrics.yml"
PIECES = ("metrics-main.html", "metrics-all.html")
MAIN = "metrics.json"
#: Unit of a metric, by how its key ends or what it contains.
_UNITS = (
    (r"kcal_per_mol|^bound\.excess", "kcal/mol"),
    (r"meV_per_atom_per_ps", "meV/atom/ps"),
    (r"meV_per_atom", "meV/atom"),
    (r"meV_per_A", "meV/Å"),
    (r"_percent\b|_percent_", "%"),
    (r"_fs$", "fs"),
    (r"\bbits|_bits", "bit"),
)


def href(key: str) -> str:
    """Address of a metric in the book."""
    return f"{PAGE}.html#{key}"


def hrefs(keys: Iterable[str]) -> dict[str, str]:
    """Addresses of metrics by their keys, which have a dot; other keys are left out."""
    return {key: href(key) for key in keys if "." in key}


def linked(text: str, numbers: Iterable[Iterable[str]], to: Mapping[str, str]) -> str:
    """Markdown in which the numbers are links.

    numbers: key and text of each, in the order in which they stand; to: addresses by key. A number
    without an address, or not found as it was written, stays as it is.
    """
    at = 0
    for key, said in numbers:
        place = text.find(said, at)
        if place < 0:
            continue
        at = place + len(said)
        if key in to and not _in_link(text, place):
            element = f'<a class="number" href="{escape(to[key])}">{said}</a>'
            text, at = text[:place] + element + text[at:], place + len(element)
    return text


def _in_link(text: str, place: int) -> bool:
    """Whether a place of a Markdown text lies within the words of a link, or within code."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line.rfind("[") > line.rfind("]") or line.count("`") % 2 == 1


def unit(key: str) -> str:
    """Unit of a metric by its key; empty for shares, correlations, accuracies and counts."""
    return next((text for pattern, text in _UNITS if re.search(pattern, key)), "")


def write(source: Path, results: Path) -> dict[str, str]:
    """Write the tables of the page into the folder of the book; returns `hrefs` of all metrics.

    source: with `metrics.yml`, the meaning of each main metric; results: with the JSON files.
    Raises E3DError when a main metric has no meaning there.
    """
    of_file = {path.stem: _estimates(path) for path in sorted(results.glob("*.json"))}
    main = of_file.pop(Path(MAIN).stem, {})
    meanings = yaml.safe_load((source / MEANINGS).read_text()) or {}
    if missing := sorted(set(main) - set(meanings)):
        raise E3DError(
            f"{MEANINGS} does not say what {', '.join(missing)} means; add a line for it"
        )
    chapters = chapters_of_results()
    owner = {key: chapters.get(name, "") for name, found in of_file.items() for key in found}
    parts = [_table(((key, main[key], owner.get(key, "")) for key in main), meanings)]
    rest = []
    for name, found in sorted(of_file.items(), key=lambda item: chapters.get(item[0], "")):
        rows = [(key, one, owner[key]) for key, one in found.items() if key not in main]
        if rows and chapters.get(name):
            rest.append(f'<details class="metrics" id="of-{name}"><summary>{chapters[name][:2]} · '
                        f"<code>{name}.json</code>, {len(rows)} numbers</summary>\n"
                        f"{_table(rows, {})}</details>")  # fmt: skip
    for piece, html in zip(PIECES, (*parts, "\n".join(rest)), strict=True):
        with files.replacing(source / piece) as temporary:
            temporary.write_text(html, encoding="utf-8")
    return hrefs(key for key, chapter in owner.items() if chapter)


def chapters_of_results(pipeline: Path = PIPELINE) -> dict[str, str]:
    """Chapter that writes each `results/<name>.json`, by name, as the pipeline declares it."""
    found: dict[str, str] = {}
    for stage in yaml.safe_load(pipeline.read_text())["stages"].values():
        outs = [next(iter(out)) if isinstance(out, dict) else out
                for out in [*stage.get("outs", []), *stage.get("metrics", [])]]  # fmt: skip
        chapter = next((Path(out).stem for out in outs if out.startswith("book/executed/")), None)
        if chapter:
            found |= {Path(out).stem: chapter for out in outs
                      if Path(out).parent.name == "results" and out.endswith(".json")}  # fmt: skip
    return found


def _estimates(path: Path) -> dict[str, dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return {}
    return {key: one for key, one in content.items() if isinstance(one, dict) and "value" in one}


def _table(rows: Iterable[tuple[str, dict[str, Any], str]], meanings: Mapping[str, str]) -> str:
    heads = ["metric", "value", "95 % interval", "n", "chapter"]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "\n".join(_row(key, one, chapter, meanings) for key, one, chapter in rows)
    return (
        f'<table class="table metrics"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table>"
    )


def _row(key: str, one: Mapping[str, Any], chapter: str, meanings: Mapping[str, str]) -> str:
    interval = "–" if one.get("low") is None else f"{_number(one['low'])} to {_number(one['high'])}"
    meaning = f"{escape(meanings[key])}<br>" if meanings else ""
    link = f'<a href="{chapter}.html">{chapter[:2]}</a>' if chapter else "–"
    count = "–" if one.get("n") is None else f"{one['n']:,}"
    return (
        f'<tr id="{escape(key)}"><th scope="row">{meaning}<code>{_breakable(key)}</code></th>'
        f"<td>{_number(one['value'])} {unit(key)}</td><td>{interval}</td><td>{count}</td>"
        f"<td>{link}</td></tr>"
    )


def _breakable(key: str) -> str:
    """A key that may be broken where its words end."""
    return re.sub(r"([._])", r"\1<wbr>", escape(key))


def _number(value: float | int) -> str:
    return f"{value:.4g}".replace("-", "−")
