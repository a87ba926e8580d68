"""Sentences with computed numbers: templates in Markdown, filled from metrics by key.

For example `say("ε explains {order.bits:.2f} of {ceiling:.2f} bits", metrics, ceiling=ceiling)`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from e3d.errors import E3DError
from e3d.statistics import rounding


class _Prose(string.Formatter):
    """Looks up whole keys, dots included, and formats estimates with their intervals."""

    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        if field_name in kwargs:
            return kwargs[field_name], field_name
        name, bracket, _ = field_name.partition("[")
        if bracket and name in kwargs:
            found, first = super().get_field(field_name, args, kwargs)
            return found, str(first)
        raise E3DError(f"no value for {{{field_name}}} in a sentence; was a metric renamed?")

    def format_field(self, value: Any, format_spec: str) -> str:
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
    known: dict[str, Any] = {}
    for source in reversed(sources):
        known |= source
    return _Prose().vformat(template, (), known | values)


def say(template: str, *sources: Mapping[str, Any], **values: Any) -> None:
    """Display `filled` as Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(filled(template, *sources, **values)))
