"""An executed notebook as a page of the book: findings first, code folded, figures captioned.

The notebook itself is not changed by this: the book offers it for download as it was executed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from e3d.compendium import metrics
from e3d.compendium.findings import Finding
from e3d.compendium.records import record_box

SVG, MARKDOWN = "image/svg+xml", "text/markdown"
#: Characters that Markdown could take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|#~])")


def page(
    notebook: NotebookNode,
    record: dict[str, Any],
    *,
    folder: Path,
    finding: Finding | None = None,
    results: Sequence[str] = (),
    hrefs: Mapping[str, str] | None = None,
) -> NotebookNode:
    """The notebook as a page, its figures written to `folder/figures/`.

    The title says what was found, the lines *In short* stand under it, then what the notebook
    computed as its findings, which comes last there. All code is folded, and code that shows
    nothing is folded together with the code that it leads to. Figures have number, caption and
    links. The run record stands at the end.

    record: of the run, see `e3d.compendium.provenance`; results: the files that it wrote, relative
    to the root; hrefs: where the number of a metric links to, by its key. Raises OSError when a
    figure cannot be written.
    """
    cells = _findings_first(notebook.cells)
    for cell in cells:
        _hide_code(cell)
        _link_numbers(cell, hrefs or {})
    cells = _gathered(cells)
    name = Path(record["notebook"]).stem
    number = finding.number if finding else ""
    cells = _with_figures(cells, folder, name, number)
    top = _top(cells[0].source if cells else "", finding, files_line(name, results))
    cells = [*top, *cells[1:], new_markdown(record_box(record), "provenance")]
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def new_markdown(source: str, name: str) -> NotebookNode:
    """A Markdown cell with a name of its own, the same in every build."""
    return nbformat.v4.new_markdown_cell(source, id=re.sub(r"[^\w-]", "-", name)[:64])


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.setdefault("tags", [])  # type: ignore[no-any-return]


def _findings_first(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Cells with the title first, then those tagged `in-short`, or else those tagged `findings`."""
    short = [cell for cell in cells if "in-short" in _tags(cell)]
    first = short or [cell for cell in cells if "findings" in _tags(cell)]
    return [*cells[:1], *first, *(cell for cell in cells[1:] if cell not in first)]


def _hide_code(cell: NotebookNode) -> None:
    """Fold the code of a cell; that of findings is left out."""
    tags = _tags(cell)
    if cell.cell_type == "code" and "remove-input" not in tags:
        said = {"findings", "in-short"} & set(tags)
        tag = "remove-input" if said else "hide-input"
        if tag not in tags:  # a tag twice is no valid notebook
            tags.append(tag)


def _link_numbers(cell: NotebookNode, hrefs: Mapping[str, str]) -> None:
    """Link the metrics in what a cell says, whose keys `e3d.notebook.prose.say` has noted."""
    for output in cell.get("outputs", []):
        said = output.get("metadata", {}).get(MARKDOWN, {}).get("numbers", [])
        if said and MARKDOWN in output.data:
            text = "".join(output.data[MARKDOWN])
            output.data[MARKDOWN] = metrics.linked(text, said, hrefs)


def _gathered(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Cells, with folded code that shows nothing put before the next code that shows something.

    What no such code follows stays where it is.
    """
    gathered: list[NotebookNode] = []
    waiting: list[NotebookNode] = []
    for cell in cells:
        folded = cell.cell_type == "code" and "hide-input" in _tags(cell)
        if folded and not cell.outputs:
            waiting.append(cell)
            continue
        if folded:
            cell.source = "\n\n".join([*(before.source for before in waiting), cell.source])
            waiting = []
        gathered.append(cell)
    if waiting:
        waiting[-1].source = "\n\n".join(cell.source for cell in waiting)
        gathered.append(waiting[-1])
    return gathered


def _top(source: str, finding: Finding | None, files: str) -> list[NotebookNode]:
    """The first cells: title, In short, links to files, and what the first cell says below it."""
    _title, _, rest = source.partition("\n")
    if finding is None:
        return [new_markdown(source, "title")]
    lines = "\n".join(f"- {line}" for line in finding.linked or finding.lines)
    short = f":::{{admonition}} In short\n:class: in-short\n\n{lines}\n:::"
    return [new_markdown(f"# {finding.heading}\n\n{short}\n\n{files}\n\n{rest.strip()}", "title")]


def files_line(name: str, results: Iterable[str]) -> str:
    """HTML links to the executed notebook `name` and to the result files that it wrote."""
    download = f'<a class="button" download href="notebooks/{name}.ipynb">Executed notebook</a>'
    tables = [f'<a href="{path}">{Path(path).name}</a>' for path in results]
    told = f" Results: {', '.join(tables)}" if tables else ""
    return f'<p class="files">{download}{told}</p>'


def _with_figures(
    cells: list[NotebookNode], folder: Path, name: str, number: str
) -> list[NotebookNode]:
    """Cells, each figure in one of its own after the cell that drew it, numbered in the page."""
    pages: list[NotebookNode] = []
    count = 0
    for cell in cells:
        drawn = [output for output in cell.get("outputs", []) if SVG in output.get("data", {})]
        pages.append(cell)
        if drawn:
            cell.outputs = [output for output in cell.outputs if output not in drawn]
        for output in drawn:
            count += 1
            label = f"Figure {number}.{count}" if number else f"Figure {count}"
            pages.append(_figure(output, folder, name, label))
    return pages


def _figure(output: NotebookNode, folder: Path, notebook: str, label: str) -> NotebookNode:
    """One figure as a MyST directive; its SVG is written to `folder/figures/`."""
    of_figure = output.metadata.get(SVG, {})
    alt = " ".join(of_figure.get("alt", "").split())
    name = of_figure.get("figure", f"{notebook}/{label.split('.')[-1]}".replace(" ", "-"))
    file = folder / "figures" / f"{name.replace('/', '-')}.svg"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(output.data[SVG]))
    caption, links = _MARKUP.sub(r"\\\1", alt), []
    if of_figure.get("data"):
        links.append(f'<a href="results/figures/{name}.csv">data</a>')
    links.append(f'<a href="notebooks/{notebook}.ipynb" download>notebook</a>')
    lines = [
        f":::{{figure}} figures/{file.name}",
        f":alt: {html.escape(alt, quote=False)}",
        f":name: fig-{name.replace('/', '-')}",
        "",
        f"**{label}.** {caption} {' · '.join(links)}",
        ":::",
    ]
    return new_markdown("\n".join(lines), f"fig-{name}")


def cards(chapters: Iterable[tuple[str, Finding]]) -> str:
    """HTML: one card per chapter with its number, thumbnail, title and first line, linked."""
    items = []
    for chapter, finding in chapters:
        picture = f"_images/{finding.figure.replace('/', '-')}.svg"
        image = f'<img src="{picture}" alt="" loading="lazy">' if finding.figure else ""
        said = html.escape(_plain(finding.lines[0]), quote=False)
        title = html.escape(_plain(finding.title), quote=False)
        items.append(
            f'<li><a href="{chapter}.html"><span class="thumbnail">{image}</span>'
            f'<span class="title"><span class="number">{finding.number}</span> {title}</span>'
            f'<span class="said">{said}</span></a></li>'
        )
    return f'<ul class="cards">{"".join(items)}</ul>'


def _plain(text: str) -> str:
    """Markdown without its emphasis, code marks and links."""
    return re.sub(r"[*`]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text))
