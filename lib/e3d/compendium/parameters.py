"""Parameters of a notebook: read from its `parameters` cell, checked by name and by type.

`params.yaml` has typed values; the shell hands over text ('false', '1e-3'), and the literals of the
cell say what it means.
"""

from __future__ import annotations

import ast
import difflib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any

import nbformat
import yaml
from nbformat.warnings import MissingIDFieldWarning

from e3d.errors import E3DError, said

#: Whole numbers with more digits are refused: `1e999999999` would fill the memory.
MOST_DIGITS = 300
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def defaults(notebook: Path) -> dict[str, Any]:
    """Names and default values in the cell tagged `parameters`.

    Raises E3DError when the notebook is missing or no notebook, has not exactly one such cell, or
    the cell holds anything but `name = literal`.
    """
    cells = read(notebook).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise E3DError(f"{notebook} has {len(tagged)} cells tagged 'parameters', expected one")
    try:
        return dict(_assignment(statement) for statement in ast.parse(tagged[0]).body)
    except (SyntaxError, ValueError) as error:
        raise E3DError(
            f"{notebook}: the parameters cell may only hold `name = literal` lines ({error})"
        ) from None


@contextmanager
def cells_without_id() -> Iterator[None]:
    """Where notebooks are read: cells may lack an id, as those of older versions of Jupyter do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingIDFieldWarning)
        yield


def read(notebook: Path) -> nbformat.NotebookNode:
    """A notebook of Jupyter's current format.

    Raises E3DError when it is missing, no notebook, or one of another format.
    """
    try:
        with cells_without_id():
            found = nbformat.read(notebook, as_version=4)
            nbformat.validate(found)
    except FileNotFoundError:
        raise E3DError(f"notebook {notebook} does not exist; see notebooks/ for those there are") \
            from None  # fmt: skip
    except OSError as error:
        raise E3DError(f"{notebook} cannot be read: {error.strerror}") from None
    except Exception as error:  # nbformat raises whatever its text meets
        raise E3DError(f"{notebook} is not a notebook ({type(error).__name__}: {_short(error)})") \
            from None  # fmt: skip
    return found


def _short(error: Exception) -> str:
    message = said(error)
    return message if len(message) <= 120 else f"{message[:119]}…"


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, ast.literal_eval(value)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, ast.literal_eval(value)
    raise ValueError(f"line {statement.lineno}")


def split(assignments: Iterable[str]) -> dict[str, str]:
    """`["name=value", …]` as a dictionary. Raises E3DError for an entry without `=`."""
    pairs = [text.partition("=") for text in assignments]
    for name, equals, value in pairs:
        if not equals or not name.strip():
            raise E3DError(f"parameter {name + equals + value!r}: expected name=value")
    return {name.strip(): value.strip() for name, _, value in pairs}


def coerce(given: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Texts from the command line in the types of the defaults.

    Raises E3DError for a name that is not known (with the nearest one that is), and for a text
    that cannot be read as the default's type.
    """
    result = {}
    for name, text in given.items():
        default = _default(name, known)
        try:
            result[name] = _from_text(default, text)
        except (ValueError, TypeError, ArithmeticError, RecursionError, yaml.YAMLError):
            raise _wrong(name, default, text) from None
    return result


def typed(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The values given, as `params.yaml` has them, after a check of names and types.

    A whole number may stand for a float. Raises E3DError for a name that is not known, and for a
    value of another type than the default.
    """
    result = {}
    for name, value in given.items():
        default = _default(name, known)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        wrong_type = default is not None and type(value) is not type(default)
        if wrong_type or not _all_finite(value):
            raise _wrong(name, default, value)
        result[name] = value
    return result


def _wrong(name: str, default: Any, got: Any) -> E3DError:
    example = "" if default is None else f" such as {default!r}"
    shown = got if len(repr(got)) <= 60 else f"{str(got)[:57]}…"
    return E3DError(f"parameter {name!r}: expected {_kind(default)}{example}, got {shown!r}")


def _all_finite(value: Any) -> bool:
    """Whether no number in a value, or in a list or mapping, is infinite or nan."""
    match value:
        case float():
            return math.isfinite(value)
        case list() | dict():
            return all(map(_all_finite, value.values() if isinstance(value, dict) else value))
    return True


def _default(name: str, known: Mapping[str, Any]) -> Any:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise E3DError(f"unknown parameter {name!r}; {hint}")


def _kind(default: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", list: "a list",
            dict: "a mapping", NoneType: "a finite number, true, false, a list or text",
            }.get(type(default), "text")  # fmt: skip


def _from_text(default: Any, text: str) -> Any:
    """What somebody typed, as the type of `default`.

    Raises ValueError, TypeError, ArithmeticError (no number) or yaml.YAMLError.

    YAML 1.1, as papermill reads it, takes `1e-3` for text and `1:30` for ninety: YAML only takes
    lists and mappings apart, and every item is read by the type of the default.
    """
    match default:
        case bool():
            return _as_bool(text)
        case int():
            return _as_int(text)
        case float():
            return _finite(float(text))
        case str():
            return text
        case list() if not text.startswith("["):
            return _typed_items(default, text.replace(",", " ").split())
        case list() | dict():
            return _typed_items(default, yaml.load(text, Loader=yaml.BaseLoader))
    if text.startswith(("[", "{")):
        return _typed_items(None, yaml.load(text, Loader=yaml.BaseLoader))
    return _scalar(text)


def _typed_items(default: Any, items: Any) -> Any:
    """Texts in lists and mappings as the types of the items of the default, nested ones too."""
    if default is not None and type(items) is not type(default):
        if isinstance(items, str):
            return _from_text(default, items)
        raise TypeError(items)
    match items:
        case list():
            return [_typed_items(default[0] if default else None, item) for item in items]
        case dict():
            known = default or {}
            return {name: _typed_items(known.get(name), item) for name, item in items.items()}
    return _from_text(default, items)


def _scalar(text: str) -> Any:
    """None, true, false or a number, where the text is one; otherwise the text."""
    if text in ("", "None", "null", "~"):
        return None
    if text.lower() in (_TRUE | _FALSE) - {"1", "0"}:
        return _as_bool(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return _as_int(text) if text.lstrip("+-").isdigit() else _finite(number)


def _finite(number: float) -> float:
    """The number. Raises ValueError for infinities and for what is none."""
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _as_int(text: str) -> int:
    """A whole number, exact however large. Raises ValueError or ArithmeticError for another."""
    number = Decimal(text)
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError(text)
    if number.adjusted() > MOST_DIGITS:
        raise ValueError(text)
    return int(number)


def _as_bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE
