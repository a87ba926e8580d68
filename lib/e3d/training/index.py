"""The index of a data set: usable conformations and their parts of the split, no geometries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from ase.data import chemical_symbols

from e3d.data.dataset import GRADIENT_LIMIT, TYPE_NAMES
from e3d.data.left_out import LeftOut
from e3d.data.molecule import Molecule
from e3d.data.split import Fold, HeldOut

FOLDS: tuple[Fold, ...] = get_args(Fold)


@dataclass(frozen=True)
class Selection:
    """What to use of a data set.

    elements: symbols of the only elements that molecules may contain; charges: formal charges in e
    that they may have (none: any); subsets: names of the only subsets to use (none: all), and
    without_subsets of those to leave out; gradient_limit: largest component of the gradient of a
    conformation in hartree/bohr; radicals: whether molecules may have unpaired electrons.
    """

    elements: tuple[str, ...] = TYPE_NAMES
    charges: tuple[int, ...] = (0,)
    subsets: tuple[str, ...] = ()
    without_subsets: tuple[str, ...] = ()
    gradient_limit: float = GRADIENT_LIMIT
    radicals: bool = False

    def refuses(self, molecule: Molecule) -> str | None:
        """Why a molecule is not used, by its subset; None when it is."""
        if self.subsets and molecule.subset not in self.subsets:
            return "subset not asked for"
        if molecule.subset in self.without_subsets:
            return "subset left out"
        return None


@dataclass
class Index:
    """Usable molecules of some files and their n conformations.

    Of each molecule: `source`, the number of its file in `paths`; its name; its canonical SMILES;
    whether it is trained on, and is `periodic`; `atoms`, the place of its first atom in `numbers`,
    the atomic numbers of all molecules one after another, with one entry more at the end. Of each
    conformation:
    `molecule`, `conformation` (its place in the file), `fold` (place in FOLDS), `energy` (eV).

    left_out: what is not usable or not asked for, counted and named.
    """

    paths: tuple[str, ...]
    source: np.ndarray
    names: list[str]
    smiles: list[str]
    trained_on: np.ndarray
    periodic: np.ndarray
    atoms: np.ndarray
    numbers: np.ndarray
    molecule: np.ndarray
    conformation: np.ndarray
    fold: np.ndarray
    energy: np.ndarray
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms of each conformation, shape (n,)."""
        return np.diff(self.atoms)[self.molecule]

    def numbers_of(self, row: int) -> np.ndarray:
        """Atomic numbers of a conformation."""
        molecule = self.molecule[row]
        return self.numbers[self.atoms[molecule] : self.atoms[molecule + 1]]

    def elements_of(self, rows: np.ndarray) -> list[str]:
        """Symbols of the elements in conformations, by atomic number."""
        used = np.isin(np.arange(len(self.names)), self.molecule[rows])
        numbers = self.numbers[np.repeat(used, np.diff(self.atoms))]
        return [chemical_symbols[z] for z in np.unique(numbers)]

    def part(self, part: Fold, held_out: HeldOut) -> np.ndarray:
        """Conformations of a part of the split, as `split.select` chooses them, in their order."""
        chosen = self.fold == FOLDS.index(part)
        if part != "train":
            chosen &= self.trained_on[self.molecule] == (held_out == "conformations")
        return np.flatnonzero(chosen)
