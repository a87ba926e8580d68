"""The explorer of the book: its pieces as text, and clicked in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from e3d.compendium import explorer
from e3d.errors import E3DError
from e3d.paths import BOOK

CHROMIUM = Path("/usr/bin/chromium")
HTML = BOOK / "_build" / "html" / "explorer.html"
HOSTILE = "</script><img src=x onerror=window.hit=1>"


def bond(i: int, j: int, name: str, bare: float, **known: float) -> dict[str, Any]:
    own = {"i": i, "j": j, "class": name, "length_A": 200 / (bare + 100 * j), "bare": bare}
    return own | {"seeds": [bare - 2, bare, bare + 2], "std": 2.0, "dressed": bare + 4} | known


def molecule(smiles: str, name: str, symbols: str, *bonds: dict[str, Any]) -> dict[str, Any]:
    positions = [[1.1 * k, 0.4 * (k % 2), 0.3 * k % 1] for k in range(len(symbols))]
    return {"smiles": smiles, "name": name, "names": [], "notations": [smiles[::-1]],
            "formula": "", "fold": "test", "geometry": "DFT", "symbols": list(symbols),
            "positions": positions, "bonds": list(bonds)}  # fmt: skip


FOUND = {
    "runs": ["a", "b", "c"],
    "molecules": [
        molecule("CCO", "ethanol", "CCOHHH", bond(0, 1, "C-C", 79.4, fragment=92.7),
                 bond(1, 2, "C-O", 81.7, fragment=98.6), bond(0, 3, "C-H", 99.4, de=110.0)),
        molecule("C#C", "acetylene", "CCHH", bond(0, 1, "C#C", 170.0, vertical=238.5, de=236.0),
                 bond(0, 2, "C-H", 120.0, de=139.0)),
        molecule("O", HOSTILE, "OHH", bond(0, 1, "H-O", 110.0)),
    ],
    "classes": {"C-H": {"values": [95.0, 97.0, 101.0, 120.0], "n_molecules": 3},
                "C-O": {"values": [81.7], "n_molecules": 1}},
}  # fmt: skip


def test_every_bond_stands_in_the_table_and_can_be_linked_to() -> None:
    html = explorer.table(FOUND)
    table = html[: html.index("</table>")]
    for text in ('id="CCO"', 'id="C#C"', "C0–C1", "170.0", "238.5", "held out"):
        assert text in table
    assert table.count("<tr>") == 1 + 3 + 6
    assert explorer.link("C#C", (0, 1)) == "explorer.html#C%23C:0-1"
    assert explorer.link("CC(=O)O") == "explorer.html#CC(=O)O"


def test_what_names_hold_stays_text() -> None:
    html = explorer.table(FOUND)
    assert "<img" not in html
    data = re.search(r'id="explorer-data">(.*?)</script>', html, re.S)
    assert data
    assert json.loads(data[1])["molecules"][2]["name"] == HOSTILE


def test_without_its_data_the_page_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match=r"explorer.json is missing; `make pull`"):
        explorer.write(tmp_path, tmp_path)
    (tmp_path / explorer.DATA).write_text(json.dumps(FOUND))
    explorer.write(tmp_path, tmp_path)
    assert "3 molecules and their 6 bonds" in (tmp_path / explorer.PIECES[0]).read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("no chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "explorer.html"
    path.write_text(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>x</title><main>"
        + explorer.view(FOUND) + '<div class="explorer" id="explorer-quiz"></div>'
        + explorer.table(FOUND) + "</main>", encoding="utf-8",
    )  # fmt: skip
    return path


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    yield page
    assert said == []
    assert page.evaluate("() => window.hit") is None
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    context.close()


def name_of(page: Page) -> str:
    return page.locator("#explorer-name").inner_text().strip()


def test_a_search_leads_to_a_bond(opened: Page) -> None:
    assert name_of(opened) == "ethanol"
    opened.get_by_label("Name, formula or SMILES").fill("acety")
    opened.get_by_role("link", name="acetylene").click()
    assert name_of(opened) == "acetylene"
    assert opened.url.endswith("#C%23C")
    opened.get_by_role("button", name="C0–C1", exact=True).press("Enter")
    panel = opened.locator(".bond").inner_text()
    for text in ("170.0 ± 2.0", "168.0, 170.0, 172.0", "238.5", "Too few C#C bonds"):
        assert text in panel
    opened.get_by_role("button", name="C0–H2", exact=True).click()
    assert "Stronger than 3 of 4 different C–H bonds in 3 molecules" in (
        opened.locator(".bond").inner_text()
    )
    assert opened.locator(".bond svg").get_attribute("aria-label")
    opened.go_back()
    opened.wait_for_function("() => !location.hash")


def test_a_click_on_the_drawing_chooses_a_bond(opened: Page) -> None:
    canvas = opened.locator("#explorer canvas")
    box = canvas.bounding_box()
    assert box
    for k in range(1, 40):  # along the middle, until a bond is met
        canvas.click(position={"x": box["width"] * k / 40, "y": box["height"] / 2})
        if opened.locator("tr.chosen").count():
            break
    assert opened.locator("tr.chosen button[aria-pressed=true]").count() == 1
    assert "network, bare" in opened.locator(".bond").inner_text()


def test_a_molecule_that_is_not_there_is_said_to_be_missing(opened: Page) -> None:
    box, told = opened.get_by_label("Name, formula or SMILES"), opened.locator(".told")
    box.fill("aspirin")
    assert "aspirin is not among the 3 molecules" in told.inner_text()
    assert "e3d bonds 'SMILES'" in told.inner_text()
    box.fill("CC(=O)Oc1ccccc1C(=O)O")
    assert "e3d bonds 'CC(=O)Oc1ccccc1C(=O)O'" in told.inner_text()
    box.fill("OCC")
    box.press("Enter")
    opened.wait_for_function("() => location.hash === '#CCO'")


def test_an_address_names_a_molecule_and_a_bond(opened: Page, file: Path) -> None:
    opened.goto(f"{file.as_uri()}#C%23C:0-1")
    opened.reload()
    assert name_of(opened) == "acetylene"
    assert opened.locator("tr.chosen").inner_text().startswith("C0–C1")
    opened.goto(f"{file.as_uri()}#Ethanol")
    opened.wait_for_function(
        "() => document.getElementById('explorer-name').textContent.trim() == 'ethanol'"
    )
    opened.goto(f"{file.as_uri()}#O")
    opened.wait_for_function("() => document.getElementById('explorer-name').textContent[0] == '<'")


def test_a_named_point_of_a_figure_leads_to_its_molecule(browser: Browser, file: Path) -> None:
    figure = file.with_name("figure.html")
    script = (BOOK / "_static" / "e3d.js").read_text()
    figure.write_text(
        '<!DOCTYPE html><svg class="points" width="90" height="90">'
        '<g class="point" data-to="explorer.html#C%23C">'
        "<title>acetylene, bond C#C: 170 kcal/mol</title><circle cx=50 cy=50 r=20 /></g></svg>"
        f"<script>{script}</script>"
    )
    page = browser.new_page()
    page.goto(figure.as_uri())
    page.locator("circle").click()
    page.wait_for_url("**/explorer.html#C%23C")
    assert name_of(page) == "acetylene"
    page.close()


def test_the_quiz_keeps_score(opened: Page) -> None:
    quiz = opened.locator("#explorer-quiz")
    for n in (1, 2):
        quiz.locator(".options button").first.click()
        assert "kcal/mol" in quiz.get_by_role("status").inner_text()
        assert f"Score after {n} question" in quiz.locator("caption").inner_text()
        quiz.get_by_role("button", name="Next question").press("Enter")
    rights = [int(text) for text in quiz.locator("td:last-child").all_inner_texts()]
    assert all(0 <= right <= 2 for right in rights)


def test_without_javascript_the_table_is_open(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(f"{file.as_uri()}#CCO")
    assert page.get_by_role("rowheader", name="C1–O2").is_visible()
    assert not page.locator("#explorer canvas").is_visible()
    context.close()


@pytest.mark.skipif(not HTML.exists(), reason="the book is not built: make book")
def test_three_clicks_lead_from_the_first_page_to_a_bond_of_ethanol(browser: Browser) -> None:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(HTML.with_name("index.html").as_uri())
    page.get_by_role("link", name=re.compile("^Explorer")).first.click()
    page.get_by_label("Name, formula or SMILES").fill("ethanol")
    page.locator(".found").get_by_role("link", name="ethanol").first.click()
    page.get_by_role("button", name="C0–C1", exact=True).click()
    assert "fragments relaxed, DFT" in page.locator(".bond").inner_text()
    context.close()
