"""Making the index of a data set.

For SPICE 2 it takes minutes to make and 100 MB of memory. It is therefore kept in `runs/index` for
large files, named after the file and after what was asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from e3d import files
from e3d.data.dataset import UNREADABLE, Dataset
from e3d.data.left_out import LeftOut
from e3d.data.molecule import Molecule
from e3d.data.split import conformation_folds, fold
from e3d.errors import E3DError, printable
from e3d.paths import RUNS
from e3d.training.index import FOLDS, Index, Selection
from e3d.training.settings import is_large
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

#: Where indices of large files are kept, and their version.
FOLDER, VERSION = RUNS / "index", 2
#: Largest deviation, in eV, of total minus formation energy from the sum over isolated atoms. The
#: orientation of an open-shell atom in the integration grid changes its energy by 2e-5 eV.
LEVEL_TOLERANCE = 1e-3 * EV_PER_HARTREE
#: A charged atom in a SMILES; its reference energy is that of an ion.
_CHARGED_ATOM = re.compile(r"\[[^\]:]*[+-]\d*(:\d+)?\]")
OTHER_LEVEL = "formation energy of another level of theory"


def index(
    paths: Sequence[str],
    selection: Selection,
    atoms: Mapping[str, float] | None = None,
    *,
    progress: bool = False,
) -> Index:
    """Index of one file or several.

    atoms: isolated atoms in eV at the level of theory that the files must have; a neutral molecule
    whose formation energy does not follow from them was computed at another one, and is left out.
    Molecules that cannot be read are left out too; all that is left out is counted and named.

    Raises E3DError when a file cannot be opened, and when the level of most molecules is another.
    """
    found = [_of_file(Path(path), selection, atoms, progress) for path in paths]
    if len(found) == 1:
        return found[0]
    n_molecules = np.cumsum([0, *(len(one.names) for one in found)])
    n_atoms = np.cumsum([0, *(len(one.numbers) for one in found)])
    join = np.concatenate
    return Index(
        paths=tuple(paths),
        source=join([one.source + k for k, one in enumerate(found)]),
        names=list(chain.from_iterable(one.names for one in found)),
        smiles=list(chain.from_iterable(one.smiles for one in found)),
        trained_on=join([one.trained_on for one in found]),
        periodic=join([one.periodic for one in found]),
        atoms=join([*(one.atoms[:-1] + n for one, n in zip(found, n_atoms, strict=False)),
                    n_atoms[-1:]]),
        numbers=join([one.numbers for one in found]),
        molecule=join([one.molecule + n for one, n in zip(found, n_molecules, strict=False)]),
        conformation=join([one.conformation for one in found]),
        fold=join([one.fold for one in found]),
        energy=join([one.energy for one in found]),
        left_out=sum((one.left_out for one in found), LeftOut()),
    )  # fmt: skip


def _of_file(
    path: Path, selection: Selection, atoms: Mapping[str, float] | None, progress: bool
) -> Index:
    """Index of one file, from `FOLDER` where it is kept."""
    if not path.exists() or not is_large(path):
        return _made(path, selection, atoms, progress)
    status = path.stat()
    about = [VERSION, str(path.resolve()), status.st_size, status.st_mtime_ns, asdict(selection),
             dict(atoms or {})]  # fmt: skip
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    kept = FOLDER / f"{path.stem}-{key}.npz"
    if (found := _load(kept)) is not None:
        return replace(found, paths=(str(path),))
    made = _made(path, selection, atoms, progress)
    _save(made, kept)
    return made


def _made(
    path: Path, selection: Selection, atoms: Mapping[str, float] | None, progress: bool
) -> Index:
    builder = _Builder(selection, atoms)
    with Dataset(path) as dataset:
        bar = tqdm(total=len(dataset), desc=path.name, unit="molecule", disable=not progress)
        usable = dataset.usable(
            selection.elements, strict=False, charges=selection.charges,
            radicals=selection.radicals, gradient_limit=selection.gradient_limit,
        )  # fmt: skip
        with bar:
            for n, molecule in enumerate(usable, 1):
                builder.add(dataset, molecule)
                bar.update(
                    n + sum(r.n_molecules for r in dataset.left_out.reasons.values()) - bar.n
                )
        return builder.result(path, dataset.left_out)


class _Builder:
    """Collects the index of one file, molecule by molecule."""

    def __init__(self, selection: Selection, atoms: Mapping[str, float] | None):
        self.selection, self.atoms = selection, atoms
        self.names: list[str] = []
        self.smiles: list[str] = []
        self.trained_on: list[bool] = []
        self.periodic: list[bool] = []
        self.numbers: list[np.ndarray] = []
        self.kept: list[np.ndarray] = []
        self.folds: list[np.ndarray] = []
        self.energies: list[np.ndarray] = []
        self.left_out = LeftOut()
        self.n_checked = self.n_other_level = 0

    def add(self, dataset: Dataset, molecule: Molecule) -> None:
        """Add a usable molecule, unless its subset or its level of theory is not wanted."""
        reason = self.selection.refuses(molecule) or self._other_level(molecule)
        if reason:
            self.left_out.add(reason, printable(molecule.name), len(molecule))
            return
        try:
            canonical, folds = molecule.canonical_smiles, conformation_folds(molecule)
        except E3DError as error:
            self.left_out.add(UNREADABLE, printable(molecule.name), len(molecule), str(error))
            return
        self.folds.append(np.array([FOLDS.index(one) for one in folds], np.int8))
        self.trained_on.append(fold(canonical) == "train")
        self.periodic.append(molecule.cells is not None)
        self.names.append(molecule.name)
        self.smiles.append(canonical)
        self.numbers.append(molecule.atomic_numbers.astype(np.int8))
        self.kept.append(_places(dataset.group(molecule.name)["conformations"], molecule))
        self.energies.append(molecule.energies)

    def _other_level(self, molecule: Molecule) -> str | None:
        """A reason when formation energies do not follow from the atoms of the level asked for."""
        if self.atoms is None or _CHARGED_ATOM.search(molecule.smiles):
            return None
        self.n_checked += 1
        zero = sum(self.atoms[symbol] for symbol in molecule.symbols)
        if np.allclose(molecule.energies - molecule.formation_energies, zero, 0, LEVEL_TOLERANCE):
            return None
        self.n_other_level += 1
        return OTHER_LEVEL

    def result(self, path: Path, left_out: LeftOut) -> Index:
        """The index. Raises E3DError when the level of most molecules is another."""
        if 2 * self.n_other_level > self.n_checked:
            raise E3DError(
                f"{path}: the formation energies of {self.n_other_level} of {self.n_checked} "
                "neutral molecules do not follow from the atomic energies given; are these of the "
                "file's level of theory?"
            )
        sizes = [len(one) for one in self.kept]
        return Index(
            paths=(str(path),),
            source=np.zeros(len(self.names), np.int16),
            names=self.names,
            smiles=self.smiles,
            trained_on=np.array(self.trained_on, bool),
            periodic=np.array(self.periodic, bool),
            atoms=np.cumsum([0, *(len(one) for one in self.numbers)]),
            numbers=_joined(self.numbers, np.int8),
            molecule=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            conformation=_joined(self.kept, np.int32),
            fold=_joined(self.folds, np.int8),
            energy=_joined(self.energies, np.float64),
            left_out=left_out + self.left_out,
        )


def _places(stored: h5py.Dataset, molecule: Molecule) -> np.ndarray:
    """Where the M usable conformations of a molecule lie among those stored, shape (M,)."""
    if len(stored) == len(molecule):
        return np.arange(len(molecule), dtype=np.int32)
    places: list[int] = []
    for k, positions in enumerate(stored[()].astype(float) * ANGSTROM_PER_BOHR):
        if len(places) < len(molecule) and (positions == molecule.positions[len(places)]).all():
            places.append(k)
    return np.array(places, dtype=np.int32)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts).astype(kind) if parts else np.empty(0, kind)


_TEXTS = ("names", "smiles", "left_out")


def _save(made: Index, path: Path) -> None:
    content = {key: value for key, value in vars(made).items() if key not in (*_TEXTS, "paths")}
    texts = json.dumps([made.names, made.smiles, made.left_out.as_dict()]).encode()
    with files.replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **content, texts=np.frombuffer(texts, np.uint8))


def _load(path: Path) -> Index | None:
    """A kept index; None where there is none, or a damaged one, which is then made anew."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            content = {key: stored[key] for key in stored.files}
        names, smiles, left_out = json.loads(content.pop("texts").tobytes())
        told = LeftOut.from_dict(left_out)
        return Index((), names=names, smiles=smiles, left_out=told, **content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        return None
