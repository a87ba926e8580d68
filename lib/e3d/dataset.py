"""SPICE-schema HDF5 data sets: read lazily, validated at the boundary, converted to eV and Å once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols
from rdkit import Chem

from e3d import files
from e3d.errors import E3DError
from e3d.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    EV_PER_HARTREE,
)

#: Elements of every model trained here, in the order of the model's type indices.
TYPE_NAMES = ("H", "C", "N", "O", "F", "Si", "S", "Cl")
#: hartree/bohr; a conformation with a larger gradient component is not usable.
GRADIENT_LIMIT = 1.0
#: Required data sets of a molecule: (shape in terms of M conformations and N atoms, unit).
SCHEMA = {
    "conformations": (("M", "N", 3), "bohr"),
    "dft_total_energy": (("M",), "hartree"),
    "dft_total_gradient": (("M", "N", 3), "hartree/bohr"),
    "formation_energy": (("M",), "hartree"),
}


@dataclass(frozen=True)
class Molecule:
    """One molecule and its conformations: M conformations of N atoms.

    positions (M, N, 3) in Å; energies (M,) total and formation_energies (M,) relative to isolated
    atoms, in eV; forces (M, N, 3) in eV/Å; temperatures (M,) in K, 0 for the relaxed geometry and
    None where the data set does not say.
    """

    name: str
    subset: str
    smiles: str
    atomic_numbers: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    formation_energies: np.ndarray
    forces: np.ndarray
    temperatures: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def charge(self) -> int:
        """Formal charge, in units of e, from the SMILES."""
        molecule = Chem.MolFromSmiles(self.smiles, sanitize=False)
        if molecule is None:
            raise E3DError(f"molecule {self.name!r}: SMILES {self.smiles!r} cannot be parsed")
        return Chem.GetFormalCharge(molecule)

    @property
    def canonical_smiles(self) -> str:
        """The key of the global split, see `canonical_smiles`."""
        return canonical_smiles(self.smiles)

    def select(self, mask: np.ndarray) -> Molecule:
        """The same molecule with the conformations of a boolean mask or index array, shape (M,)."""
        return Molecule(
            self.name, self.subset, self.smiles, self.atomic_numbers, self.positions[mask],
            self.energies[mask], self.formation_energies[mask], self.forces[mask],
            None if self.temperatures is None else self.temperatures[mask],
        )  # fmt: skip


def canonical_smiles(smiles: str) -> str:
    """RDKit's canonical SMILES without atom maps, stereochemistry and explicit hydrogens.

    Without stereochemistry, because isomers that differ in nothing else must not straddle a split.
    Raises E3DError when RDKit cannot parse the SMILES.
    """
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise E3DError(f"SMILES {smiles!r} cannot be parsed; check brackets, rings and valences")
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.CanonSmiles(Chem.MolToSmiles(molecule, isomericSmiles=False))


class Dataset:
    """A SPICE-schema file, opened read-only; molecules are read when asked for.

    >>> with Dataset("data/dft-small.h5") as dataset:
    ...     for molecule in dataset.usable():
    ...         ...

    Raises E3DError when the file is missing, truncated or not HDF5, and, on reading a molecule, for
    a missing field, a missing or wrong unit, a wrong shape, a non-finite value or an unknown
    element.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise E3DError(f"data set {self.path} does not exist; `make pull` fetches the project's")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise E3DError(
                f"data set {self.path} is truncated or not HDF5 ({error}); download it again"
            ) from error
        self.names: list[str] = list(self._file)
        #: Counts of conformations that `usable` passed over, by reason, since opening.
        self.skipped: dict[str, int] = {}

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Molecule:
        if name not in self._file:
            raise E3DError(f"no molecule {name!r} in {self.path}")
        try:
            return _read_molecule(self._file[name], name)
        except OSError as error:
            raise E3DError(
                f"{self.path}, molecule {name!r}: unreadable ({error}); the file is damaged, "
                "download it again"
            ) from error
        except E3DError as error:
            raise E3DError(f"{self.path}, {error}") from None

    def __iter__(self) -> Iterator[Molecule]:
        return (self[name] for name in self.names)

    def usable(self, type_names: Iterable[str] = TYPE_NAMES) -> Iterator[Molecule]:
        """Neutral molecules of known elements, without conformations beyond the gradient limit.

        What is left out is counted in `skipped`, in conformations.
        """
        known = {NUMBER_OF_SYMBOL[symbol] for symbol in type_names}
        limit = GRADIENT_LIMIT * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        for molecule in self:
            if not set(molecule.atomic_numbers.tolist()) <= known:
                self._skip("element outside the model's types", len(molecule))
            elif molecule.charge != 0:
                self._skip("charged", len(molecule))
            else:
                small = np.abs(molecule.forces).max(axis=(1, 2)) <= limit
                self._skip("gradient beyond 1 hartree/bohr", int((~small).sum()))
                if small.any():
                    yield molecule if small.all() else molecule.select(small)

    def _skip(self, reason: str, count: int) -> None:
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    @property
    def attributes(self) -> dict[str, str]:
        """Root attributes as text: level_of_theory, provenance, license and others."""
        return {key: str(value) for key, value in self._file.attrs.items()}

    def atomic_energies(self, zero: str = "isolated") -> dict[str, float]:
        """Energies of the elements in eV: the `isolated` atoms, or the `aligned` zero.

        `aligned` falls back to `isolated` where the file has none: labels whose isolated atoms are
        right need no alignment. Raises E3DError when the file stores no atomic energies.
        """
        stored = self._file.attrs
        key = "atomic_energies_aligned" if zero == "aligned" else "atomic_energies"
        text = stored.get(key, stored.get("atomic_energies"))
        if text is None:
            raise E3DError(
                f"{self.path} has no root attribute 'atomic_energies' (JSON, hartree); "
                "without it the edge energies have no zero"
            )
        return {symbol: value * EV_PER_HARTREE for symbol, value in json.loads(text).items()}


