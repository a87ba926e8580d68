"""Attributes of a data set as a whole: what it is, and the energies of its isolated atoms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import h5py

from e3d.data.hdf5 import DAMAGED, text_attribute
from e3d.errors import E3DError, said
from e3d.units import EV_PER_HARTREE

#: The attribute of each zero of energy, JSON of element symbol to hartree.
ZEROS = {"isolated": "atomic_energies", "aligned": "atomic_energies_aligned"}


def attributes(file: h5py.File, path: Path) -> dict[str, str]:
    """Root attributes as text. Raises E3DError for one that is no text or number, or not UTF-8."""
    try:
        stored = {key: text_attribute(file, key) for key in file.attrs}
    except E3DError as error:
        raise E3DError(f"{path}: root {error}") from None
    except DAMAGED as error:
        raise E3DError(
            f"{path}: root attributes are unreadable ({said(error)}); download it again"
        ) from error
    return {key: text for key, text in stored.items() if text is not None}


def atomic_energies(stored: Mapping[str, str], path: Path, zero: str) -> dict[str, float]:
    """Energies of the elements in eV at a zero, `isolated` or `aligned`, from the attributes.

    Raises E3DError when there are none, or unreadable ones.
    """
    if zero not in ZEROS:
        raise E3DError(f"unknown zero {zero!r}; choose one of {', '.join(ZEROS)}")
    text = stored.get(ZEROS[zero], stored.get(ZEROS["isolated"]))
    if text is None:
        raise E3DError(
            f"{path} has no root attribute 'atomic_energies' (JSON, hartree); "
            "without it the edge energies have no zero"
        )
    try:
        energies = {key: float(value) for key, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise E3DError(
            f"{path}: root attribute {ZEROS[zero]!r} is not JSON of element symbol to hartree "
            f"({said(error)}); write it again"
        ) from error
    return {key: value * EV_PER_HARTREE for key, value in energies.items()}
