"""Pages keep to the MyST that Sphinx and mystmd, which Jupyter Book 2 is built on, both read."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from e3d.compendium import book, findings, page
from e3d.paths import BOOK, NOTEBOOKS, RESULTS

#: mystmd.org/guide/directives and /roles, as far as myst-parser and sphinx-design have them.
DIRECTIVES = {
    "admonition", "attention", "bibliography", "card", "caution", "code", "code-block", "danger",
    "dropdown", "error", "figure", "glossary", "grid", "hint", "image", "important", "list-table",
    "literalinclude", "math", "note", "raw", "seealso", "tab-item", "tab-set", "table", "tip",
    "warning",
}  # fmt: skip
ROLES = {"cite", "cite:p", "cite:t", "doc", "download", "eq", "math", "numref", "ref", "sub", "sup",
         "term"}  # fmt: skip
PARSER = create_md_parser(
    MdParserConfig(
        enable_extensions={"amsmath", "colon_fence", "deflist", "dollarmath", "linkify"}
    ),
    RendererHTML,
)
CHAPTERS = book.chapters(BOOK / "_toc.yml")


def used(text: str) -> Iterator[str]:
    """Directives and roles of a text, those within directives included, as `{name}`."""
    for token in flat(PARSER.parse(text)):
        if token.type in {"fence", "colon_fence"} and token.info.startswith("{"):
            yield token.info.partition("}")[0] + "}"
            yield from used(token.content)
        elif token.type == "myst_role":
            yield f"{{{token.meta['name']}}}"


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def foreign(text: str) -> set[str]:
    return set(used(text)) - {f"{{{name}}}" for name in DIRECTIVES | ROLES}


def texts(chapter: str) -> Iterator[str]:
    if (BOOK / f"{chapter}.md").exists():
        yield (BOOK / f"{chapter}.md").read_text()
        return
    notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    yield from (cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_uses_what_both_read(chapter: str) -> None:
    found = {name for text in texts(chapter) for name in foreign(text)}
    assert not found, f"{chapter} uses {', '.join(sorted(found))}, which mystmd does not read"


def test_what_the_build_adds_keeps_to_it_too(tmp_path: Path) -> None:
    output = nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg/>"})
    output.metadata = {"image/svg+xml": {"alt": "A figure."}}
    record = {"notebook": "notebooks/x.ipynb", "code": "", "parameters": {}, "inputs": {},
              "requirements_lock_sha256": "", "python": "3", "versions": {}, "machine": "m",
              "wall_time_s": 1}  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell("# T"), nbformat.v4.new_code_cell("1", outputs=[output])]
    finding = findings.Finding("01", "Title", ("A {cite}`x`.",), "")
    made = page.page(
        nbformat.v4.new_notebook(cells=cells), record, folder=tmp_path, finding=finding
    )
    text = "\n\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert set(used(text)) == {"{admonition}", "{cite}", "{dropdown}", "{figure}"}
    assert not foreign(text)


def test_every_finding_is_plain_prose() -> None:
    for chapter, found in findings.read(BOOK / book.FINDINGS, RESULTS).items():
        for line in (found.title, *found.lines):
            assert not foreign(line), chapter


def test_what_only_sphinx_reads_is_found() -> None:
    text = "::::{tab-set}\n:::{tab-item} A\n{abbr}`x`\n\n```{tab-set-code}\n```\n:::\n::::\n"
    assert foreign(text) == {"{abbr}", "{tab-set-code}"}
