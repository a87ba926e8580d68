"""The schema of a molecule in a SPICE file, and how a group departs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from ase.data import chemical_symbols

from e3d.data.hdf5 import (
    DAMAGED,
    has,
    member,
    require_contained,
    text_attribute,
    text_of,
)
from e3d.data.molecule import Molecule
from e3d.errors import E3DError, said
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

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
    "cell": (("M", 3, 3), "bohr"),
    "mayer_indices": (("M", "N", "N"), None),
    "wiberg_lowdin_indices": (("M", "N", "N"), None),
}
TEXTS = ("smiles", "subset")
#: Members of a molecule in SPICE 2 that are not read.
OTHER = (
    "mbis_charges", "mbis_dipoles", "mbis_quadrupoles", "mbis_octupoles", "scf_dipole",
    "scf_quadrupole",
)  # fmt: skip
#: Names of everything that a molecule holds; a group below it with another name may be a molecule.
MEMBERS = frozenset(["atomic_numbers", *SCHEMA, *OPTIONAL, *TEXTS, *OTHER])


@dataclass
class Fields:
    """What a group holds of the schema, in the units of the file.

    arrays: of M conformations and N atoms, fit for use only without `problems`, a line each;
    finite (M,): conformations without an infinite or undefined value; not_finite: which field has
    such values, a line each; opened: the fields as they are stored. A molecule may be empty, M = 0.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    finite: np.ndarray = field(default_factory=lambda: np.ones(0, dtype=bool))
    opened: dict[str, h5py.Dataset] = field(default_factory=dict, repr=False)


def read_fields(
    group: h5py.Group | h5py.Dataset, *, optional: tuple[str, ...] = ("temperature", "cell")
) -> Fields:
    """Required fields and those of `optional` that are present, and every problem of theirs.

    Shapes, types and sizes are looked at before contents are read. Raises nothing for a damaged
    group: that is a problem.
    """
    if not isinstance(group, h5py.Group):
        return Fields(problems=["is a data set, expected a group with the fields of one molecule"])
    found = Fields()
    for key in TEXTS:
        _noting(found.problems, key, _read_text, group, key, found)
    _noting(found.problems, "atomic_numbers", _read_atomic_numbers, group, found)
    if _is_empty(group, found):
        return _empty(found)
    sizes: dict[str | int, int] = {3: 3}
    if "atomic_numbers" in found.arrays:
        sizes["N"] = len(found.arrays["atomic_numbers"])
    wanted = {**SCHEMA, **{key: OPTIONAL[key] for key in optional if has(group, key)}}
    for key, (axes, unit) in wanted.items():
        _noting(found.problems, key, _read_field, group, key, axes, unit, sizes, found)
    if "smiles" not in found.texts and not any("'smiles'" in what for what in found.problems):
        found.problems.append(
            "field 'smiles' is missing or not text; bonds and charge come from it"
        )
    _find_not_finite(found, wanted)
    return found


def _noting(problems: list[str], key: str, read: Callable[..., None], *arguments: Any) -> None:
    """Read a field; what is wrong with it becomes a problem."""
    try:
        read(*arguments)
    except E3DError as error:
        problems.append(f"field {key!r} {error}")
    except DAMAGED as error:
        problems.append(
            f"field {key!r} is unreadable ({said(error)}); the file is damaged, download it again"
        )


def _stored(group: h5py.Group, key: str, found: Fields) -> h5py.Dataset:
    """A field, not yet read. Raises E3DError where it is missing, no data or not in the file."""
    if key not in found.opened:
        if not has(group, key):
            raise E3DError("is missing; is this a SPICE-schema file?")
        stored = member(group, key)
        if not isinstance(stored, h5py.Dataset):
            raise E3DError("is a group, expected an array")
        found.opened[key] = stored
    return found.opened[key]


def _read_text(group: h5py.Group, key: str, found: Fields) -> None:
    if has(group, key) and (text := text_of(_stored(group, key, found))) is not None:
        found.texts[key] = text


