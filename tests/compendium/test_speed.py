"""The page on speed shows what `make bench` recorded, and says when nothing is."""

import json
from pathlib import Path

import pytest

from e3d.compendium import speed
from e3d.errors import E3DError

WHERE = {"machine": "a <machine>", "code": "abc", "load_average": 0.4}
ROWS = {
    "machine": "a <machine>",
    "one_over_two": WHERE
    | {"median": 1.27, "low": 1.2, "high": 1.3, "repeats": 5, "what": "One & two.", "aim": "≥ 1.8"},
    "time_per_atom": WHERE
    | {"what": "Time.", "sizes": {"12": {"median": 1, "low": 1, "high": 1, "repeats": 1},
                                  "9984": {"median": 0.8, "low": 0.7, "high": 0.9, "repeats": 3}}},
}  # fmt: skip


def test_ratios_sizes_and_machine_are_shown(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(ROWS))
    speed.write(tmp_path, tmp_path / "results.json")
    html = (tmp_path / speed.TABLES).read_text()
    for text in ("One &amp; two.", "<td>1.27</td>", "1.2 to 1.3, 5 repeats", "≥ 1.8", "9,984",
                 "0.7 to 0.9, 3 repeats", "a &lt;machine&gt;"):  # fmt: skip
        assert text in html
    assert html.count("<table") == 2


def test_without_a_record_the_page_says_so_and_another_file_is_refused(tmp_path: Path) -> None:
    assert "make bench" in speed.tables(speed.read(tmp_path / "none.json"))
    for wrong in ("{", '{"row": {"what": "x"}}', "[1]"):
        (tmp_path / "results.json").write_text(wrong)
        with pytest.raises(E3DError, match="is no benchmark"):
            speed.read(tmp_path / "results.json")
