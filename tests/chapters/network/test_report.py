"""Tables and sentences of estimates by task."""

from chapters.network import report
from e3d.statistics.intervals import Estimate


def about(value: float, half: float | None = 0.1) -> Estimate:
    ends = (None, None) if half is None else (value - half, value + half)
    return {"value": value, "low": ends[0], "high": ends[1], "n": 9}


TITLES = {"order": "bond order", "bde": "BDE"}


def test_estimates_are_rows_that_say_what_was_asked_and_where() -> None:
    found = {("order", "z", "layer 1"): about(0.5), ("bde", "a", "layer 2"): about(0.75, None)}
    table = report.long_table(found, TITLES)
    assert table["task"].tolist() == ["bond order", "BDE"]
    assert table["label"].tolist() == ["layer 1, z", "layer 2, a"]
    assert table["value"].tolist() == [0.5, 0.75]
    assert table["low"].isna().tolist() == [False, True]
    single = report.long_table({("order", "length"): about(0.5)}, TITLES)
    assert single[["label", "place"]].to_numpy().tolist() == [["length", ""]]


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
