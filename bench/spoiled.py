"""Molecules with the faults that those of SPICE 2 have: each is passed over, and named."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np

from e3d.data.schema import SCHEMA


def _emptied(group: h5py.Group) -> None:
    """As `54X VAL` of SPICE 2: all arrays have the shape (0,)."""
    for key in list(group):
        kind = group[key].dtype
        del group[key]
        group.create_dataset(key, shape=(0,), dtype=kind)


def _without_gradients(group: h5py.Group) -> None:
    del group["dft_total_gradient"]


def _not_finite(group: h5py.Group) -> None:
    group["conformations"][...] = np.nan


def _as_it_is(group: h5py.Group) -> None:
    """The molecule itself is what is passed over."""


#: Faulty molecules: SMILES, atomic numbers, and what is done to their fields.
FAULTS: dict[str, tuple[str, tuple[int, ...], Callable[[h5py.Group], None]]] = {
    "m empty": ("[O:1]([H:2])[H:3]", (8, 1, 1), _emptied),
    "m charged": ("[O-:1][H:2]", (8, 1), _as_it_is),
    "m foreign element": ("[Xe:1]([F:2])[F:3]", (54, 9, 9), _as_it_is),
    "m without atom maps": ("O", (8, 1, 1), _as_it_is),
    "m without gradients": ("[O:1]([H:2])[H:3]", (8, 1, 1), _without_gradients),
    "m not finite": ("[O:1]([H:2])[H:3]", (8, 1, 1), _not_finite),
}


def add_faults(file: h5py.File) -> None:
    """One molecule of each of `FAULTS`, a conformation each."""
    for name, (smiles, numbers, spoil) in FAULTS.items():
        group, n_atoms = file.create_group(name), len(numbers)
        group.create_dataset("smiles", data=[smiles], dtype=h5py.string_dtype())
        group["atomic_numbers"] = np.array(numbers, np.int16)
        line = np.zeros((1, n_atoms, 3), np.float32)
        line[..., 0] = 1.9 * np.arange(n_atoms)
        one = np.zeros(1)
        fields = {"conformations": line, "dft_total_gradient": np.zeros_like(line),
                  "dft_total_energy": one, "formation_energy": one}  # fmt: skip
        for key, values in fields.items():
            group[key] = values
            group[key].attrs["units"] = SCHEMA[key][1]
        spoil(group)
