"""Reading SPICE-schema HDF5 data sets: lazily, validated, and converted to eV and Å."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL

from e3d.data.molecule import Molecule
from e3d.data.schema import read_fields
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

#: Elements of every model trained here, in the order of the model's type indices.
TYPE_NAMES = ("H", "C", "N", "O", "F", "Si", "S", "Cl")
#: Largest gradient component of a usable conformation, in hartree/bohr.
GRADIENT_LIMIT = 1.0
#: What h5py raises on reading a damaged file.
DAMAGED = (OSError, RuntimeError, KeyError)
#: Largest difference in eV between atomic energies at one level of theory. The density of an
#: open-shell atom is not spherical: its orientation in the integration grid changes the energy of
#: oxygen by 2e-5 eV.
ATOM_TOLERANCE = 1e-4


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
            raise E3DError(
                f"data set {self.path} does not exist; `make pull` fetches the project's"
            )
        if self.path.is_dir():
            raise E3DError(f"data set {self.path} is a folder; give the .h5 file in it")
        try:
            self._file = h5py.File(self.path, "r")
            self.names: list[str] = list(self._file)
        except BlockingIOError as error:
            raise E3DError(f"data set {self.path} is being written; try again later") from error
        except DAMAGED as error:
            raise E3DError(
                f"data set {self.path} is truncated or not HDF5 ({error}); download it again"
            ) from error
        #: Conformations that the last call of `usable` skipped, by reason.
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
        try:
            return _read_molecule(self.group(name), name)
        except E3DError as error:
            raise E3DError(f"{self.path}, {error}") from None
        except DAMAGED as error:
            raise E3DError(
                f"{self.path}, molecule {name!r}: unreadable ({error}); the file is damaged, "
                "download it again"
            ) from error

    def group(self, name: str) -> h5py.Group:
        """The HDF5 group of a molecule, unconverted."""
        if name not in self._file:
            raise E3DError(f"no molecule {name!r}")
        return self._file[name]

    def __iter__(self) -> Iterator[Molecule]:
        return (self[name] for name in self.names)

    def usable(self, type_names: Iterable[str] = TYPE_NAMES) -> Iterator[Molecule]:
        """Neutral molecules of known elements, without conformations beyond the gradient limit.

        What is left out is counted in `skipped`, in conformations.
        """
        self.skipped = {}
        known = {NUMBER_OF_SYMBOL[symbol] for symbol in type_names}
        limit = GRADIENT_LIMIT * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        for molecule in self:
            if not set(molecule.atomic_numbers.tolist()) <= known:
                self._skip("element outside the model's types", len(molecule))
            elif self._charge(molecule) != 0:
                self._skip("charged", len(molecule))
            else:
                small = np.abs(molecule.forces).max(axis=(1, 2)) <= limit
                self._skip("gradient beyond 1 hartree/bohr", int((~small).sum()))
                if small.any():
                    yield molecule if small.all() else molecule.select(small)

    def relaxed(self) -> Iterator[Molecule]:
        """Usable molecules that have a relaxed conformation (temperature 0), with it alone."""
        for molecule in self.usable():
            if molecule.temperatures is not None and (molecule.temperatures == 0).any():
                yield molecule.relaxed

    def _charge(self, molecule: Molecule) -> int:
        try:
            return molecule.charge
        except E3DError as error:
            raise E3DError(f"{self.path}, {error}") from None

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
        right need no alignment. Raises E3DError when the file stores no atomic energies, or
        unreadable ones.
        """
        keys = {"isolated": "atomic_energies", "aligned": "atomic_energies_aligned"}
        if zero not in keys:
            raise E3DError(f"unknown zero {zero!r}; choose one of {', '.join(keys)}")
        text = self._file.attrs.get(keys[zero], self._file.attrs.get("atomic_energies"))
        if text is None:
            raise E3DError(
                f"{self.path} has no root attribute 'atomic_energies' (JSON, hartree); "
                "without it the edge energies have no zero"
            )
        try:
            return {key: float(value) * EV_PER_HARTREE for key, value in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise E3DError(
                f"{self.path}: root attribute {keys[zero]!r} is not JSON of element symbol to "
                f"hartree ({error}); write it again"
            ) from error


def read_molecules(
    paths: str | Path | Sequence[str | Path],
) -> tuple[list[Molecule], dict[str, float]]:
    """Usable molecules of one file or several of one level of theory, and their zero.

    The zero: atomic energies in eV by element symbol, aligned where there are any. Raises E3DError
    as `Dataset` does, and when two files disagree about an atom.
    """
    molecules: list[Molecule] = []
    zero: dict[str, float] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        with Dataset(path) as dataset:
            molecules += dataset.usable()
            energies = dataset.atomic_energies("aligned")
        for symbol in zero.keys() & energies.keys():
            if abs(zero[symbol] - energies[symbol]) > ATOM_TOLERANCE:
                raise E3DError(
                    f"{path} has {energies[symbol]:.6f} eV for an atom of {symbol}, the files "
                    f"before it {zero[symbol]:.6f} eV; read files of one level of theory together"
                )
        zero = energies | zero
    return molecules, zero


def _read_molecule(group: h5py.Group, name: str) -> Molecule:
    arrays, texts, problems = read_fields(group)
    if problems:
        more = f" (and {len(problems) - 1} more; `e3d check` lists all)" if problems[1:] else ""
        raise E3DError(f"molecule {name!r}: {problems[0]}{more}")
    return Molecule(
        name=name,
        subset=texts.get("subset", ""),
        smiles=texts["smiles"],
        atomic_numbers=arrays["atomic_numbers"],
        positions=arrays["conformations"].astype(float) * ANGSTROM_PER_BOHR,
        energies=arrays["dft_total_energy"] * EV_PER_HARTREE,
        formation_energies=arrays["formation_energy"] * EV_PER_HARTREE,
        forces=-arrays["dft_total_gradient"].astype(float) * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
        temperatures=arrays.get("temperature"),
    )
