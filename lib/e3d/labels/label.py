"""Label conformations with GFN2-xTB or ωB97M-D3(BJ)/def2-TZVP and write them as a data set.

Work is done by a pool of processes, one thread each. Every finished molecule is a piece on disk, so
an interrupted call goes on where it stopped; the data set appears only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from tqdm.auto import tqdm

from e3d import files
from e3d.chemistry import bonding
from e3d.chemistry.bonding import canonical_smiles
from e3d.chemistry.levels import FRAMES, LEVELS, METHODS, UNPAIRED, isolated_atoms
from e3d.data.dataset import Dataset, Molecule, write_dataset
from e3d.errors import E3DError
from e3d.labels.sampling import Sampling, sample
from e3d.parallel import available_cores, worker_pool
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

#: Molecules per worker before the pool is renewed: GFN2-xTB dynamics slows down several times over
#: in a process that has run for long, and `max_tasks_per_child` can deadlock in Python 3.11.
TASKS_PER_WORKER = 200


def label(conformations: Molecule, method: str) -> Molecule:
    """The same conformations with energies and forces at the level of theory of `method`.

    Conformations are rounded to float32 bohr first: what is stored is exactly what was labelled.
    """
    numbers = conformations.atomic_numbers
    bohr = (conformations.positions / ANGSTROM_PER_BOHR).astype(np.float32)
    labels = FRAMES[method](numbers, bohr.astype(float))
    energies = np.array([energy for energy, _ in labels]) * EV_PER_HARTREE
    gradients = np.array([gradient for _, gradient in labels])
    return Molecule(
        conformations.name, conformations.subset, conformations.smiles, numbers,
        bohr.astype(float) * ANGSTROM_PER_BOHR, energies, conformations.formation_energies,
        -gradients * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, conformations.temperatures,
    )  # fmt: skip


def _work(source: str | Molecule, settings: Sampling, method: str, piece: Path) -> str | None:
    """Label one molecule into `piece`; the reason is returned, and kept, when it cannot be."""
    try:
        conformations = sample(source, settings) if isinstance(source, str) else source
        result = label(conformations, method)
    except (E3DError, RuntimeError) as error:
        with files.replacing(piece.with_suffix(".skip")) as temporary:
            temporary.write_text(str(error))
        return str(error)
    with files.replacing(piece) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **{key: v for key, v in asdict(result).items() if v is not None})
    return None


def _load(piece: Path) -> Molecule:
    with np.load(piece, allow_pickle=False) as stored:
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
    progress: bool = True,
) -> dict[str, str]:
    """Sample (SMILES) or take (Molecule) conformations, label them and write a data set to `out`.

    Pieces are kept beside `out` until the data set is complete; calling again with the same
    settings resumes. Returns the molecules left out, with the reason of each.

    Raises E3DError, before any work is done, for an unknown method, a SMILES that cannot be parsed,
    a molecule given twice, an element without a ground state, or an `out` that exists; and when
    nothing could be labelled.
    """
    if method not in METHODS:
        raise E3DError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    out = Path(out)
    if out.exists():
        raise E3DError(f"{out} exists; labels are never overwritten: choose another name")
    elements = _check_sources(sources)
    settings = settings or Sampling()
    folder = _pieces_folder(out, method, settings)
    pieces = {_key(source): folder / f"{_key(source)}.npz" for source in sources}
    _run_pool(list(sources), pieces, settings, method, n_workers, progress)
    skipped = {
        source if isinstance(source, str) else source.name: skip.read_text()
        for source, piece in zip(sources, pieces.values(), strict=True)
        if (skip := piece.with_suffix(".skip")).exists()
    }
    if len(skipped) == len(sources):
        shutil.rmtree(folder)
        raise E3DError(f"nothing could be labelled; first reason: {next(iter(skipped.values()))}")
    labelled = (_load(piece) for piece in pieces.values() if piece.exists())
    write_dataset(
        out, (replace(m, subset=_subset(m)) for m in labelled), level_of_theory=LEVELS[method],
        atomic_energies=isolated_atoms(method, elements),
        provenance=_provenance(method, settings, sources),
    )  # fmt: skip
    shutil.rmtree(folder)
    return skipped


def _subset(molecule: Molecule) -> str:
    """`organic` for molecules of H, C, N, O alone, `minor` with any other element."""
    return "organic" if set(molecule.atomic_numbers.tolist()) <= {1, 6, 7, 8} else "minor"


def _check_sources(sources: Sequence[str | Molecule]) -> list[str]:
    """Elements of all molecules, sorted; refuses what would fail only after hours of work."""
    names: set[str] = set()
    elements: set[str] = set()
    for source in sources:
        name = canonical_smiles(source) if isinstance(source, str) else source.name
        if name in names:
            raise E3DError(f"molecule {name!r} is given twice; list each once")
        names.add(name)
        if isinstance(source, str):
            elements |= {atom.GetSymbol() for atom in bonding.parse_smiles(source).GetAtoms()}
        else:
            elements |= {chemical_symbols[z] for z in source.atomic_numbers}
    if not sources:
        raise E3DError("no molecule to label; the source holds none that is neutral")
    if unknown := sorted(elements - set(UNPAIRED)):
        raise E3DError(f"cannot label {', '.join(unknown)}; elements known: {', '.join(UNPAIRED)}")
    return sorted(elements)


def _pieces_folder(out: Path, method: str, settings: Sampling) -> Path:
    """Folder beside `out` for finished molecules; other settings have another."""
    text = json.dumps([method, asdict(settings)], sort_keys=True)
    folder = out.with_name(f"{out.name}.parts-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise E3DError(
            f"cannot write {out}: {error.strerror} in {folder.parent}; nothing was changed. "
            "Choose another output folder"
        ) from error
    return folder


def _key(source: str | Molecule) -> str:
    """File name of a molecule's piece: a hash, because SMILES hold slashes."""
    text = source if isinstance(source, str) else source.name + source.positions.tobytes().hex()
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _provenance(method: str, settings: Sampling, sources: Sequence[str | Molecule]) -> str:
    package = {"gfn2": "tblite", "wb97m-d3bj/def2-tzvp": "pyscf"}[method]
    labels = f"Labels: {LEVELS[method]} with {package} {version(package)}."
    if isinstance(sources[0], str):
        return (
            f"Geometries: GFN2-xTB minimum and Langevin dynamics with tblite {version('tblite')}, "
            f"{asdict(settings)}. {labels}"
        )
    return f"Geometries: taken as stored in another data set. {labels}"


