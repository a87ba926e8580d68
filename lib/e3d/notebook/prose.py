"""Sentences with computed numbers: templates in Markdown, filled from metrics by key.

For example `say("ε explains {order.bits:.2f} of {ceiling:.2f} bits", metrics, ceiling=ceiling)`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from e3d.errors import E3DError
from e3d.statistics import rounding

#: What a sentence says, number by number: its key, and the text that stands for it.
Numbers = list[tuple[str, str]]


class _Prose(string.Formatter):
    """Looks up whole keys, dots included, and formats estimates with their intervals."""

    def __init__(self) -> None:
        self.numbers: Numbers = []
        self._keys: dict[int, str] = {}

    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        if field_name in kwargs:
            self._keys[id(kwargs[field_name])] = field_name
            return kwargs[field_name], field_name
        name, bracket, _ = field_name.partition("[")
        if bracket and name in kwargs:
            found, first = super().get_field(field_name, args, kwargs)
            return found, str(first)
        raise E3DError(f"no value for {{{field_name}}} in a sentence; was a metric renamed?")

    def format_field(self, value: Any, format_spec: str) -> str:
        text = self._formatted(value, format_spec)
        if id(value) in self._keys and any(map(str.isdigit, text)):
            self.numbers.append((self._keys[id(value)], text))
        return text

    def _formatted(self, value: Any, format_spec: str) -> str:
        if not (isinstance(value, Mapping) and "value" in value):
            return str(super().format_field(value, format_spec))
        if format_spec.startswith("?"):
            more, less, same = format_spec[1:].split("|")
            return rounding.compared_with_zero(value, more=more, less=less, same=same)  # type: ignore[arg-type]
        if format_spec.startswith("="):
            return format(value["value"], format_spec[1:])
        if value.get("low") is None or value.get("high") is None:
            return format(value["value"], format_spec)
        return rounding.ranged(value["value"], value["low"], value["high"], format_spec)


def filled(template: str, *sources: Mapping[str, Any], **values: Any) -> str:
    """The template with every `{key:format}` replaced.

    Keys are looked up in `values`, then in the sources (dictionaries of metrics; keys may hold
    dots). An estimate (value, low, high, n) is written with its interval, `0.41 ± 0.03`;
    after `=`, as in `{key:=.2f}`, its value alone; after `?`, as in `{key:?more|less|same}`, the
    wording that its interval supports: above zero, below, or neither.

    Raises E3DError for a key that is nowhere.
    """
    return with_numbers(template, *sources, **values)[0]


def with_numbers(template: str, *sources: Mapping[str, Any], **values: Any) -> tuple[str, Numbers]:
    """What `filled` makes of a template, and the key and text of each number in it, in order."""
    known: dict[str, Any] = {}
    for source in reversed(sources):
        known |= source
    prose = _Prose()
    return prose.vformat(template, (), known | values), prose.numbers


def say(template: str, *sources: Mapping[str, Any], **values: Any) -> None:
    """Display `filled` as Markdown; the metadata of the output have the keys of its metrics.

    The book links each number to the table of metrics by them.
    """
    from IPython.display import Markdown, display

    text, numbers = with_numbers(template, *sources, **values)
    known = [number for number in numbers if "." in number[0]]
    display(Markdown(text), metadata={"text/markdown": {"numbers": known}} if known else None)
