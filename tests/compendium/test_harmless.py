"""Names and parameters on a page of the book: shown, never carried out, wherever they stand."""

import string
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest
from docutils.core import publish_string
from hypothesis import example, given, settings
from hypothesis import strategies as st
from myst_parser.parsers.docutils_ import Parser

from e3d.compendium import harmless, records

EVIL = [
    "<script>evil()</script>",
    "`<script>evil()</script>",
    "a`` <img src=x onerror=evil()> ``",
    "x\n:::\n\n<script>evil()</script>",
    "x\n\n```{raw} html\n<script>evil()</script>\n```",
    "~~~{eval-rst}\n.. raw:: html\n\n   <script>evil()</script>\n~~~",
    "<style>@import url(//evil)</style><svg onload=evil()>",
    "</td></table><iframe src=//evil></iframe>",
    "<a href='javascript:evil()'>x</a>",
    "[x](javascript:evil())",
    "a|b\\|c\r<script>evil()</script>\u2028",
]
LIVE = {"script", "img", "svg", "iframe", "object", "embed", "link", "meta", "form"}


class Live(HTMLParser):
    """What a browser would carry out: elements with scripts, handlers, addresses of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text = self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            self.found += [name] * (name.startswith("on") or (value or "").startswith("javascript"))
        self.found += [tag] * (tag in LIVE)
        self.inside = tag

    def handle_data(self, data: str) -> None:
        self.found += ["rules"] * (self.inside == "style" and "import" in data)
        self.text += data


def rendered(markdown: str) -> Live:
    """A page, as MyST makes it of Markdown."""
    options = {"myst_enable_extensions": ["colon_fence", "dollarmath"], "report_level": 5,
               "raw_enabled": True, "embed_stylesheet": False, "output_encoding": "unicode",
               "stylesheet_path": "", "stylesheet": ""}  # fmt: skip
    page = publish_string(
        markdown, parser=Parser(), writer_name="html5", settings_overrides=options
    )
    return Live(page[page.index("<body") :])


def test_the_probes_are_live_where_nothing_is_done() -> None:
    assert rendered(EVIL[0]).found
    assert rendered(EVIL[4]).found
    assert Live(EVIL[7]).found


@pytest.mark.parametrize("evil", EVIL)
def test_a_record_shows_its_entries_and_runs_none(evil: str) -> None:
    record = {
        "name": "x", "notebook": evil, "code": evil, "parameters": {evil: evil, "b": [evil]},
        "inputs": {f"data/{evil}": evil}, "requirements_lock_sha256": evil, "python": evil,
        "versions": {"torch": evil}, "machine": evil, "wall_time_s": evil,
    }  # fmt: skip
    # docutils alone has no dropdowns
    page = rendered(records.record_box(record).replace("{dropdown}", "{admonition}"))
    assert not page.found
    assert page.text.count("wall time") == 1


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from(string.printable + "é\u2028"), min_size=1, max_size=30))
@example("`a``")
@example(" ` ")
@example("a$b$c")
def test_text_is_shown_as_it_is(text: str) -> None:
    printed = "".join(harmless.printable(text).split())
    for made in (harmless.code, harmless.plain):
        assert "".join(rendered(f"x {made(text)} y").text.split()) == f"x{printed}y"


@pytest.mark.parametrize("evil", EVIL)
def test_tables_and_sentences_show_names_and_run_none(evil: str) -> None:
    table = pd.DataFrame({evil: [evil, 1.0]}, index=[evil, "b"]).style.set_caption(evil)
    new = nbformat.v4
    cells = [new.new_code_cell("x", outputs=[
        new.new_output("display_data", {"text/html": table.format(precision=1).to_html()}),
        new.new_output("display_data", {"text/markdown": f"The worst molecule is {evil}.\n"}),
    ])]  # fmt: skip
    made = harmless.outputs(new.new_notebook(cells=cells)).cells[0].outputs
    assert not Live(made[0].data["text/html"]).found
    assert "<table" in made[0].data["text/html"]
    assert not rendered(made[1].data["text/markdown"]).found


def test_tables_of_pandas_keep_their_look() -> None:
    frame = pd.DataFrame({"ε": [1.0]}, index=pd.Index(["C-H"], name="class"))
    for html in (frame._repr_html_(), frame.style.to_html()):
        assert html[html.index("<style") : html.index("</style>")] in harmless.table(html)
    assert '<tr style="text-align: right;">' in harmless.table(frame._repr_html_())


def test_the_script_of_a_notebook_stays_where_it_says_so() -> None:
    new, html = nbformat.v4, "<div><script>draw()</script></div>"
    for metadata, kept in [({"text/html": {"script": True}}, True), ({}, False)]:
        output = new.new_output("display_data", {"text/html": html}, metadata=metadata)
        cell = new.new_code_cell("x", outputs=[output])
        harmless.outputs(new.new_notebook(cells=[cell]))
        assert (output.data["text/html"] == html) is kept
