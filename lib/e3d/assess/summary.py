"""An assessment in a few lines: in which tests a model is ahead of all null models.

Of every test one score counts: accuracy where there is one, and rank correlations beside it. A
model is ahead where its 95 % interval lies beyond the best value of any null model, behind where it
lies on the other side, and else it cannot be told apart from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e3d.assess.text import NULLS

AHEAD, LEVEL, BEHIND = VERDICTS = (
    "ahead of every null model",
    "not told apart from the best null model",
    "behind the best null model",
)
#: Scores that say the same as the accuracy of the same test.
_BESIDE_ACCURACY = ("mean absolute deviation", "mean error")


def summary(report: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """By model and verdict the names of the tests, in their order; without those it has none of."""
    counted = _counted(report["tests"])
    found: dict[str, dict[str, list[str]]] = {}
    for model in report["models"]:
        of_model: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
        for test in counted:
            if (verdict := _verdict(test, model["name"])) is not None:
                of_model[verdict].append(_name(test, counted))
        found[model["name"]] = {verdict: names for verdict, names in of_model.items() if names}
    return found


def lines(report: Mapping[str, Any]) -> list[str]:
    """The summary as text, one line for each model and verdict."""
    return [
        f"{model}: {verdict}: {'; '.join(names)}"
        for model, verdicts in summary(report).items()
        for verdict, names in verdicts.items()
    ]


def _counted(tests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    with_accuracy = {test["test"] for test in tests if test["quantity"] == "accuracy"}
    return [
        test
        for test in tests
        if test["better"] in ("high", "low")
        and not (test["quantity"] in _BESIDE_ACCURACY and test["test"] in with_accuracy)
    ]


def _verdict(test: Mapping[str, Any], model: str) -> str | None:
    """None where the model or every null has no value, or the model no interval."""
    own = test["values"].get(model)
    nulls = [test["values"][name]["value"] for name in NULLS if name in test["values"]]
    if own is None or own["low"] is None or own["high"] is None or not nulls:
        return None
    sign = 1 if test["better"] == "high" else -1
    best = max(sign * value for value in nulls)
    low, high = sorted((sign * own["low"], sign * own["high"]))
    return AHEAD if low > best else BEHIND if high < best else LEVEL


def _name(test: Mapping[str, Any], counted: Sequence[Mapping[str, Any]]) -> str:
    """The test and which energy is meant, and the quantity where a test has several."""
    quantities = {other["quantity"] for other in counted if other["test"] == test["test"]}
    parts = [test["test"]]
    if len(quantities) > 1:
        parts.append(test["quantity"])
    return ", ".join([*parts, *([test["kind"]] if test["kind"] else [])])
