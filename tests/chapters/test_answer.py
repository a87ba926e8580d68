"""The headline: its keys, what is filed of them, and the answer in words."""

import json

import pytest

from chapters import answer
from e3d.errors import E3DError
from e3d.paths import RESULTS
from e3d.statistics.intervals import Estimate


def between(low: float, high: float) -> Estimate:
    return {"value": (low + high) / 2, "low": low, "high": high, "n": 3}


BETTER, WORSE, OPEN = between(0.1, 0.3), between(-0.3, -0.1), between(-0.1, 0.1)


def filed(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_the_results_hold_every_headline_key_that_is_computed() -> None:
    assert list(filed("metrics")) == list(answer.HEADLINE)


def test_every_headline_metric_is_that_of_its_chapter() -> None:
    chapters = {"metrics", "headline"}
    of_chapters: dict = {}
    for path in RESULTS.glob("*.json"):
        if path.stem not in chapters:
            of_chapters |= filed(path.stem)
    assert filed("metrics") == answer.headline(of_chapters)


def test_every_headline_metric_has_an_interval_and_a_count() -> None:
    assert len(set(answer.HEADLINE)) == len(answer.HEADLINE)
    for key, found in filed("metrics").items():
        assert list(found) == ["value", "low", "high", "n"], key
        if found["low"] is not None:
            assert found["low"] <= found["value"] <= found["high"], key


def test_dvc_shows_the_same_values_one_column_each() -> None:
    assert filed("headline") == {key: found["value"] for key, found in filed("metrics").items()}


def test_what_no_chapter_computes_is_absent_and_the_order_is_that_of_the_list() -> None:
    metrics = {"order.bits": BETTER, "order.of_no_headline": OPEN, "bde.accuracy_de": WORSE}
    assert list(answer.headline(metrics)) == ["bde.accuracy_de", "order.bits"]
    with pytest.raises(E3DError, match="renamed"):
        answer.headline({"order.of_no_headline": OPEN})


ALL_BEATEN, ONE_LEFT = {"pair": BETTER, "additive": BETTER}, {"pair": BETTER, "additive": OPEN}


@pytest.mark.parametrize(
    ("sets", "aim_reached", "expected"),
    [
        ({"a": ALL_BEATEN, "b": ALL_BEATEN}, True, "Yes"),
        ({"a": ALL_BEATEN, "b": ALL_BEATEN}, False, "Only in part"),
        ({"a": ALL_BEATEN, "b": ONE_LEFT}, True, "Only in part"),
        ({"a": ONE_LEFT, "b": ONE_LEFT}, True, "No"),
        ({"a": {"pair": WORSE, "untrained": BETTER}}, False, "No"),
    ],
)
def test_yes_asks_for_the_aim_and_for_every_null_on_every_set(
    sets: dict[str, dict[str, Estimate]], aim_reached: bool, expected: str
) -> None:
    assert answer.verdict(sets, aim_reached=aim_reached) == expected


def test_metrics_are_counted_with_and_without_intervals() -> None:
    alone = Estimate(value=1.0, low=None, high=None, n=1)
    found = answer.counted({f"a.{k}": BETTER for k in range(39)} | {"b": alone})
    assert found == {"metrics": 40, "intervals": 39, "by_chance": 2}
