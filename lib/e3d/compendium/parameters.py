"""Parameters of a notebook: read from its `parameters` cell, checked by name and by type.

`params.yaml` has typed values; the shell hands over text ('false', '1e-3'), and the literals of the
cell say what it means.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from e3d.errors import E3DError

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def defaults(notebook: Path) -> dict[str, Any]:
    """Names and default values in the cell tagged `parameters`.

    Raises E3DError when the notebook is missing or no notebook, has not exactly one such cell, or
    the cell holds anything but `name = literal`.
    """
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except FileNotFoundError:
        raise E3DError(f"notebook {notebook} does not exist; see notebooks/ for those there are") \
            from None  # fmt: skip
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise E3DError(f"{notebook} is not a notebook ({type(error).__name__})") from None
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise E3DError(f"{notebook} has {len(tagged)} cells tagged 'parameters', expected one")
    try:
        return dict(_assignment(statement) for statement in ast.parse(tagged[0]).body)
    except (SyntaxError, ValueError) as error:
        raise E3DError(
            f"{notebook}: the parameters cell may only hold `name = literal` lines ({error})"
        ) from None


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
        except (ValueError, TypeError, OverflowError, yaml.YAMLError):
            raise E3DError(
                f"parameter {name!r}: expected {_kind(default)} such as {default!r}, got {text!r}"
            ) from None
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
        if default is not None and type(value) is not type(default):
            raise E3DError(
                f"parameter {name!r}: expected {_kind(default)} such as {default!r}, got {value!r}"
            )
        result[name] = value
    return result


def _default(name: str, known: Mapping[str, Any]) -> Any:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise E3DError(f"unknown parameter {name!r}; {hint}")


def _kind(default: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", list: "a list",
            dict: "a mapping"}.get(type(default), "text")  # fmt: skip


def _from_text(default: Any, text: str) -> Any:
    """What somebody typed, as the type of `default`.

    Raises ValueError, TypeError, OverflowError (an infinite whole number) or yaml.YAMLError.

    YAML 1.1, as papermill reads it, takes `1e-3` for text and `no` for false: a number or a word is
    read by the type of the default, and only lists and mappings by YAML.
    """
    match default:
        case bool():
            return _as_bool(text)
        case int():
            number = float(text)
            if number != int(number):
                raise ValueError(text)
            return int(text) if text.lstrip("+-").isdigit() else int(number)
        case float():
            value = float(text)
            if not math.isfinite(value):
                raise ValueError(text)
            return value
        case str():
            return text
        case list():
            words = text.replace(",", " ").split()
            items = yaml.safe_load(text) if text.startswith("[") else words
            return [_item(default[0], item) if default else item for item in items]
        case dict():
            value = yaml.safe_load(text)
            if not isinstance(value, dict):
                raise ValueError(text)
            return value
    return None if text in ("", "None", "null") else _scalar(text)


def _item(example: Any, item: Any) -> Any:
    """An item of a list that YAML read, as the type of the items that the default has."""
    return item if isinstance(item, type(example)) else _from_text(example, str(item))


def _scalar(text: str) -> Any:
    """A number, where the text is one, or whatever YAML makes of it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return yaml.safe_load(text)


def _as_bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE
