"""The book: complete, offline, and as a browser shows it from a file, at any width and theme."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import nbformat
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, sync_playwright

from e3d.compendium import book, findings, finish, page, records, tables, terms
from e3d.errors import E3DError
from e3d.paths import BOOK, ROOT

HTML = BOOK / "_build" / "html"
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
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
    box = records.record_box(RECORD)
    assert box.startswith(":::{dropdown}")
    assert "`abababababab`" in box
    assert "`cdcdcdcdcdcd+changes`" in box
    assert "a\\|b" in box
    assert "12.3 s" in box


FINDING = findings.Finding("04", "Off by 25 kcal/mol", ("One.", "Two.", "Three."), "bde/parity")


def drawn(**metadata: object) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg>a</svg>"})
    output.metadata = {"image/svg+xml": {"alt": "A figure, of x_1.", **metadata}}
    return nbformat.v4.new_code_cell("plot()", outputs=[output])


def test_a_figure_has_number_caption_and_links_to_what_it_was_drawn_from(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell("# T"), drawn(figure="bde/parity", data=True), drawn()]
    made = page.page(
        nbformat.v4.new_notebook(cells=cells), RECORD, folder=tmp_path, finding=FINDING
    )
    assert [cell.cell_type for cell in made.cells] == ["markdown", "code", "markdown", "code",
                                                       "markdown", "markdown"]  # fmt: skip
    first, second = made.cells[2].source, made.cells[4].source
    assert "figures/bde-parity.svg" in first
    assert ":alt: A figure, of x_1." in first
    assert "**Figure 04.1.** A figure, of x\\_1." in first
    assert 'href="results/figures/bde/parity.csv"' in first
    assert 'href="notebooks/04_bde.ipynb"' in first
    assert "**Figure 04.2.**" in second
    assert ".csv" not in second, "no table was filed"
    assert (tmp_path / "figures" / "bde-parity.svg").read_text() == "<svg>a</svg>"
    assert made.cells[-1].source == records.record_box(RECORD)


def test_findings_come_first_and_code_is_folded_with_what_it_leads_to(tmp_path: Path) -> None:
    new, shown = nbformat.v4, [nbformat.v4.new_output("stream", text="x")]
    made = page.page(new.new_notebook(cells=[
        new.new_markdown_cell("# Title\n\n**Question.** Why?"),
        new.new_code_cell("import a"),
        new.new_code_cell("b = 1", metadata={"tags": ["parameters"]}),
        new.new_markdown_cell("## Method"),
        new.new_code_cell("c = 2"),
        new.new_code_cell("show()", outputs=shown),
        new.new_code_cell("d = 3"),
        new.new_code_cell("say()", outputs=shown, metadata={"tags": ["findings"]}),
    ]), RECORD, folder=tmp_path, finding=FINDING, results=["results/bde.csv"])  # fmt: skip
    top, *sources = (cell.source for cell in made.cells[:-1])
    parts = ["# 04 · Off by 25", "In short", "- One.", "- Three.", "notebooks/04_bde.ipynb",
             "results/bde.csv", "Why?"]  # fmt: skip
    order = [top.index(text) for text in parts]
    assert order == sorted(order)
    assert sources == ["say()", "## Method", "import a\n\nb = 1\n\nc = 2\n\nshow()", "d = 3"]
    assert "remove-input" in made.cells[1].metadata.tags
    code = [cell for cell in made.cells[2:] if cell.cell_type == "code"]
    assert all("hide-input" in cell.metadata.tags for cell in code)
    assert made.cells[3].outputs == shown


def test_cards_say_what_a_chapter_found_and_lead_to_it() -> None:
    found = findings.Finding("04", "Off by **25**", ("See [this](a.md) & `that`.",), "bde/parity")
    made = page.cards([("04_bde", found)])
    assert 'href="04_bde.html"' in made
    assert 'src="_images/bde-parity.svg"' in made
    assert "</span> Off by 25<" in made
    assert "See this &amp; that." in made


ENTRY = """
04_bde:
  title: "Off by {a.mae:=.0f}"
  in short: ["{n:.0f} bonds, {bde/aim}", "{ten:.0f}"]
  while: {"{a.mae:?more|less|open}": more}
  values:
    n: {table: t.csv, column: 2 * x, take: sum, where: ok}
    ten: {metric: a.mae, column: 10 * n}
