"""The page of metrics, and the numbers that link to it."""

import json
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from e3d.compendium import metrics, page
from e3d.errors import E3DError
from e3d.paths import BOOK, RESULTS

FOUND = {"value": 25.43, "low": 19.7, "high": 31.7, "n": 1234}


@pytest.mark.parametrize(
    ("key", "unit"),
    [("bde.accuracy_de", ""), ("bound.mae_kcal_per_mol", "kcal/mol"), ("order.bits_length", "bit"),
     ("bound.excess_bare", "kcal/mol"), ("dynamics.nve_drift_meV_per_atom_per_ps", "meV/atom/ps"),
     ("hybrid.organic_force_mae_change_percent", "%"), ("dynamics.lead_before_order_fs", "fs"),
     ("scaling.force_floor_meV_per_A", "meV/Å")],
)  # fmt: skip
def test_the_unit_is_that_of_the_key(key: str, unit: str) -> None:
    assert metrics.unit(key) == unit


def test_every_metric_has_a_row_with_an_anchor_and_its_chapter(tmp_path: Path) -> None:
    (tmp_path / "bde.json").write_text(
        json.dumps({"a.mae_kcal_per_mol": FOUND, "a.<b>": FOUND | {"low": None}})
    )
    (tmp_path / "metrics.json").write_text(json.dumps({"a.mae_kcal_per_mol": FOUND}))
    (tmp_path / "metrics.yml").write_text('a.mae_kcal_per_mol: "off <by>"')
    to = metrics.write(tmp_path, tmp_path)
    assert to["a.mae_kcal_per_mol"] == "metrics.html#a.mae_kcal_per_mol"
    main, rest = (
        BeautifulSoup((tmp_path / name).read_text(), "html.parser") for name in metrics.PIECES
    )
    row = main.find(id="a.mae_kcal_per_mol")
    assert [cell.get_text() for cell in row.find_all("td")] == [
        "25.43 kcal/mol", "19.7 to 31.7", "1,234", "04",
    ]  # fmt: skip
    assert row.th.get_text() == "off <by>a.mae_kcal_per_mol"
    assert row.a["href"] == "04_bde.html"
    assert rest.find(id="a.mae_kcal_per_mol") is None, "one anchor each"
    assert rest.find(id="a.<b>").find_all("td")[1].get_text() == "–"


def test_a_main_metric_that_is_not_explained_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"a.b": FOUND}))
    (tmp_path / "metrics.yml").write_text("")
    with pytest.raises(E3DError, match=r"does not say what a\.b means"):
        metrics.write(tmp_path, tmp_path)


def test_all_main_metrics_of_the_project_are_explained_and_have_a_chapter(tmp_path: Path) -> None:
    (tmp_path / "metrics.yml").write_text((BOOK / "metrics.yml").read_text())
    to = metrics.write(tmp_path, RESULTS)
    main = json.loads((RESULTS / "metrics.json").read_text())
    assert set(main) <= set(to)
    soup = BeautifulSoup((tmp_path / metrics.PIECES[0]).read_text(), "html.parser")
    assert len(soup.select("tbody tr[id] a[href]")) == len(main)


def test_numbers_are_linked_in_their_order_and_nothing_else() -> None:
    text = "2 of **25 ± 6**, then 2, [2 there](a.md), `2`."
    numbers = [("a.mae", "25 ± 6"), ("a.n", "2"), ("a.n", "2"), ("a.n", "2"), ("b.unknown", "9")]
    assert metrics.linked(text, numbers, metrics.hrefs(["a.mae", "a.n", "plain"])) == (
        '2 of **<a class="number" href="metrics.html#a.mae">25 ± 6</a>**, then '
        '<a class="number" href="metrics.html#a.n">2</a>, [2 there](a.md), `2`.'
    )


def test_what_a_notebook_says_links_to_its_metrics(tmp_path: Path) -> None:
    said = nbformat.v4.new_output("display_data", {"text/markdown": "Off by 25."})
    said.metadata = {"text/markdown": {"numbers": [["a.mae", "25"]]}}
    cells = [
        nbformat.v4.new_markdown_cell("# T"),
        nbformat.v4.new_code_cell("say()", outputs=[said]),
    ]
    record = {
        "name": "bde",
        "notebook": "notebooks/04_bde.ipynb",
        "parameters": {},
        "inputs": {},
        "code": "a",
        "requirements_lock_sha256": "b",
        "versions": {},
        "python": "3",
        "machine": "m",
        "wall_time_s": 1,
    }
    made = page.page(nbformat.v4.new_notebook(cells=cells), record, folder=tmp_path,
                     hrefs={"a.mae": "metrics.html#a.mae"})  # fmt: skip
    assert made.cells[1].outputs[0].data["text/markdown"] == (
        'Off by <a class="number" href="metrics.html#a.mae">25</a>.'
    )
