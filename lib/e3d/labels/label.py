"""Label conformations with GFN2-xTB or ωB97M-D3(BJ)/def2-TZVP and write them as a data set.

Molecules are labelled in a pool of processes and kept one by one until the data set is complete, so
that an interrupted call resumes where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from e3d.chemistry import bonding
from e3d.chemistry.bonding import stereo_smiles
from e3d.chemistry.levels import FRAMES, LEVELS, METHODS, UNPAIRED, isolated_atoms
from e3d.data.dataset import Dataset
from e3d.data.guarded import require_opens
from e3d.data.left_out import LeftOut
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels.fragments import unpaired_electrons
from e3d.labels.sampling import Sampling, sample
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

#: Molecules per worker before the pool is renewed: GFN2-xTB dynamics slows down several times over
#: in a process that has run for long, and `max_tasks_per_child` can deadlock in Python 3.11.
TASKS_PER_WORKER = 200


def label(conformations: Molecule, method: str) -> Molecule:
    """The same conformations with energies and forces at the level of theory of `method`.

    The spin is the one that the SMILES implies: radical electrons are unpaired. Conformations are
    rounded to float32 bohr first: what is stored is exactly what was labelled.
    """
    numbers = conformations.atomic_numbers
    bohr = (conformations.positions / ANGSTROM_PER_BOHR).astype(np.float32)
    unpaired = unpaired_electrons(conformations.smiles)
    labels = FRAMES[method](numbers, bohr.astype(float), unpaired=unpaired)
    energies = np.array([energy for energy, _ in labels]) * EV_PER_HARTREE
    gradients = np.array([gradient for _, gradient in labels])
    return Molecule(
        conformations.name, conformations.subset, conformations.smiles, numbers,
        bohr.astype(float) * ANGSTROM_PER_BOHR, energies, conformations.formation_energies,
        -gradients * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, conformations.temperatures,
    )  # fmt: skip


def _write(method: str, settings: Sampling, source: str | Molecule, path: Path) -> None:
    """Label one molecule into the partial result `path`."""
    try:
        conformations = sample(source, settings) if isinstance(source, str) else source
        result = label(conformations, method)
    except RuntimeError as error:  # of tblite and PySCF
        raise E3DError(str(error)) from error
    write_part(path, result)


def write_part(path: Path, molecule: Molecule) -> None:
    """Keep one labelled molecule as a partial result of `map_resumable`."""
    with open(path, "wb") as stream:
        np.savez(stream, **{key: v for key, v in asdict(molecule).items() if v is not None})


def read_part(path: Path) -> Molecule:
    """The molecule that `write_part` kept."""
    with np.load(path, allow_pickle=False) as stored:
        fields: dict[str, Any] = {key: stored[key] for key in stored.files}
    for key in ("name", "subset", "smiles"):
        fields[key] = str(fields[key])
    return Molecule(**fields)


def label_molecules(
    sources: Sequence[str | Molecule],
    method: str,
    out: str | Path,
    *,
    settings: Sampling | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Sample (SMILES) or take (Molecule) conformations, label them and write a data set to `out`.

    Finished molecules are kept beside `out` until the data set is complete; calling again with the
    same settings resumes. n_workers, scheduler: see `parallel.map_ordered`. Returns the molecules
    left out, with the reason of each.

    Raises E3DError, before any work is done, for an unknown method, a SMILES that cannot be parsed,
    a molecule given twice or an element without a ground state; and as `map_resumable` does.
    """
    if method not in METHODS:
        raise E3DError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    elements = _check_sources(sources)
    settings = settings or Sampling()

    def assemble(paths: list[Path], new: Path) -> None:
        write_dataset(
            new, (replace(m, subset=_subset(m)) for m in map(read_part, paths)),
            level_of_theory=LEVELS[method], atomic_energies=isolated_atoms(method, elements),
            provenance=_provenance(method, settings, sources),
        )  # fmt: skip

    skipped = map_resumable(
        partial(_write, method, settings), sources, Path(out), assemble,
        key=partial(_key, method, settings), unit="molecule", n_workers=n_workers,
        scheduler=scheduler, renew_after=TASKS_PER_WORKER, progress=progress,
    )  # fmt: skip
    return {_name(source): reason for source, reason in skipped}


