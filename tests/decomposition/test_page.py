"""The page about molecules: inert to what people type, offline, readable without WebGL."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from e3d.decomposition.page import page
from e3d.decomposition.text import report_text

CHROMIUM = Path("/usr/bin/chromium")


def report(**changes) -> dict:
    """Water, with everything that a report may hold."""
    rows = [
        {"i": 0, "j": j, "class": "H-O", "length_A": 0.96, "energy_eV": -4.9,
         "bde_kcal_per_mol": 113.0 + j, "dressed_kcal_per_mol": 114.0, "std_kcal_per_mol": 1.5,
         "conformers_kcal_per_mol": 0.2, "unfamiliarity": 0.6,
         "references": [{"kind": "De", "value_kcal_per_mol": 125.8, "of": "H2O -> OH + H"}],
         "class_kcal_per_mol": {"low": 95.0, "quarter": 100.0, "median": 105.0,
                                "three_quarters": 108.0, "high": 114.0, "n_molecules": 40}}
        for j in (1, 2)
    ]  # fmt: skip
    interval = {"value": -17.5, "low": -21.0, "high": -14.0, "n": 33}
    errors = {"bias": interval, "slope": interval, "mae": interval, "mae_calibrated": 12.0}
    return {
        "input": "water", "smiles": "O", "n_atoms": 3, "energy_eV": -2079.0,
        "atomization_energy_eV": 10.0, "sum_rule_error_eV": 1e-6, "models": ["a", "b"],
        "zero": "atomic energies of model.yaml", "symbols": ["O", "H", "H"],
        "positions_A": [[0.0, 0.0, 0.1], [0.0, 0.76, -0.5], [0.0, -0.76, -0.5]], "bonds": rows,
        "warnings": ["13 atoms besides hydrogen"], "tests": {"literature D_e": {"bare": errors}},
    } | changes  # fmt: skip


HOSTILE = "C<script>window.hit=1</script>\"'><img src=x onerror=window.hit=1>__DATA__</script>"


def test_what_people_type_stands_there_as_text():
    rows = [row | {"class": HOSTILE} for row in report()["bonds"]]
    rows[0] = rows[0] | {"references": [{"kind": "De", "value_kcal_per_mol": 1.0, "of": HOSTILE}]}
    hostile = report(input=HOSTILE, smiles=HOSTILE, zero=HOSTILE, models=[HOSTILE], bonds=rows,
                     warnings=[HOSTILE], symbols=[HOSTILE, "H", "H"])  # fmt: skip
    html = page([hostile], title=HOSTILE)
    assert html.count("<script") == page([report()]).count("<script") == 2
    assert "<img" not in html
    assert "__BODY__" not in html
    data = re.search(r'id="data">(.*?)</script>', html, re.S)
    assert data
    assert json.loads(data[1])[0]["symbols"][0] == HOSTILE


def test_a_page_asks_nothing_of_the_network():
    html = page([report(), report(input="again")])
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|//cdn|@import|<link|<iframe|\bsrc=", html)
    assert len(html) < 40_000


def test_tables_need_no_script():
    html = page([report()])
    table = html[html.index("<table") : html.index("</table>")]
    for text in ("114.0", "115.0", "125.8", "H-O", "0.960"):
        assert text in table
    assert "13 atoms besides hydrogen" in html
    assert "mean absolute error" in html
    alone = page([report(bonds=[], tests={}, warnings=[], smiles=None, energy_eV=None)])
    assert "no bonds" in alone
    assert "SMILES" not in alone


def test_bonds_to_other_cells_are_listed_and_not_drawn():
    rows = [row | {"shift": [0, 0, k]} for k, row in enumerate(report()["bonds"])]
    html = page([report(bonds=rows)])
    assert "(0, 0, 1)" in html
    assert '"bonds":[[0,1],null]' in html


def test_text_names_what_it_prints():
    lines = report_text(report()).splitlines()
    assert "reference" in lines[2]
    assert "125.8 (De)" in lines[3]
    assert "95 to 114 (40)" in lines[3]
    assert "bare against 33 values (literature D_e): mean error -17.5 (-21.0 to -14.0)" in "".join(
        lines
    )
    assert lines[-1] == "warning: 13 atoms besides hydrogen"
    assert "energy -2079.0000 eV, " not in report_text(report(energy_eV=None))


#: Whether anything is drawn on the canvas.
PAINTED = """() => {
  const c = document.querySelector("canvas");
  return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data].some((x) => x > 0);
}"""


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium")
@pytest.mark.parametrize("webgl", [True, False])
def test_a_browser_draws_sorts_and_stays_silent(tmp_path, webgl):
    file = tmp_path / "page.html"
    file.write_text(page([report(input=HOSTILE)]), encoding="utf-8")
    options = ["--no-sandbox", *([] if webgl else ["--disable-gpu", "--disable-3d-apis"])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        view = browser.new_page(viewport={"width": 360, "height": 800})
        said, asked = [], []
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("request", lambda request: asked.append(request.url))
        view.goto(file.as_uri())
        assert view.is_visible("canvas")
        assert view.evaluate(PAINTED)
        first = "() => document.querySelector('tbody tr').dataset.bond"
        bare = view.get_by_role("button", name="bare")
        bare.click()
        assert view.evaluate(first) == "0"
        bare.click()
        assert view.evaluate(first) == "1"
        assert view.evaluate("() => window.hit") is None
        wide = view.evaluate("() => document.documentElement.scrollWidth")
        browser.close()
    assert said == []
    assert asked == [file.as_uri()]
    assert wide <= 360