def _read_atomic_numbers(group: h5py.Group, found: Fields) -> None:
    stored = _stored(group, "atomic_numbers", found)
    if stored.size == 0 and _is_empty(group, found):
        return
    if stored.ndim != 1 or stored.dtype.kind not in "iu" or not stored.size:
        raise E3DError(
            f"is {stored.dtype} of shape {stored.shape}, expected integers of shape (N,) for N ≥ 1 "
            "atoms"
        )
    require_contained(stored)
    values = stored[()]
    if unknown := sorted({int(z) for z in values if not 0 < z < len(chemical_symbols)}):
        listed = ", ".join(map(str, unknown[:5])) + (" …" if unknown[5:] else "")
        raise E3DError(f"has an unknown element: atomic number {listed}")
    found.arrays["atomic_numbers"] = values.astype(np.int64)


def _is_empty(group: h5py.Group, found: Fields) -> bool:
    """Whether a molecule has its fields, but no conformation in any."""
    try:
        stored = [_stored(group, key, found) for key in SCHEMA if has(group, key)]
    except (E3DError, *DAMAGED):  # reading the field says what is wrong
        return False
    return bool(stored) and all(values.size == 0 and values.shape[0] == 0 for values in stored)


def _empty(found: Fields) -> Fields:
    """The fields of a molecule without conformations, in the shapes of the schema."""
    numbers = found.arrays.setdefault("atomic_numbers", np.empty(0, dtype=np.int64))
    found.texts.setdefault("smiles", "")
    size = {"M": 0, "N": len(numbers), 3: 3}
    for key, (axes, _) in SCHEMA.items():
        found.arrays[key] = np.empty([size[axis] for axis in axes])
    return found


def _read_field(
    group: h5py.Group,
    key: str,
    axes: tuple[str | int, ...],
    unit: str | None,
    sizes: dict[str | int, int],
    found: Fields,
) -> None:
    """Read a field and note its problems; the first field sets M in `sizes`."""
    stored = _stored(group, key, found)
    require_contained(stored)
    stated = text_attribute(stored, "units") if unit is not None else None
    if unit is not None and (stated is None or stated.lower() != unit.lower()):
        found.problems.append(
            f"field {key!r} has {'no units' if stated is None else f'units {stated!r}'}, expected "
            f"{unit!r}; convert the values and set the attribute 'units'"
        )
    kind = stored.dtype
    if kind.kind not in "fiu":
        raise E3DError(f"holds {kind}, expected numbers")
    if key in SCHEMA and (kind.kind != "f" or kind.itemsize < 4):
        raise E3DError(f"holds {kind}, expected floating-point numbers of 4 bytes or more")
    if stored.ndim:
        sizes.setdefault("M", len(stored))
    expected = tuple(sizes.get(axis, axis) for axis in axes)
    if stored.ndim != len(expected) or any(
        want != have and not isinstance(want, str)
        for want, have in zip(expected, stored.shape, strict=True)
    ):
        wanted = f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"
        raise E3DError(
            f"has shape {stored.shape}, expected {wanted} for M conformations of N atoms, here "
            f"M = {sizes.get('M', '?')}, N = {sizes.get('N', '?')}"
        )
    found.arrays[key] = np.asarray(stored[()])


def _find_not_finite(found: Fields, keys: Iterable[str]) -> None:
    """Mark the conformations with infinite or undefined values in the fields that were read."""
    read = [key for key in keys if key in found.arrays]
    if not read:
        return
    found.finite = np.ones(len(found.arrays[read[0]]), dtype=bool)
    for key in read:
        values = found.arrays[key]
        good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not good.all():
            found.not_finite.append(
                f"field {key!r} is not finite in {int((~good).sum())} conformations, the first is "
                f"conformation {int(np.argmin(good))}"
            )
        found.finite &= good


def as_molecule(fields: Fields, name: str) -> Molecule:
    """A molecule in eV and Å from what its group holds, which must have no problems."""
    arrays = fields.arrays
    return Molecule(
        name=name,
        subset=fields.texts.get("subset", ""),
        smiles=fields.texts["smiles"],
        atomic_numbers=arrays["atomic_numbers"],
        positions=arrays["conformations"].astype(float) * ANGSTROM_PER_BOHR,
        energies=arrays["dft_total_energy"] * EV_PER_HARTREE,
        formation_energies=arrays["formation_energy"] * EV_PER_HARTREE,
        forces=-arrays["dft_total_gradient"].astype(float) * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
        temperatures=arrays.get("temperature"),
        cells=arrays["cell"].astype(float) * ANGSTROM_PER_BOHR if "cell" in arrays else None,
    )
