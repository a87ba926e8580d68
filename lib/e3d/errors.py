"""The one error that users see: a single line that says what, where, why and how to mend it."""


class E3DError(Exception):
    """Bad input or state. The command line prints its message without a traceback."""