"""


def written(folder: Path, entry: str = ENTRY) -> Path:
    (folder / "t.csv").write_text("x,ok\n1,True\n2,True\n9,False\n")
    metric = {"value": 25.4, "low": 20, "high": 30, "n": 3}
    (folder / "bde.json").write_text(json.dumps({"a.mae": metric, "verdicts": {"aim": "no"}}))
    (folder / "findings.yml").write_text(entry)
    return folder / "findings.yml"


def test_findings_are_filled_from_metrics_verdicts_and_tables(tmp_path: Path) -> None:
    found = findings.read(written(tmp_path), tmp_path)["04_bde"]
    assert found.heading == "04 · Off by 25"
    assert found.lines == ("6 bonds, no", "30")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a.mae:=", "a.renamed:=", r"04_bde: no value for \{a.renamed"),
        ('}": more}', '}": less}', "says 'less', but it says 'more'"),
        ("take: sum", "take: guess", "cannot take 'guess'"),
        ("in short", "short", "needs `title` and `in short`"),
    ],
)
def test_a_finding_that_its_results_do_not_bear_out_is_an_error(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in ENTRY
    with pytest.raises(E3DError, match=message):
        findings.read(written(tmp_path, ENTRY.replace(old, new)), tmp_path)


def test_cells_of_a_wide_table_know_their_column_and_no_header_is_empty() -> None:
    soup = BeautifulSoup("<table><thead><tr><th></th><th colspan=2>x</th><th>y</th></tr><tr>"
                         "<th></th><th>a</th><th>b</th><th></th></tr></thead><tbody><tr><th>r</th><td>1</td>"
                         "<td>2</td><td>3</td></tr></tbody></table>", "html.parser")  # fmt: skip
    tables.finish(soup.table)
    assert [cell["data-label"] for cell in soup.select("tbody td")] == ["x a", "x b", "y"]
    assert all(cell.get_text() for cell in soup.find_all("th"))


def test_terms_are_linked_where_they_are_first_used() -> None:
    soup = BeautifulSoup("<article><h1>Edges</h1><p>Two edges, an edge and <code>edge</code>.</p>"
                         "<p>An edge energy.</p></article>", "html.parser")  # fmt: skip
    known = {"edge energy": ("term-edge-energy", "b"), "edge": ("term-edge", "a")}
    terms.link(soup, known)
    assert [(a["href"], a.string) for a in soup.select("a.term")] == [
        ("glossary.html#term-edge", "edges"), ("glossary.html#term-edge-energy", "edge energy"),
    ]  # fmt: skip


def test_points_of_molecules_that_the_explorer_has_lead_there(tmp_path: Path) -> None:
    (tmp_path / "explorer.html").write_text(
        '<div id="explorer-all"><table><tbody id="C#C"><tr><th><a>acetylene</a></th></tr></tbody>'
        "</table></div>"
    )
    (tmp_path / "a.svg").write_text(
        '<svg width="9pt" height="9pt" data-text-px="12">'
        + "".join(f'<g class="point"><title>{name}, bond C#C: 1</title><use/></g>'
                  for name in ("C#C", "acetylene", "CCC")) + "</svg>"
    )  # fmt: skip
    figure = '<figure><img src="a.svg" alt="x"><figcaption><p>One.</p></figcaption></figure>'
    soup = BeautifulSoup(figure, "html.parser")
    finish._figures(soup, tmp_path, finish._explored(tmp_path / "explorer.html"))
    to = [group.get("data-to") for group in soup.select("g.point")]
    assert to == ["explorer.html#C%23C", "explorer.html#C%23C", None]
    assert soup.select_one("figcaption a")["href"] == "a.svg"


@pytest.mark.parametrize("missing", ["notebook", "record", "finding"])
def test_a_chapter_without_notebook_or_record_stops_the_build(tmp_path: Path, missing: str) -> None:
    for folder in ("pages", "executed", "records", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pages" / "_toc.yml").write_text("format: jb-book\nroot: 04_bde\n")
    (tmp_path / "pages" / "findings.yml").write_text("")
    if missing != "notebook":
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "executed" / "04_bde.ipynb")
    if missing != "record":
        (tmp_path / "records" / "bde.json").write_text(json.dumps(RECORD))
    with pytest.raises(E3DError, match="chapter '04_bde'"):
        book.assemble(
            *(tmp_path / f for f in ("source", "pages", "executed", "records", "results"))
        )


@built
def test_no_page_or_style_needs_the_network() -> None:
    outside = r"[\"'](?:https?:)?//"
    loads = re.compile(
        rf"<(?:script|img|iframe|source)\b[^>]*\bsrc={outside}|<link\b[^>]*\bhref={outside}"
    )
    for path in HTML.rglob("*.html"):
        assert not (found := loads.search(path.read_text())), f"{path.name}: {found.group(0)}"
    for style in HTML.rglob("*.css"):
        remote = re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text())
        assert not remote, f"{style.name}: {remote.group(0)}"


@built
@pytest.mark.parametrize("chapter", book.chapters(BOOK / "_toc.yml"))
def test_every_chapter_is_there_and_results_tell_their_origin(chapter: str) -> None:
    page = (HTML / f"{chapter}.html").read_text()
    if not (BOOK / f"{chapter}.md").exists():
        assert "How this page was made" in page
    # thumbnails of cards say nothing that the title beside them does not
    page = re.sub(r"<img alt=\"\" loading=\"lazy\"[^>]*>", "", page)
    assert not re.search(r"<img(?![^>]*\balt=\"[^\"]+\")[^>]*_images", page), "no alternative text"


@built
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_shows_from_a_file_and_is_accessible(
    browser: Browser, scheme: str, width: int
) -> None:
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
        page.evaluate(AXE)
        violations = page.evaluate(
            """async () =>
                (await axe.run(document, { preload: false, resultTypes: ['violations'] }))
                .violations
                .map(found => [found.id, found.nodes.length, found.nodes[0].html.slice(0, 200)])"""
        )
        assert not violations, (chapter, violations)
    context.close()


@built
def test_the_way_from_the_first_screen_to_a_figure_and_its_data(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"file://{HTML}/index.html")
    page.wait_for_selector(".tag_in-short")
    said = page.inner_text(".tag_in-short")
    assert "kcal/mol" in said
    assert re.search(r"Asked.*Found.*How sure", said, re.DOTALL)
    page.locator("svg.points g.point").first.hover()
    assert "bond" in page.inner_text(".point-name")
    cards = page.locator("ul.cards a")
    chapters = [c for c in book.chapters(BOOK / "_toc.yml") if not (BOOK / f"{c}.md").exists()]
    assert cards.count() == len(chapters) - 1, "one per chapter, this page left out"
    page.click("ul.cards a[href='05_entropy.html']")
    assert page.inner_text("h1").startswith("05 · ")
    for link in page.locator(":is(figcaption, p.files) a:not(.headerlink)").all():
        assert (HTML / str(link.get_attribute("href")).partition("#")[0]).is_file()
    pages_of_code = page.locator("div.cell_input:visible")
    assert pages_of_code.count() == 0, "all code is folded"
    page.close()


@built
def test_paper_is_white_with_everything_unfolded_and_the_search_has_excerpts(
    browser: Browser,
) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(f"file://{HTML}/05_entropy.html")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    look = page.evaluate("() => { const s = getComputedStyle(document.querySelector('article p'));"
                         "return [s.color, getComputedStyle(document.body).backgroundColor,"
                         "document.querySelectorAll('details:not([open])').length]; }")  # fmt: skip
    assert look == ["rgb(0, 0, 0)", "rgb(255, 255, 255)", 0]
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    page.emulate_media(media="screen")
    page.goto(f"file://{HTML}/search.html?q=entropy")
    page.wait_for_selector("#search-results li p.context")
    assert "entropy" in page.inner_text("#search-results").lower()
    page.close()


def test_the_workflow_is_valid_and_runs_the_two_commands() -> None:
    workflow = ROOT / ".github" / "workflows" / "book.yml"
    lint = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    subprocess.run([*lint, "vendor.github-workflows", workflow], check=True, capture_output=True)
    commands = re.findall(r"- run: (.+)", workflow.read_text())
    assert commands == ["make book", "make test"]


def test_a_cell_that_is_folded_already_keeps_one_tag() -> None:
    cell = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["hide-input"]})
    page._hide_code(cell)
    assert cell.metadata["tags"] == ["hide-input"]
