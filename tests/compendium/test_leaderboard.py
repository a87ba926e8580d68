"""The leaderboard of the book: what its table says, and that it sorts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from e3d.assess.leaderboard import COLUMNS as SCORES
from e3d.compendium import leaderboard
from e3d.errors import E3DError

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "<img src=x onerror=window.hit=1>"


def found() -> pd.DataFrame:
    """Three models and a null, each worse than the one before; the third knows fewer elements."""
    rows = []
    for k, name in enumerate(["good", "fair", HOSTILE, "pair"]):
        row: dict = {"model": name, "null": name == "pair", "n_seeds": 0 if name == "pair" else 3}
        for column in SCORES:
            value = 0.9 - 0.1 * k
            row |= {column: value, f"{column}_n": 20 if k == 2 else 30,
                    f"{column}_low": value - 0.05, f"{column}_high": value + 0.05}  # fmt: skip
        rows.append(row)
    rows[3] |= {"force_mae_meV_per_A": np.nan, "force_mae_meV_per_A_n": 0}
    return pd.DataFrame(rows)


def test_columns_are_those_of_an_assessment_and_each_is_told() -> None:
    assert [column.key for column in leaderboard.COLUMNS] == list(SCORES)
    assert leaderboard.columns().count("<dt>") == len(SCORES)
    assert all(column.meaning for column in leaderboard.COLUMNS)


def test_a_cell_tells_its_interval_and_on_how_much_it_stands() -> None:
    html = leaderboard.table(found())
    assert '<td data-value="0.9"><strong>0.90</strong> <small>±0.05</small></td>' in html
    assert "0.70 <small>±0.05</small> <small>20 of 30</small>" in html
    assert '<td data-value="">–</td>' in html
    assert "null model" in html
    assert "<img" not in html


def test_the_best_is_the_largest_or_the_smallest_of_those_that_stand_on_everything() -> None:
    table = found()
    key = "fragment_mae_kcal_per_mol"
    (column,) = [c for c in leaderboard.COLUMNS if c.key == key]
    table.loc[2, key] = 0.0  # of fewer molecules
    assert leaderboard._best(table, column) == pytest.approx(0.6)
    assert leaderboard._best(table, column._replace(better="high")) == pytest.approx(0.9)
    assert leaderboard._best(table, column._replace(better="none")) is None


def test_without_its_table_the_page_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match=r"leaderboard.csv is missing"):
        leaderboard.write(tmp_path, tmp_path)
    found().to_csv(tmp_path / leaderboard.DATA, index=False)
    leaderboard.write(tmp_path, tmp_path)
    assert all((tmp_path / name).exists() for name in leaderboard.PIECES)


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium")
def test_headers_and_the_list_sort(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><main>{leaderboard.table(found())}</main>")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        names = page.locator("tbody th")
        assert names.first.inner_text().startswith("good")
        page.get_by_role("button", name="accuracy, Dₑ").press("Enter")
        assert names.first.inner_text().startswith("pair")
        page.get_by_role("button", name="forces").click()
        assert names.last.inner_text().startswith("pair")  # without a value
        page.set_viewport_size({"width": 360, "height": 800})
        page.get_by_label("Sort by").select_option(label="model")
        page.get_by_label("Sort by").select_option(label="accuracy, Dₑ ↑")
        assert names.first.inner_text().startswith("good")
        assert page.evaluate("() => window.hit") is None
        browser.close()
    assert said == []
