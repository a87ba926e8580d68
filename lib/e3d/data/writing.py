"""Writing SPICE-schema HDF5 files, complete or not at all, with the units of the schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from ase.data import chemical_symbols

from e3d import files
from e3d.data.molecule import Molecule
from e3d.data.schema import SCHEMA
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE


def write_dataset(
    path: str | Path,
    molecules: Iterable[Molecule],
    *,
    level_of_theory: str,
    atomic_energies: dict[str, float],
    provenance: str,
    aligned: dict[str, float] | None = None,
    license: str = "CC0-1.0",
) -> None:
    """Write molecules to a SPICE-schema file, atomically.

    atomic_energies (isolated atoms) and aligned (the aligned zero) in eV. Positions and gradients
    are stored in float32, energies in float64; formation energies are computed from the isolated
    atoms.

    Raises E3DError for no molecules, a name given twice, an element without atomic energy, a value
    that is not finite, or a full disk; then `path` is as it was. A slash in a name, as in the
    SMILES of a stereoisomer, would be a group in a group and is written as `%2F`.
    """
    with saving(path) as file:
        file.attrs["level_of_theory"] = level_of_theory
        file.attrs["atomic_energies"] = _json_hartree(atomic_energies)
        if aligned is not None:
            file.attrs["atomic_energies_aligned"] = _json_hartree(aligned)
        file.attrs["provenance"] = provenance
        file.attrs["license"] = license
        for molecule in molecules:
            name = molecule.name.replace("/", "%2F")
            if name in file:
                raise E3DError(f"{path}: molecule {molecule.name!r} is given twice; name each once")
            _write_molecule(file.create_group(name), molecule, atomic_energies)
        if not len(file):
            raise E3DError(f"{path}: no molecule to write; the source holds none")


@contextmanager
def saving(path: str | Path, source: str | Path | None = None) -> Iterator[h5py.File]:
    """An HDF5 file in memory, empty or a copy of `source`, that replaces `path` at the end.

    In memory, because the HDF5 library can crash when the disk fills up. Raises WriteError.
    """
    options = {"driver": "core", "backing_store": False, "libver": "latest"}
    with h5py.File(source or "new.h5", "r+" if source else "w", **options) as file:
        yield file
        file.flush()
        with files.replacing(path) as temporary:
            temporary.write_bytes(file.id.get_file_image())


def _json_hartree(energies: dict[str, float]) -> str:
    return json.dumps({symbol: value / EV_PER_HARTREE for symbol, value in energies.items()})


def _write_molecule(group: h5py.Group, molecule: Molecule, atoms: dict[str, float]) -> None:
    missing = {chemical_symbols[z] for z in molecule.atomic_numbers} - set(atoms)
    if missing:
        raise E3DError(
            f"molecule {molecule.name!r}: no isolated-atom energy for {', '.join(sorted(missing))}"
        )
    text = h5py.string_dtype()
    for key in ("subset", "smiles"):
        group.create_dataset(key, data=[getattr(molecule, key)], dtype=text)
    group["atomic_numbers"] = molecule.atomic_numbers.astype(np.int16)
    zero = sum(atoms[chemical_symbols[z]] for z in molecule.atomic_numbers)
    gradients = -molecule.forces / EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
    fields: dict[str, np.ndarray] = {
        "conformations": (molecule.positions / ANGSTROM_PER_BOHR).astype(np.float32),
        "dft_total_energy": molecule.energies / EV_PER_HARTREE,
        "dft_total_gradient": gradients.astype(np.float32),
        "formation_energy": (molecule.energies - zero) / EV_PER_HARTREE,
    }
    for key, values in fields.items():
        if not np.isfinite(values).all():
            raise E3DError(f"molecule {molecule.name!r}: {key!r} is not finite; label it again")
        group[key] = values
        group[key].attrs["units"] = SCHEMA[key][1]
    if molecule.temperatures is not None:
        group["temperature"] = molecule.temperatures.astype(np.int16)
        group["temperature"].attrs["units"] = "K"
    if molecule.cells is not None:
        group["cell"] = molecule.cells / ANGSTROM_PER_BOHR
        group["cell"].attrs["units"] = SCHEMA["conformations"][1]