def _name(source: str | Molecule) -> str:
    return source if isinstance(source, str) else source.name


def _subset(molecule: Molecule) -> str:
    """`organic` for molecules of H, C, N, O alone, `minor` with any other element."""
    return "organic" if set(molecule.atomic_numbers.tolist()) <= {1, 6, 7, 8} else "minor"


def _check_sources(sources: Sequence[str | Molecule]) -> list[str]:
    """Elements of all molecules, sorted; refuses what would fail only after hours of work."""
    names: set[str] = set()
    elements: set[str] = set()
    for source in sources:
        name = stereo_smiles(source) if isinstance(source, str) else source.name
        if name in names:
            raise E3DError(f"molecule {name!r} is given twice; list each once")
        names.add(name)
        if isinstance(source, str):
            elements |= {atom.GetSymbol() for atom in bonding.parse_smiles(source).GetAtoms()}
        else:
            elements |= {chemical_symbols[z] for z in source.atomic_numbers}
    if not sources:
        raise E3DError("no molecule to label; the source holds none that can be used")
    if unknown := sorted(elements - set(UNPAIRED)):
        raise E3DError(f"cannot label {', '.join(unknown)}; elements known: {', '.join(UNPAIRED)}")
    return sorted(elements)


def _key(method: str, settings: Sampling, source: str | Molecule) -> str:
    """Everything that the labels of a molecule depend on."""
    stored = [] if isinstance(source, str) else [source.atomic_numbers, source.positions]
    geometry = [values.tobytes().hex() for values in stored]
    return json.dumps([method, asdict(settings), _name(source), geometry], sort_keys=True)


def _provenance(method: str, settings: Sampling, sources: Sequence[str | Molecule]) -> str:
    package = {"gfn2": "tblite", "wb97m-d3bj/def2-tzvp": "pyscf"}[method]
    labels = f"Labels: {LEVELS[method]} with {package} {version(package)}."
    if isinstance(sources[0], str):
        return (
            f"Geometries: GFN2-xTB minimum and Langevin dynamics with tblite {version('tblite')}, "
            f"{asdict(settings)}. {labels}"
        )
    return f"Geometries: taken as stored in another data set. {labels}"


def read_sources(path: str | Path) -> list[str | Molecule]:
    """Molecules to label: a text file of SMILES, one a line (`#` comments), or a data set.

    Raises E3DError when there is no file, or one that holds no SMILES or something else; and for
    a molecule of a data set that cannot be read.
    """
    return _sources(path, strict=True)[0]


def usable_sources(path: str | Path) -> tuple[list[str | Molecule], LeftOut]:
    """As `read_sources`, but molecules of a data set that cannot be read are left out.

    Returns the others and what was left out.
    """
    return _sources(path, strict=False)


def _sources(path: str | Path, *, strict: bool) -> tuple[list[str | Molecule], LeftOut]:
    path = Path(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        require_opens(path)
        with Dataset(path) as dataset:
            return list(dataset.usable(strict=strict)), dataset.left_out
    if not path.exists():
        raise E3DError(f"{path} does not exist; give a text file of SMILES or a data set")
    if path.is_dir() or not S_ISREG(path.stat().st_mode):  # a named pipe would wait for its end
        raise E3DError(f"{path} is no regular file; give a text file of SMILES or a data set")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise E3DError(f"{path} is not a text file of SMILES ({error})") from error
    entries = [
        (number, line.split()[0])
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not entries:
        raise E3DError(f"{path} holds no SMILES")
    return [_read_smiles(path, number, text) for number, text in entries], LeftOut()


def _read_smiles(path: Path, line: int, text: str) -> str:
    try:
        return stereo_smiles(text)
    except E3DError as error:
        raise E3DError(f"{path}, line {line}: {error}") from None
