"""The book: complete, offline, and as a browser shows it from a file, at any width and theme."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, sync_playwright

from e3d.compendium import book
from e3d.errors import E3DError
from e3d.paths import BOOK, ROOT

HTML = BOOK / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
RECORD = {
    "name": "bde",
    "notebook": "notebooks/04_bde.ipynb",
    "parameters": {"bin_width_eV": 0.1, "pattern": "a|b"},
    "inputs": {"data/dft-small.h5": "ab" * 32},
    "code": "cd" * 20 + "+changes",
    "requirements_lock_sha256": "ef" * 32,
    "versions": {"torch": "2.13.0"},
    "python": "3.11.7",
    "machine": "a processor, 2 cores",
    "wall_time_s": 12.3,
}

built = pytest.mark.skipif(
    not (HTML / "index.html").exists(), reason="the book is not built: make book"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


def test_the_record_box_tells_what_went_in() -> None:
    box = book.record_box(RECORD)
    assert ":class: dropdown" in box
    assert "`abababababab`" in box
    assert "`cdcdcdcdcdcd+changes`" in box
    assert "a\\|b" in box
    assert "12.3 s" in box


def test_alternative_text_goes_where_the_book_looks_for_it() -> None:
    output = nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg/>"})
    output.metadata = {"image/svg+xml": {"alt": "A figure."}}
    cell = nbformat.v4.new_code_cell("plot()", outputs=[output])
    page = book.with_record(nbformat.v4.new_notebook(cells=[cell]), RECORD)
    assert page.cells[0].metadata["mystnb"]["image"]["alt"] == "A figure."
    assert page.cells[-1].source == book.record_box(RECORD)


def test_findings_come_first_and_code_is_folded_together() -> None:
    new, shown = nbformat.v4, [nbformat.v4.new_output("stream", text="x")]
    page = book.with_record(new.new_notebook(cells=[
        new.new_markdown_cell("# Title"),
        new.new_code_cell("import a"),
        new.new_code_cell("b = 1", metadata={"tags": ["parameters"]}),
        new.new_markdown_cell("## Method"),
        new.new_code_cell("c = 2"),
        new.new_code_cell("show()", outputs=shown),
        new.new_code_cell("d = 3"),
        new.new_code_cell("say()", outputs=shown, metadata={"tags": ["findings"]}),
    ]), RECORD)  # fmt: skip
    sources = [cell.source for cell in page.cells[:-1]]
    assert sources[:4] == ["# Title", "say()", "import a\n\nb = 1", "## Method"]
    assert sources[4:] == ["c = 2\n\nshow()", "d = 3"]
    assert "remove-input" in page.cells[1].metadata.tags
    assert all("hide-input" in c.metadata.tags for c in page.cells[2:-1] if c.cell_type == "code")
    assert page.cells[4].outputs == shown


@pytest.mark.parametrize("missing", ["notebook", "record"])
def test_a_chapter_without_notebook_or_record_stops_the_build(tmp_path: Path, missing: str) -> None:
    for folder in ("pages", "executed", "records"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pages" / "_toc.yml").write_text("format: jb-book\nroot: 04_bde\n")
    if missing != "notebook":
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "executed" / "04_bde.ipynb")
    if missing != "record":
        (tmp_path / "records" / "bde.json").write_text(json.dumps(RECORD))
    with pytest.raises(E3DError, match="chapter '04_bde'"):
        book.assemble(*(tmp_path / f for f in ("source", "pages", "executed", "records")))


@built
def test_no_page_or_style_needs_the_network() -> None:
    outside = r"[\"'](?:https?:)?//"
    loads = re.compile(
        rf"<(?:script|img|iframe|source)\b[^>]*\bsrc={outside}|<link\b[^>]*\bhref={outside}"
    )
    for page in HTML.rglob("*.html"):
        assert not (found := loads.search(page.read_text())), f"{page.name}: {found.group(0)}"
    for style in HTML.rglob("*.css"):
        remote = re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text())
        assert not remote, f"{style.name}: {remote.group(0)}"


@built
@pytest.mark.parametrize("chapter", book.chapters(BOOK / "_toc.yml"))
def test_every_chapter_is_there_and_results_tell_their_origin(chapter: str) -> None:
    page = (HTML / f"{chapter}.html").read_text()
    if not (BOOK / f"{chapter}.md").exists():
        assert "How this page was made" in page
    assert not re.search(r"<img(?![^>]*\balt=\"[^\"]+\")[^>]*_images", page), "no alternative text"


@built
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_shows_from_a_file(browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(120_000)  # ms; a loaded machine is slow, not wrong
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    for chapter in ["index", *book.chapters(BOOK / "_toc.yml")]:
        page.goto(f"file://{HTML}/{chapter}.html", wait_until="load")
        page.wait_for_function(
            """() => document.readyState === 'complete'
                && ['light', 'dark'].includes(document.documentElement.dataset.theme)
                && (!document.querySelector('.math') || window.MathJax?.startup?.promise)"""
        )
        page.evaluate("() => window.MathJax?.startup?.promise")
        state = page.evaluate(
            """() => ({
                theme: document.documentElement.dataset.theme,
                overflow: document.documentElement.scrollWidth - window.innerWidth,
                bare: [...document.querySelectorAll('.math')]
                    .filter(e => !e.querySelector('mjx-container')).length,
                broken: [...document.images]
                    .filter(i => i.loading !== 'lazy' && !i.naturalWidth).map(i => i.src),
            })"""
        )
        assert state["theme"] == scheme, chapter
        assert state["overflow"] <= 0, f"{chapter} is {state['overflow']} px too wide"
        assert state["bare"] == 0, f"{chapter}: {state['bare']} formulas are not typeset"
        assert not state["broken"], (chapter, state["broken"])
        assert not wrong, (chapter, wrong)
    context.close()


def test_the_workflow_is_valid_and_runs_the_two_commands() -> None:
    workflow = ROOT / ".github" / "workflows" / "book.yml"
    lint = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    subprocess.run([*lint, "vendor.github-workflows", workflow], check=True, capture_output=True)
    commands = re.findall(r"- run: (.+)", workflow.read_text())
    assert commands == ["make book", "make test"]