def _run_pool(
    sources: list[str | Molecule],
    pieces: dict[str, Path],
    settings: Sampling,
    method: str,
    n_workers: int | None,
    progress: bool,
) -> None:
    """Label what has neither a piece nor a recorded reason yet."""
    todo = [
        source
        for source in sources
        if not (piece := pieces[_key(source)]).exists() and not piece.with_suffix(".skip").exists()
    ]
    bar = tqdm(total=len(sources), initial=len(sources) - len(todo), unit="molecule",
               desc=method, disable=not progress)  # fmt: skip
    n_workers = n_workers or available_cores()
    size = n_workers * TASKS_PER_WORKER
    with bar:
        for batch in (todo[k : k + size] for k in range(0, len(todo), size)):
            with worker_pool(min(n_workers, len(batch))) as pool:
                futures = [
                    pool.submit(_work, source, settings, method, pieces[_key(source)])
                    for source in batch
                ]
                for future in as_completed(futures):
                    future.result()
                    bar.update()


def read_sources(path: str | Path) -> list[str | Molecule]:
    """Molecules to label: a text file of SMILES, one a line (`#` comments), or a data set."""
    path = Path(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        with Dataset(path) as dataset:
            return list(dataset.usable())
    if not path.exists():
        raise E3DError(f"{path} does not exist; give a text file of SMILES or a data set")
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
    return [_read_smiles(path, number, text) for number, text in entries]


def _read_smiles(path: Path, line: int, text: str) -> str:
    try:
        return canonical_smiles(text)
    except E3DError as error:
        raise E3DError(f"{path}, line {line}: {error}") from None
