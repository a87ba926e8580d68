"""Reading SPICE-schema HDF5 data sets: lazily, validated, and converted to eV and Å."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL

from e3d.data import root
from e3d.data.hdf5 import (
    DAMAGED,
    address,
    has,
    member,
    names_in,
    open_file,
    subgroups,
)
from e3d.data.left_out import LeftOut
from e3d.data.molecule import Molecule
from e3d.data.rules import (
    GRADIENT_LIMIT,
    NOT_FINITE,
    TYPE_NAMES,
    UNREADABLE,
    obstacle,
    steep,
)
from e3d.data.schema import MEMBERS, Fields, as_molecule, read_fields
from e3d.errors import E3DError, printable, said
from e3d.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

#: Largest difference in eV between atomic energies at one level of theory. The density of an
#: open-shell atom is not spherical: its orientation in the integration grid changes the energy of
#: oxygen by 2e-5 eV.
ATOM_TOLERANCE = 1e-4


class Dataset:
    """A SPICE-schema file, opened read-only; molecules are read when asked for.

    >>> with Dataset("data/dft-small.h5") as dataset:
    ...     for molecule in dataset.usable():
    ...         ...

    A molecule is a group of the file, or a group in a group (`A/B`). Raises E3DError when the file
    is missing, truncated or not HDF5, and, on reading a molecule, for a missing field, a missing or
    wrong unit, a wrong shape, a non-finite value, an unknown element, text that is not UTF-8,
    contents of other files, or a size out of proportion to the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file = open_file(self.path)
        try:
            #: Groups of the file; those inside them are found on reading.
            self.names: list[str] = names_in(self._file)
        except DAMAGED as error:
            self._file.close()
            raise E3DError(
                f"data set {self.path} is truncated or not HDF5 ({said(error)}); download it again"
            ) from error
        #: What the last call of `usable` left out.
        self.left_out = LeftOut()

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
        fields = self._fields(name)
        if fields.not_finite:
            raise _refusal(self.path, name, fields.not_finite)
        return as_molecule(fields, name)

    def _fields(self, name: str) -> Fields:
        """What a molecule holds, without problems but possibly with values that are not finite."""
        try:
            fields = read_fields(self.group(name))
        except E3DError as error:
            raise E3DError(f"{self.path}, {error}") from None
        except DAMAGED as error:
            raise E3DError(
                f"{self.path}, molecule '{printable(name)}': unreadable ({said(error)}); the file "
                "is damaged, download it again"
            ) from error
        if fields.problems:
            raise _refusal(self.path, name, fields.problems)
        return fields

    def group(self, name: str) -> h5py.Group:
        """The HDF5 group of a molecule, unconverted."""
        try:
            return member(self._file, name)
        except E3DError as error:
            raise E3DError(f"no molecule '{printable(name)}': {error}") from None

    def within(self, name: str) -> Iterator[str]:
        """Names of the molecules at and below a group of the file.

        A group that cannot be opened counts as one, so that reading it says why.
        """
        waiting, seen = [name], set()
        while waiting:
            name = waiting.pop()
            try:
                group = self.group(name)
                nested = subgroups(group, MEMBERS)
                if (here := address(group)) in seen:  # groups can hold each other
                    continue
            except (E3DError, *DAMAGED):
                yield name
                continue
            seen.add(here)
            if not nested or any(has(group, key) for key in MEMBERS):
                yield name
            waiting += [f"{name}/{inner}" for inner in reversed(nested)]

    def __iter__(self) -> Iterator[Molecule]:
        return (self[name] for top in self.names for name in self.within(top))

    def usable(
        self,
        type_names: Iterable[str] = TYPE_NAMES,
        *,
        strict: bool = True,
        charges: Sequence[int] = (0,),
        radicals: bool = False,
        gradient_limit: float = GRADIENT_LIMIT,
    ) -> Iterator[Molecule]:
        """Neutral closed-shell molecules of known elements whose geometry has the bonds of their
        SMILES, without conformations beyond the gradient limit.

        What is passed over is counted and named in `left_out`. strict: a molecule that cannot be
        read and a value that is not finite raise E3DError; otherwise they are left out like the
        rest. charges: formal charges that are usable, in e (none: any); radicals: whether
        molecules with unpaired electrons are usable; gradient_limit in hartree/bohr.
        """
        self.left_out = LeftOut()
        known = {NUMBER_OF_SYMBOL[symbol] for symbol in type_names}
        limit = gradient_limit * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        for name in (name for top in self.names for name in self.within(top)):
            try:
                fields = self._fields(name)
                molecule = as_molecule(fields, name)
                reason, cause = _obstacle(self.path, molecule, known, charges, radicals)
                if strict and fields.not_finite and not reason:
                    raise _refusal(self.path, name, fields.not_finite)
            except E3DError as error:
                if strict:
                    raise
                self.left_out.add(UNREADABLE, printable(name), 0, _cause(error, self.path, name))
                continue
            if reason:
                self.left_out.add(reason, printable(name), len(molecule), cause)
                continue
            gentle = fields.finite.copy()
            forces = np.abs(molecule.forces[gentle])  # of none, perhaps
            gentle[gentle] = forces.max(axis=(1, 2), initial=0) <= limit
            for why, lost, what in (
                (NOT_FINITE, ~fields.finite, "; ".join(fields.not_finite)),
                (steep(gradient_limit), fields.finite & ~gentle, ""),
            ):
                if lost.any():
                    self.left_out.add(why, printable(name), int(lost.sum()), what)
            if gentle.any():
                yield molecule if gentle.all() else molecule.select(gentle)

    def relaxed(self) -> Iterator[Molecule]:
        """Usable molecules that have a relaxed conformation (temperature 0), with it alone."""
        for molecule in self.usable():
            if molecule.temperatures is not None and (molecule.temperatures == 0).any():
                yield molecule.relaxed

    @property
    def skipped(self) -> dict[str, int]:
        """Conformations that the last call of `usable` left out, by reason."""
        return {
            reason: entry.n_conformations
            for reason, entry in self.left_out.reasons.items()
            if entry.n_conformations
        }

    @property
    def attributes(self) -> dict[str, str]:
        """Root attributes as text: level_of_theory, provenance, license and others.

        Raises E3DError for one that is no text or number, or not UTF-8.
        """
        return root.attributes(self._file, self.path)

    def atomic_energies(self, zero: str = "isolated") -> dict[str, float]:
        """Energies of the elements in eV: the `isolated` atoms, or the `aligned` zero.

        `aligned` falls back to `isolated` where the file has none: labels whose isolated atoms are
        right need no alignment. Raises E3DError when the file stores no atomic energies, or
        unreadable ones.
        """
        return root.atomic_energies(self.attributes, self.path, zero)


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


def _refusal(path: Path, name: str, problems: Sequence[str]) -> E3DError:
    more = f" (and {len(problems) - 1} more; `e3d check` lists all)" if problems[1:] else ""
    return E3DError(f"{path}, molecule '{printable(name)}': {problems[0]}{more}")


def _obstacle(
    path: Path, molecule: Molecule, known: set[int], charges: Sequence[int], radicals: bool
) -> tuple[str, str]:
    try:
        return obstacle(
            molecule.smiles,
            molecule.atomic_numbers,
            molecule.positions,
            known,
            cells=molecule.cells,
            charges=charges,
            radicals=radicals,
        )
    except E3DError as error:
        raise _refusal(path, molecule.name, [str(error)]) from None


def _cause(error: E3DError, path: Path, name: str) -> str:
    """The message of a refusal without the place, which is said anyway."""
    return str(error).removeprefix(f"{path}, ").removeprefix(f"molecule '{printable(name)}': ")
