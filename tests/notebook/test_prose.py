"""Computed sentences: what a template may say, and what it refuses."""

import pytest

from e3d.errors import E3DError
from e3d.notebook.prose import filled, say, with_numbers

METRICS = {
    "order.bits": {"value": 0.4123, "low": 0.398, "high": 0.4251, "n": 7},
    "order.gain": {"value": -0.02, "low": -0.03, "high": -0.01, "n": 7},
    "single": {"value": 3.0, "low": None, "high": None, "n": 1},
}


def test_an_estimate_is_written_with_its_interval() -> None:
    assert filled("ε: {order.bits:.2f} bits", METRICS) == "ε: 0.41\u00a0±\u00a00.01 bits"
    assert filled("{order.bits:=.3f}", METRICS) == "0.412"
    assert filled("{single:.1f}", METRICS) == "3.0"


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.3, "better"), (-0.3, -0.1, "worse"), (-0.1, 0.3, "alike")]
)
def test_the_wording_follows_the_interval(low: float, high: float, expected: str) -> None:
    gain = {"value": (low + high) / 2, "low": low, "high": high, "n": 9}
    assert filled("{gain:?better|worse|alike}", gain=gain) == expected


def test_values_win_over_metrics_and_plain_values_have_their_format() -> None:
    assert filled("{single:d} of {name}, {names[1]}", METRICS, single=2, name="H₂O",
                  names=["a", "b"]) == "2 of H₂O, b"  # fmt: skip
    assert filled("{share:.0%}", share=0.256) == "26%"


def test_an_unknown_key_is_an_error_that_names_it() -> None:
    with pytest.raises(E3DError, match=r"no value for \{order\.bitz\}"):
        filled("{order.bitz:.2f}", METRICS)


def test_the_numbers_of_a_sentence_are_told_with_their_keys() -> None:
    text, numbers = with_numbers("{order.bits:=.2f}, {order.gain:?more|less|same}, {n} of {name}",
                                 METRICS, n=12, name="H")  # fmt: skip
    assert text == "0.41, less, 12 of H"
    assert numbers == [("order.bits", "0.41"), ("n", "12")]


def test_what_is_said_keeps_the_keys_of_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a[0].data, k)))
    say("{order.bits:=.2f} of {n}", METRICS, n=3)
    say("nothing")
    assert shown == [
        ("0.41 of 3", {"metadata": {"text/markdown": {"numbers": [("order.bits", "0.41")]}}}),
        ("nothing", {"metadata": None}),
    ]  # fmt: skip
