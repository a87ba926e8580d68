"""The one error that users see: a single line that says what, where, why and how to mend it."""

from __future__ import annotations


class E3DError(Exception):
    """Bad input or state. The command line prints its message without a traceback."""


def printable(text: str | bytes) -> str:
    """Text that cannot move a terminal's cursor: what is not printable as an escape."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def said(error: BaseException) -> str:
    """The message of an exception on one line; its kind where it has none."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return printable(" ".join(str(text).split())) or type(error).__name__
