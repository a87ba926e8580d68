"""Run records: complete, and refused where they are damaged."""

import json
from pathlib import Path

import pytest

from e3d.compendium import provenance, records
from e3d.errors import E3DError
from e3d.paths import ROOT

RECORD = provenance.record("x", ROOT / "notebooks" / "x.ipynb", {"a": 1}, [], wall_time_s=1.0)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    provenance.write(tmp_path / "x.json", RECORD)
    assert provenance.read(tmp_path / "x.json") == RECORD
    assert records.by_notebook(tmp_path) == {"x.ipynb": RECORD}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000, json.dumps(RECORD)[:-9].encode()]
    + [json.dumps({k: v for k, v in RECORD.items() if k != out}).encode() for out in RECORD]
    + [json.dumps({**RECORD, key: None}).encode() for key in RECORD],
)  # fmt: skip
def test_a_damaged_record_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(E3DError, match=r"x\.json is .*; remove it") as caught:
        records.by_notebook(tmp_path)
    assert "\n" not in str(caught.value)
