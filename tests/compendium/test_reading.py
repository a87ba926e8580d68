"""The built book as people read it: pointing, following numbers, a telephone, the way to a bond."""

import re
import shutil
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from e3d.compendium import book
from e3d.paths import BOOK

HTML = BOOK / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
PAGES = [name for name in book.chapters(BOOK / "_toc.yml") if (HTML / f"{name}.html").exists()]

pytestmark = [
    pytest.mark.skipif(not (HTML / "index.html").exists(), reason="the book is not built"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
#: Tables that scroll sideways, themselves or in what holds them, all folds being open.
SCROLLING = """() => [...document.querySelectorAll("article table")].filter((table) => {
  for (let part = table; part && part.tagName !== "ARTICLE"; part = part.parentElement) {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(part).overflowX);
    if (scrolls && part.clientWidth && part.scrollWidth > part.clientWidth + 1) return true;
  }
  return false;
}).map((table) => table.innerText.slice(0, 80))"""
#: Texts of computed cells that are seen and take more than three lines.
LONG = """() => [...document.querySelectorAll("article .cell_output td, article table.metrics td")]
  .filter((cell) => {
    const lines = document.createRange();
    lines.selectNodeContents(cell);
    const height = parseFloat(getComputedStyle(cell).lineHeight);
    return lines.getBoundingClientRect().height > 3.5 * height;
  }).map((cell) => cell.innerText)"""
#: Figures whose smallest text, as the page shows them, is below nine pixels.
SMALL = """() => [...document.querySelectorAll("figure :is(img, svg.points)")].filter((f) => {
  const least = parseFloat(f.style.getPropertyValue("--legible"));
  return least && f.getBoundingClientRect().width < least - 1;
}).map((figure) => figure.getAttribute("aria-label") ?? figure.alt)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []
    context.close()


def point_at(page: Page, chapter: str, selector: str, nth: int = 0) -> str:
    """What the book says when the middle of an element of a figure is pointed at."""
    page.goto(f"file://{HTML}/{chapter}.html")
    target = page.locator(selector).nth(nth)
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return page.inner_text(".point-name")


POINT = "svg.points g.point"


@pytest.mark.parametrize(
    ("chapter", "said"),
    [
        ("21_answer", r".+, bond \S+: \d+ kcal/mol"),  # molecule and bond
        ("04_bde", r".+, bond \S+: -?\d+ kcal/mol, Dₑ \d+"),
        ("18_bse49", r".+, bond \S+: -?\d+ kcal/mol, BSE49 \d+"),
        ("22_bound", r".+, bond \S+: -?\d+ kcal/mol, vertical \d+"),
        ("02_training", r"\w+, gradient step [\d,]+: "),  # learning curves: the kind of run
        ("07_scaling", r"n\d+-s\d: "),  # and the run
        ("20_synthesis", r": (yes|no|open) \(.*null: "),  # the forest of claims
        ("14_layers", r"bond order: .*±|to "),
    ],
)
def test_a_point_says_what_it_is(page: Page, chapter: str, said: str) -> None:
    assert re.search(said, point_at(page, chapter, POINT))


def test_a_cell_of_a_map_says_its_place_and_its_count(page: Page) -> None:
    said = point_at(page, "03_decomposition", "svg.points g.cells path")
    assert re.fullmatch(r"\S+, [\d.]+ Å, −?[\d.]+ eV: [\d,]+ pairs", said)


def test_points_are_reached_by_the_keyboard_and_lead_to_the_explorer(page: Page) -> None:
    page.goto(f"file://{HTML}/index.html")
    page.locator("svg.points").first.focus()
    names = set()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        names.add(page.inner_text(".point-name"))
    assert len(names) == 3
    page.keyboard.press("Enter")
    page.wait_for_url("**/explorer.html#*")
    shown = page.locator("#explorer-name").inner_text().split()
    assert any(name.startswith(shown[0]) for name in names)


def test_every_point_that_leads_on_leads_to_a_molecule_that_is_there(page: Page) -> None:
    page.goto(f"file://{HTML}/04_bde.html")
    to = page.eval_on_selector_all("g.point[data-to]", "points => points.map((p) => p.dataset.to)")
    assert len(to) > 20
    page.goto(f"file://{HTML}/explorer.html")
    known = page.evaluate("() => explorer.data.molecules.map((m) => m.smiles)")
    assert {unquote(address.partition("#")[2]) for address in to} <= set(known)


@pytest.mark.parametrize("chapter", ["04_bde", "20_synthesis", "17_dynamics"])
def test_a_number_leads_to_its_metric(page: Page, chapter: str) -> None:
    page.goto(f"file://{HTML}/{chapter}.html")
    number = page.locator("article a.number[href^='metrics.html']").first
    value = re.match(r"-?\d+", number.inner_text())
    number.click()
    page.wait_for_url("**/metrics.html#*")
    row = page.locator("tr:target")
    assert row.is_visible(), "also where it is folded"
    assert value is not None
    assert row.locator("td a[href]").count() == 1


def test_claims_are_answered_and_read_on_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"file://{HTML}/20_synthesis.html")
    answers = page.locator("article table td[data-label=answer]")
    assert answers.count() > 30
    assert set(answers.all_inner_texts()) <= {"yes", "no", "open"}
    chapters = set(page.locator("td[data-label=chapter]").all_inner_texts())
    assert {"24", "25", "26", "27"} <= chapters
    for label in ("found", "null model"):
        assert all(page.locator(f"td[data-label='{label}']").all_inner_texts())


@pytest.mark.parametrize("width", [360, 1280])
def test_tables_fit_and_their_cells_are_short_and_figures_are_legible(
    page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    counts = {"tables": 0, "scrolling": 0}
    for name in PAGES:
        page.goto(f"file://{HTML}/{name}.html")
        page.evaluate(
            "() => document.querySelectorAll('article details').forEach((d) => { d.open = true; })"
        )
        scrolling, long = page.evaluate(SCROLLING), page.evaluate(LONG)
        counts["tables"] += page.locator("article table").count()
        counts["scrolling"] += len(scrolling)
        if width == 360:
            assert not scrolling, (name, scrolling)
        assert not long, (name, long)
        assert not page.evaluate(SMALL), name
    print(f"{width} px: {counts}")
    assert counts["tables"] > 100


def test_the_first_screen_leads_to_a_bond_of_ethanol_in_two_clicks(page: Page) -> None:
    page.goto(f"file://{HTML}/index.html")
    page.locator(".tag_in-short").get_by_role("link", name="The explorer").click()
    page.get_by_role("button", name="C0–C1", exact=True).click()
    assert "fragments relaxed, DFT" in page.locator(".bond").inner_text()
    assert page.locator("#explorer-name").inner_text().startswith("ethanol")


def test_methane_is_seen_whole_on_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"file://{HTML}/explorer.html#C")
    assert page.locator("#explorer-name").inner_text().startswith("methane")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    for name in ("bare", "vertical"):
        assert page.locator(".stage th", has_text=name).first.is_visible()
    turned = page.evaluate(
        """() => {
          const methane = explorer.data.molecules.find((m) => m.smiles === "C");
          const { positions, bonds } = explorer.drawn(methane, []);
          const apart = (i, j) => [0, 1, 2].map((k) => positions[i][k] - positions[j][k]);
          return bonds.map(([i, j]) => Math.hypot(...apart(i, j)));
        }"""
    )
    assert turned == pytest.approx([turned[0]] * 4, abs=1e-3), "turned, not bent"
