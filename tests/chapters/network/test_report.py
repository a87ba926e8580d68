"""Tables and sentences of estimates by task."""

from chapters.network import report
from e3d.statistics.intervals import Estimate


def about(value: float, half: float | None = 0.1) -> Estimate:
    ends = (None, None) if half is None else (value - half, value + half)
    return {"value": value, "low": ends[0], "high": ends[1], "n": 9}


TITLES = {"order": "bond order", "bde": "BDE"}


def test_tasks_are_columns_and_rows_keep_their_order() -> None:
    found = {("order", "z", "layer 1"): about(0.5), ("bde", "z", "layer 1"): about(0.25),
             ("bde", "a", "layer 2"): about(0.75, None)}  # fmt: skip
    table = report.by_task(found, TITLES)
    assert table.columns.tolist() == ["bond order", "BDE"]
    assert table.index.tolist() == [("z", "layer 1"), ("a", "layer 2")]
    assert table["BDE"].tolist() == ["0.25\u00a0±\u00a00.10", "0.75"]
    assert table["bond order"].tolist() == ["0.50\u00a0±\u00a00.10", "–"]
    single = report.by_task({("order", "length"): about(0.5)}, TITLES)
    assert single.index.tolist() == ["length"]


def test_differences_are_worded_by_their_intervals() -> None:
    found = {"order": about(1), "length": about(0), "BDE": about(2), "angle": about(-1)}
    assert report.compared(found, "chance") == (
        "more than chance (order, BDE); less than chance (angle); "
        "not measurably more than chance (length)"
    )
    assert report.compared({"BDE": about(2)}, "chance") == "more than chance (BDE)"


def test_the_first_gain_is_one_whose_interval_is_above_zero() -> None:
    gains = {"two-body": about(0.05), "layer 1": about(0.5, None), "layer 2": about(0.2)}
    assert report.first_above_zero(gains) == "layer 2"
    assert report.first_above_zero({"layer 1": about(0)}) is None
