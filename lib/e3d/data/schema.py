"""The schema of a molecule in a SPICE file, and how a group departs from it."""

from __future__ import annotations

import h5py
import numpy as np
from ase.data import chemical_symbols

#: Numeric fields: shape in terms of M conformations and N atoms, and the unit they must state.
SCHEMA: dict[str, tuple[tuple[str | int, ...], str]] = {
    "conformations": (("M", "N", 3), "bohr"),
    "dft_total_energy": (("M",), "hartree"),
    "dft_total_gradient": (("M", "N", 3), "hartree/bohr"),
    "formation_energy": (("M",), "hartree"),
}
#: Numeric fields that a molecule may have; a unit of None is not checked.
OPTIONAL: dict[str, tuple[tuple[str | int, ...], str | None]] = {
    "temperature": (("M",), "K"),
    "mayer_indices": (("M", "N", "N"), None),
    "wiberg_lowdin_indices": (("M", "N", "N"), None),
}
TEXTS = ("smiles", "subset")


def read_fields(
    group: h5py.Group | h5py.Dataset, *, optional: tuple[str, ...] = ("temperature",)
) -> tuple[dict[str, np.ndarray], dict[str, str], list[str]]:
    """Arrays and texts of one molecule, in the units of the file, and every problem, a line each.

    Required fields and those of `optional` that are present are read; what is returned is fit for
    use only when there is no problem.
    """
    if not isinstance(group, h5py.Group):
        return {}, {}, ["is a data set, expected a group with the fields of one molecule"]
    numbers, problems = _read_atomic_numbers(group)
    arrays = {"atomic_numbers": numbers}
    sizes: dict[str | int, int] = {3: 3}
    if not problems:
        sizes["N"] = len(numbers)
    wanted = {**SCHEMA, **{key: OPTIONAL[key] for key in optional if key in group}}
    for key, (axes, unit) in wanted.items():
        arrays[key], found = _read_field(group.get(key), key, axes, unit, sizes)
        problems += found
    texts = {key: text for key in TEXTS if (text := _read_text(group.get(key))) is not None}
    if "smiles" not in texts:
        problems.append("field 'smiles' is missing or not text; bonds and charge come from it")
    return arrays, texts, problems


def _read_text(stored: h5py.Dataset | None) -> str | None:
    """Text of a scalar or one-element string field, None where it is missing or not text."""
    if stored is None or h5py.check_string_dtype(stored.dtype) is None:
        return None
    values = np.ravel(stored.asstr()[()])
    return str(values[0]) if values.size else None


def _read_atomic_numbers(group: h5py.Group) -> tuple[np.ndarray, list[str]]:
    nothing = np.empty(0, dtype=np.int64)
    if "atomic_numbers" not in group:
        return nothing, ["field 'atomic_numbers' is missing; is this a SPICE-schema file?"]
    values = group["atomic_numbers"][()]
    if np.ndim(values) != 1 or values.dtype.kind not in "iu" or not values.size:
        return nothing, [
            f"field 'atomic_numbers' is {values.dtype} of shape {np.shape(values)}, expected "
            "integers of shape (N,) for N ≥ 1 atoms"
        ]
    unknown = sorted({int(z) for z in values if not 0 < z < len(chemical_symbols)})
    if unknown:
        return nothing, [f"unknown element: atomic number {', '.join(map(str, unknown))}"]
    return values.astype(np.int64), []


def _read_field(
    stored: h5py.Dataset | None,
    key: str,
    axes: tuple[str | int, ...],
    unit: str | None,
    sizes: dict[str | int, int],
) -> tuple[np.ndarray, list[str]]:
    """Values of a field and its problems; the first field sets M in `sizes`."""
    if stored is None:
        return np.empty(0), [f"field {key!r} is missing; is this a SPICE-schema file?"]
    problems = []
    found = stored.attrs.get("units")
    found = found.decode() if isinstance(found, bytes) else found
    if unit is not None and (found is None or str(found).lower() != unit.lower()):
        problems.append(
            f"field {key!r} has {'no units' if found is None else f'units {found!r}'}, expected "
            f"{unit!r}; convert the values and set the attribute 'units'"
        )
    values = np.asarray(stored[()])
    if values.dtype.kind not in "fiu":
        return values, [*problems, f"field {key!r} holds {values.dtype}, expected numbers"]
    if values.ndim:
        sizes.setdefault("M", len(values))
    expected = tuple(sizes.get(axis, axis) for axis in axes)
    fits = values.ndim == len(expected) and all(
        want == have or isinstance(want, str)
        for want, have in zip(expected, values.shape, strict=True)
    )
    if not fits:
        wanted = f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"
        problems.append(
            f"field {key!r} has shape {values.shape}, expected {wanted} for M conformations of N "
            f"atoms, here M = {sizes.get('M', '?')}, N = {sizes.get('N', '?')}"
        )
    if not np.isfinite(values).all():
        where = np.argwhere(~np.isfinite(values))
        problems.append(
            f"field {key!r} is not finite in {len(np.unique(where[:, :1]))} conformations, the "
            f"first is conformation {int(where[0, 0]) if where.shape[1] else 0}"
        )
    return values, problems
