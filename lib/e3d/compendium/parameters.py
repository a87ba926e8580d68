"""Parameters of a notebook: read from its `parameters` cell, checked by name, coerced by type.

DVC and the shell hand over text ('false', '1e-3'); the literals of the cell say what is meant.
"""

from __future__ import annotations

import ast
import difflib
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


def coerce(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The given values in the types of the defaults.

    Raises E3DError for a name that is not known (with the nearest one that is), and for a value
    that cannot be read as the default's type.
    """
    result = {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise E3DError(f"unknown parameter {name!r}; {hint}")
        try:
            result[name] = _as_type_of(known[name], value)
        except (ValueError, TypeError, OverflowError, yaml.YAMLError):
            raise E3DError(
                f"parameter {name!r}: expected {_kind(known[name])} such as {known[name]!r}, "
                f"got {value!r}"
            ) from None
    return result


def _kind(default: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", list: "a list",
            tuple: "a list", dict: "a mapping"}.get(type(default), "text")  # fmt: skip


def _as_type_of(default: Any, value: Any) -> Any:
    """`value` (text, or already typed) as the type of `default`.

    Raises ValueError, TypeError (a null in a list) or OverflowError (an infinite whole number).
    """
    match default:
        case bool():
            return _as_bool(value)
        case int():
            number = float(value)
            if number != int(number):
                raise ValueError(value)
            return int(number)
        case float():
            return float(value)
        case str():
            return str(value)
        case list() | tuple():
            return [_as_type_of(default[0], item) if default else item for item in _items(value)]
        case dict():
            value = yaml.safe_load(value) if isinstance(value, str) else value
            if not isinstance(value, dict):
                raise ValueError(value)
            sample = next(iter(default.values()), None)
            return {key: _as_type_of(sample, item) for key, item in value.items()}
    return yaml.safe_load(value) if isinstance(value, str) else value


def _as_bool(value: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _items(value: Any) -> list[Any]:
    """A list from a list, from YAML or JSON text `[a, b]`, or from words, as DVC writes lists."""
    if not isinstance(value, str):
        return list(value)
    if not value.lstrip().startswith("["):
        return value.replace(",", " ").split()
    return list(yaml.safe_load(value))