def _read_molecule(group: h5py.Group, name: str) -> Molecule:
    arrays = {}
    if "atomic_numbers" not in group:
        raise E3DError(f"molecule {name!r}: field 'atomic_numbers' is missing")
    numbers = group["atomic_numbers"][:]
    unknown = [int(z) for z in numbers if not 0 < z < len(chemical_symbols)]
    if unknown:
        raise E3DError(f"molecule {name!r}: unknown element, atomic number {unknown[0]}")
    sizes = {"N": len(numbers), 3: 3}
    for key, (axes, unit) in SCHEMA.items():
        arrays[key] = _read_field(group, name, key, axes, unit, sizes)
    temperatures = group["temperature"][:] if "temperature" in group else None
    if temperatures is not None and temperatures.shape != (sizes["M"],):
        raise E3DError(
            f"molecule {name!r}: 'temperature' has shape {temperatures.shape}, expected "
            f"({sizes['M']},)"
        )
    return Molecule(
        name=name,
        subset=_text(group, "subset", ""),
        smiles=_text(group, "smiles", name),
        atomic_numbers=numbers.astype(np.int64),
        positions=arrays["conformations"].astype(float) * ANGSTROM_PER_BOHR,
        energies=arrays["dft_total_energy"] * EV_PER_HARTREE,
        formation_energies=arrays["formation_energy"] * EV_PER_HARTREE,
        forces=-arrays["dft_total_gradient"].astype(float) * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
        temperatures=temperatures,
    )


def _read_field(
    group: h5py.Group, name: str, key: str, axes: tuple, unit: str, sizes: dict
) -> np.ndarray:
    if key not in group:
        raise E3DError(f"molecule {name!r}: field {key!r} is missing; is this a SPICE-schema file?")
    found = group[key].attrs.get("units")
    if found is None or str(found).lower() != unit:
        raise E3DError(
            f"molecule {name!r}: field {key!r} has units {found!r}, expected {unit!r}; convert the "
            "values and set the attribute 'units'"
        )
    values = group[key][:]
    sizes.setdefault("M", len(values))
    expected = tuple(sizes[axis] for axis in axes)
    if values.shape != expected:
        raise E3DError(
            f"molecule {name!r}: field {key!r} has shape {values.shape}, expected {expected} "
            f"for {sizes['M']} conformations of {sizes['N']} atoms"
        )
    if not np.isfinite(values).all():
        where = int(np.argwhere(~np.isfinite(values))[0][0])
        raise E3DError(f"molecule {name!r}: field {key!r} is not finite in conformation {where}")
    return values


def _text(group: h5py.Group, key: str, default: str) -> str:
    if key not in group:
        return default
    values = group[key].asstr()[()]
    return str(values) if np.ndim(values) == 0 else str(values[0])


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

    `atomic_energies` (isolated atoms) and `aligned` (the aligned zero) in eV. Positions, gradients
    float32; energies float64; formation energies are computed from the isolated atoms.
    """
    with files.replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        file.attrs["level_of_theory"] = level_of_theory
        file.attrs["atomic_energies"] = _json_hartree(atomic_energies)
        if aligned is not None:
            file.attrs["atomic_energies_aligned"] = _json_hartree(aligned)
        file.attrs["provenance"] = provenance
        file.attrs["license"] = license
        for molecule in molecules:
            _write_molecule(file.create_group(molecule.name), molecule, atomic_energies)


def _json_hartree(energies: dict[str, float]) -> str:
    return json.dumps({symbol: value / EV_PER_HARTREE for symbol, value in energies.items()})


def _write_molecule(group: h5py.Group, molecule: Molecule, atoms: dict[str, float]) -> None:
    text = h5py.string_dtype()
    for key in ("subset", "smiles"):
        group.create_dataset(key, data=[getattr(molecule, key)], dtype=text)
    group["atomic_numbers"] = molecule.atomic_numbers.astype(np.int16)
    zero = sum(atoms[chemical_symbols[z]] for z in molecule.atomic_numbers)
    gradients = -molecule.forces / EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
    for key, values in {
        "conformations": (molecule.positions / ANGSTROM_PER_BOHR).astype(np.float32),
        "dft_total_energy": molecule.energies / EV_PER_HARTREE,
        "dft_total_gradient": gradients.astype(np.float32),
        "formation_energy": (molecule.energies - zero) / EV_PER_HARTREE,
    }.items():
        group[key] = values
        group[key].attrs["units"] = SCHEMA[key][1]
    if molecule.temperatures is not None:
        group["temperature"] = molecule.temperatures.astype(np.int16)
        group["temperature"].attrs["units"] = "K"
