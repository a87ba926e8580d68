"""What the architecture in a checkpoint may contain, checked before a model is built from it.

Hydra imports and calls whatever a `_target_` names, at any depth. Only entries that the checkpoints
of this project contain are therefore accepted, with values within generous bounds: a cutoff of
1e9 Å would hang a program as surely as an endless loop.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from ase.data import chemical_symbols

from e3d.errors import E3DError

# jsonschema builds a grammar of internationalised addresses where it finds this package: two
# seconds for a format that no schema here has. Only its own import is refused, not later ones.
if "jsonschema" not in sys.modules and "rfc3987_syntax" not in sys.modules:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import jsonschema  # noqa: F401

    del sys.modules["rfc3987_syntax"]

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match

#: Classes that an architecture may name.
TARGETS = ("allegro.nn.TwoBodyBesselScalarEmbed",)
#: Characters of quoted text in a message; it could be the whole file.
_SHOWN = 300


def _integer(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _number(low: float, high: float) -> dict[str, Any]:
    return {"type": "number", "minimum": low, "maximum": high}


def _per_type(low: float, high: float) -> dict[str, Any]:
    """One number for all types, one for each, or none."""
    by_type = {"type": "object", "propertyNames": _SYMBOL,
               "additionalProperties": _number(low, high)}  # fmt: skip
    return {"anyOf": [_number(low, high), by_type, {"type": "null"}]}


_SYMBOL = {"enum": chemical_symbols[1:]}
_FLAG = {"type": "boolean"}
_WIDTH = _integer(1, 1024)
#: The keyword arguments of `allegro.build` in a checkpoint; lengths in Å, energies in eV.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["seed", "model_dtype", "type_names", "r_max", "l_max", "radial_chemical_embed"],
    "properties": {
        "seed": _integer(0, 2**63 - 1),
        "model_dtype": {"enum": ["float32", "float64"]},
        "type_names": {"type": "array", "items": _SYMBOL, "minItems": 1},
        "r_max": _number(0.1, 20.0),
        "l_max": _integer(0, 4),
        "parity": _FLAG,
        "num_layers": _integer(1, 8),
        "num_scalar_features": _WIDTH,
        "num_tensor_features": _integer(1, 256),
        "allegro_mlp_hidden_layers_width": _WIDTH,
        "scalar_embed_mlp_hidden_layers_width": _WIDTH,
        "readout_mlp_hidden_layers_width": _WIDTH,
        "radial_chemical_embed": {
            "type": "object",
            "additionalProperties": False,
            "required": ["_target_"],
            "properties": {
                "_target_": {"enum": list(TARGETS)},
                "num_bessels": _integer(1, 128),
                "bessel_trainable": _FLAG,
                "polynomial_cutoff_p": _integer(2, 32),
            },
        },
        "avg_num_neighbors": _per_type(1e-3, 1e5),
        "per_type_energy_scales": _per_type(0.0, 1e6),
        "per_type_energy_shifts": _per_type(-1e7, 1e7),
        "per_type_energy_shifts_trainable": _FLAG,
    },
}


def _is_finite_number(_: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


def check(architecture: Any) -> None:
    """Refuse an architecture that could run other code than that of Allegro models.

    Raises E3DError with the entry and the class or function that it names.
    """
    for path, target in _targets(architecture, "architecture"):
        if target not in TARGETS:
            raise E3DError(f"{path} is {_shown(repr(target))}, not {' or '.join(TARGETS)}")
    error = best_match(_Validator(SCHEMA).iter_errors(architecture))
    if error is not None:
        path = error.json_path.replace("$", "architecture", 1)
        raise E3DError(f"{path}: {_shown(error.message)}")


def _targets(entry: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` in nested mappings and lists, with its place; the outermost first."""
    if isinstance(entry, dict):
        if "_target_" in entry:
            yield f"{path}._target_", entry["_target_"]
        for key, value in entry.items():
            yield from _targets(value, f"{path}.{_shown(str(key))}")
    elif isinstance(entry, list | tuple):
        for k, value in enumerate(entry):
            yield from _targets(value, f"{path}[{k}]")


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
