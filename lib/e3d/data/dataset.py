"""SPICE-schema HDF5 data sets: read lazily, validated on reading, in eV and Å from there on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols
from rdkit import Chem, rdBase

from e3d import files
from e3d.chemistry.bonding import bond_class, bond_pairs, canonical_smiles, from_mapped_smiles
from e3d.data.schema import SCHEMA, read_fields
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

#: Elements of every model trained here, in the order of the model's type indices.
TYPE_NAMES = ("H", "C", "N", "O", "F", "Si", "S", "Cl")
#: hartree/bohr; a conformation with a larger gradient component is not usable.
GRADIENT_LIMIT = 1.0
#: What h5py raises on a damaged file, at whatever depth the damage lies.
DAMAGED = (OSError, RuntimeError, KeyError)


@dataclass(frozen=True)
class Molecule:
    """One molecule and its conformations: M conformations of N atoms.

    positions (M, N, 3) in Å; energies (M,) total and formation_energies (M,) relative to isolated
    atoms, in eV; forces (M, N, 3) in eV/Å; temperatures (M,) in K, 0 for the relaxed geometry,
    −1 for frames of a reaction path, and None where the data set does not say.
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
    def symbols(self) -> list[str]:
        """Element symbol of each atom."""
        return [chemical_symbols[z] for z in self.atomic_numbers]

    @property
    def charge(self) -> int:
        """Formal charge, in units of e, from the SMILES."""
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(self.smiles, sanitize=False)
        if molecule is None:
            raise E3DError(f"molecule {self.name!r}: SMILES {self.smiles!r} cannot be parsed")
        return Chem.GetFormalCharge(molecule)

    @property
    def canonical_smiles(self) -> str:
        """The key of the global split, see `canonical_smiles`."""
        return canonical_smiles(self.smiles)

    @property
    def bond_classes(self) -> list[str]:
        """Class of every bond of the SMILES, in the order of `bond_pairs`."""
        graph = from_mapped_smiles(self.smiles)
        return [bond_class(graph, i, j) for i, j in bond_pairs(graph).tolist()]

    @property
    def relaxed(self) -> Molecule:
        """The same molecule with its relaxed conformation alone, the one with temperature 0.

        Raises E3DError when the data set does not say which one is relaxed.
        """
        if self.temperatures is None or not (self.temperatures == 0).any():
            raise E3DError(
                f"molecule {self.name!r} has no conformation with temperature 0, so no relaxed "
                "geometry to read bond energies from"
            )
        return self.select(np.flatnonzero(self.temperatures == 0)[:1])

    def binding_energies(self, atomic_energies: Mapping[str, float]) -> np.ndarray:
        """Energies relative to the atoms, E − Σ_i μ_t(i), shape (M,), in eV; negative when bound.

        atomic_energies: μ by element symbol in eV, the zero of the decomposition.
        """
        return self.energies - sum(atomic_energies[symbol] for symbol in self.symbols)

    def select(self, mask: np.ndarray) -> Molecule:
        """The same molecule with the conformations of a boolean mask or index array, shape (M,)."""
        return Molecule(
            self.name, self.subset, self.smiles, self.atomic_numbers, self.positions[mask],
            self.energies[mask], self.formation_energies[mask], self.forces[mask],
            None if self.temperatures is None else self.temperatures[mask],
        )  # fmt: skip


#: eV; atomic energies of files of one level of theory agree to this. An open-shell atom is not
#: round: how it lies in the integration grid moves the energy of oxygen by 2e-5 eV.
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
        #: Counts of conformations that the last call of `usable` passed over, by reason.
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
        """The HDF5 group of a molecule, as it stands in the file."""
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

    Raises E3DError for no molecules, a name given twice, an element without atomic energy, a value
    that is not finite, or a full disk; then `path` is as it was.
    """
    with saving(path) as file:
        file.attrs["level_of_theory"] = level_of_theory
        file.attrs["atomic_energies"] = _json_hartree(atomic_energies)
        if aligned is not None:
            file.attrs["atomic_energies_aligned"] = _json_hartree(aligned)
        file.attrs["provenance"] = provenance
        file.attrs["license"] = license
        for molecule in molecules:
            if molecule.name in file:
                raise E3DError(f"{path}: molecule {molecule.name!r} is given twice; name each once")
            _write_molecule(file.create_group(molecule.name), molecule, atomic_energies)
        if not len(file):
            raise E3DError(f"{path}: no molecule to write; the source holds none")


@contextmanager
def saving(path: str | Path, source: str | Path | None = None) -> Iterator[h5py.File]:
    """An HDF5 file in memory, empty or a copy of `source`, that replaces `path` at the end.

    In memory, because the HDF5 library can crash on a disk that fills up under it. Raises E3DError
    when `path` cannot be written.
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


def conformations(molecules: Iterable[Molecule]) -> Iterator[Atoms]:
    """Every conformation of every molecule as ASE structures."""
    for molecule in molecules:
        for positions in molecule.positions:
            yield Atoms(molecule.atomic_numbers, positions)
