"""The interactive trajectory: self-contained, and it follows its slider."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from examples import random_model, torn

from chapters.dynamics import bond_breaking
from chapters.dynamics.trajectories import Record
from chapters.dynamics.viewer import trajectory_html
from e3d.errors import E3DError


def shown(record: Record) -> str:
    pairs, energies = bond_breaking.bound_pairs_along(random_model(), record, below_eV=-1e9)
    assert pairs.tolist() == record.bonds.tolist()
    symbols = record.structures()[0].get_chemical_symbols()
    curve = np.linspace(0, 1, len(record.times))
    return trajectory_html(
        symbols, record.times, record.positions, pairs, energies, {"gone": curve},
        title="A bond breaks", alt="Water loses an atom.", always_drawn=len(pairs),
    )  # fmt: skip


def test_the_viewer_needs_nothing_from_outside() -> None:
    html = shown(torn())
    assert not re.search(r"https?:|@import|<link|src=", html)
    stored = re.search(r'<script type="application/json">(.*?)</script>', html)
    assert stored is not None
    data = json.loads(stored.group(1))
    assert len(data["positions"]) == len(data["times"]) == len(data["energies"]) == 21
    assert "__" not in html.replace(stored.group(0), "")
    with pytest.raises(E3DError, match="same number of frames"):
        trajectory_html(["H"], np.zeros(2), np.zeros((3, 1, 3)), np.zeros((0, 2), dtype=int),
                        np.zeros((3, 0)), {}, title="", alt="")  # fmt: skip


@pytest.mark.slow
def test_the_viewer_follows_its_slider_at_any_width(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium on this machine")
    page_file = tmp_path / "page.html"
    head = '<!doctype html><html data-theme="dark"><meta charset="utf-8"><body>'
    page_file.write_text(f"{head}{shown(torn())}</body></html>")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options, timeout=0)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(0)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"file://{page_file}")
        assert page.locator("output").inner_text() == "0 fs"
        before = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.locator("input").fill("20")
        assert page.locator("output").inner_text() == "40 fs"
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not wrong
        browser.close()
