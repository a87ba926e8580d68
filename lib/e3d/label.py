"""Sample conformations and label them with GFN2-xTB or ωB97M-D3(BJ)/def2-TZVP.

Work is done by a pool of processes, one thread each. Every finished molecule is a piece on disk, so
an interrupted call goes on where it stopped; the data set appears only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols
from tqdm.auto import tqdm

from e3d import files, molecule
from e3d.dataset import Dataset, Molecule, canonical_smiles, write_dataset
from e3d.errors import E3DError
from e3d.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    EV_PER_HARTREE,
)

#: Unpaired electrons of the isolated atoms in their ground states.
UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "Si": 2, "S": 2, "Cl": 1}
#: Command-line name of a method → how data sets name the level of theory.
LEVELS = {"gfn2": "GFN2-xTB", "wb97m-d3bj/def2-tzvp": "wB97M-D3(BJ)/def2-TZVP"}


@dataclass(frozen=True)
class Sampling:
    """How conformations are drawn: the GFN2-xTB minimum, then Langevin dynamics from it.

    Dynamics starts from the minimum with momenta drawn at twice the temperature (half of that
    energy becomes potential energy) and stops when a bond exceeds `max_stretch` times its relaxed
    length.
    """

    temperatures_K: tuple[int, ...] = (300, 600, 1000)
    frames_per_temperature: int = 1
    frame_interval_fs: int = 40
    time_step_fs: float = 1.0
    friction_per_fs: float = 0.02
    relax_fmax_eV_per_A: float = 0.02
    max_stretch: float = 1.5
    seed: int = 0


def gfn2(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """GFN2-xTB energy in hartree and gradient (N, 3) in hartree/bohr; positions (N, 3) in bohr."""
    from tblite.interface import Calculator

    calculator = Calculator("GFN2-xTB", np.asarray(numbers), np.asarray(positions), uhf=unpaired)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    return float(result.get("energy")), np.asarray(result.get("gradient"))


def wb97m(
    numbers: np.ndarray, positions: np.ndarray, *, unpaired: int = 0
) -> tuple[float, np.ndarray]:
    """ωB97M-D3(BJ)/def2-TZVP energy in hartree and gradient (N, 3) in hartree/bohr.

    Density fitting, grid level 2, SCF converged to 1e-9 hartree; unrestricted when electrons are
    unpaired. positions (N, 3) in bohr. Raises E3DError when the SCF does not converge.
    """
    from pyscf import dft, gto, lib

    lib.num_threads(1)
    atoms = [
        (chemical_symbols[z], tuple(row)) for z, row in zip(numbers, positions, strict=True)
    ]
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-tzvp", spin=unpaired, verbose=0)
    kohn_sham = dft.UKS if unpaired else dft.RKS
    mean_field = kohn_sham(mole, xc="wb97m-d3bj").density_fit()
    mean_field.grids.level = 2
    mean_field.conv_tol = 1e-9
    energy = mean_field.kernel()
    if not mean_field.converged:
        raise E3DError(
            f"SCF not converged for {''.join(s for s, _ in atoms)}; the geometry may be distorted"
        )
    if len(atoms) == 1:
        return float(energy), np.zeros((1, 3))
    return float(energy), np.asarray(mean_field.nuc_grad_method().kernel())


METHODS: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "gfn2": gfn2,
    "wb97m-d3bj/def2-tzvp": wb97m,
}


def isolated_atoms(method: str, elements: Iterable[str]) -> dict[str, float]:
    """Energies in eV of isolated atoms in their ground states, by element symbol."""
    energies = {}
    for symbol in elements:
        if symbol not in UNPAIRED:
            raise E3DError(f"no ground state known for an isolated {symbol} atom; known: "
                           f"{', '.join(UNPAIRED)}")  # fmt: skip
        numbers = np.array([NUMBER_OF_SYMBOL[symbol]])
        energy, _ = METHODS[method](numbers, np.zeros((1, 3)), unpaired=UNPAIRED[symbol])
        energies[symbol] = energy * EV_PER_HARTREE
    return energies


def relax(numbers: np.ndarray, positions: np.ndarray, *, fmax: float = 0.02) -> np.ndarray:
    """GFN2-xTB minimum, positions (N, 3) in Å, to a largest force of `fmax` eV/Å.

    Raises E3DError when it does not converge within 500 steps.
    """
    from ase import Atoms
    from ase.optimize import BFGS
    from tblite.ase import TBLite

    atoms = Atoms(numbers=numbers, positions=positions)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    if not BFGS(atoms, logfile=None).run(fmax=fmax, steps=500):
        raise E3DError(f"{atoms.get_chemical_formula()}: no GFN2-xTB minimum within 500 steps")
    return atoms.positions


def sample(smiles: str, settings: Sampling) -> Molecule:
    """Unlabelled conformations of a molecule: relaxed, then frames of Langevin dynamics.

    Raises E3DError when the molecule cannot be embedded, does not relax, or rearranges: then its
    geometry is not a geometry of that SMILES.
    """
    graph = molecule.parse_smiles(smiles)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    start = molecule.embed(graph, seed=settings.seed + 1)
    relaxed = relax(numbers, start, fmax=settings.relax_fmax_eV_per_A)
    if not molecule.keeps_its_bonds(graph, relaxed):
        raise E3DError(f"{smiles}: its bonds change on relaxation with GFN2-xTB")
    frames, temperatures = [relaxed], [0]
    for temperature in settings.temperatures_K:
        new = _dynamics(numbers, relaxed, molecule.bond_pairs(graph), temperature, settings)
        frames += new
        temperatures += [temperature] * len(new)
    n_frames, n_atoms = len(frames), len(numbers)
    return Molecule(
        canonical_smiles(smiles), "", molecule.mapped_smiles(graph), numbers, np.array(frames),
        np.zeros(n_frames), np.zeros(n_frames), np.zeros((n_frames, n_atoms, 3)),
        np.array(temperatures),
    )  # fmt: skip


def _dynamics(
    numbers: np.ndarray, relaxed: np.ndarray, pairs: np.ndarray, kelvin: int, settings: Sampling
) -> list[np.ndarray]:
    from ase import Atoms, units
    from ase.constraints import FixCom
    from ase.md.langevin import Langevin
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from tblite.ase import TBLite

    rng = np.random.default_rng([settings.seed, kelvin])
    atoms = Atoms(numbers=numbers, positions=relaxed, constraint=FixCom())
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * kelvin, rng=rng)
    dynamics = Langevin(
        atoms, settings.time_step_fs * units.fs, temperature_K=kelvin,
        friction=settings.friction_per_fs / units.fs, fixcm=False, rng=rng,
    )  # fmt: skip
    frames = []
    for _ in range(settings.frames_per_temperature):
        dynamics.run(round(settings.frame_interval_fs / settings.time_step_fs))
        if (_lengths(atoms.positions, pairs)
                > settings.max_stretch * _lengths(relaxed, pairs)).any():  # fmt: skip
            break
        frames.append(atoms.positions.copy())
    return frames


def _lengths(positions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)


def label(conformations: Molecule, method: str) -> Molecule:
    """The same conformations with energies and forces at the level of theory of `method`.

    Conformations are rounded to float32 bohr first: what is stored is exactly what was labelled.
    """
    numbers = conformations.atomic_numbers
    bohr = (conformations.positions / ANGSTROM_PER_BOHR).astype(np.float32)
    labels = [METHODS[method](numbers, frame.astype(float)) for frame in bohr]
    energies = np.array([energy for energy, _ in labels]) * EV_PER_HARTREE
    gradients = np.array([gradient for _, gradient in labels])
    return Molecule(
        conformations.name, conformations.subset, conformations.smiles, numbers,
        bohr.astype(float) * ANGSTROM_PER_BOHR, energies, conformations.formation_energies,
        -gradients * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, conformations.temperatures,
    )  # fmt: skip


def _one_thread() -> None:
    """Small molecules run fastest with one thread per process; set before tblite is imported."""
    os.environ["OMP_NUM_THREADS"] = "1"


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
        np.savez(stream, **asdict(result))
    return None


def _load(piece: Path) -> Molecule:
    with np.load(piece, allow_pickle=False) as stored:
        fields = {key: stored[key] for key in stored.files}
    text = {key: str(fields.pop(key)) for key in ("name", "subset", "smiles")}
    return Molecule(**text, **fields)


def label_molecules(
    sources: Sequence[str | Molecule],
    method: str,
    out: str | Path,
    *,
    settings: Sampling | None = None,
    subset: Callable[[Molecule], str] = lambda m: m.subset or "molecule",
    aligned: Callable[[Path], dict[str, float]] | None = None,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Sample (SMILES) or take (Molecule) conformations, label them and write a data set to `out`.

    Pieces are kept beside `out` until the data set is complete; calling again with the same
    settings resumes. Returns the molecules left out, with the reason of each.

    Raises E3DError for an unknown method, a duplicate, or when nothing could be labelled.
    """
    if method not in METHODS:
        raise E3DError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    settings = settings or Sampling()
    out = Path(out)
    setting_hash = hashlib.sha256(
        json.dumps([method, asdict(settings)], sort_keys=True).encode()
    ).hexdigest()[:8]
    folder = out.with_name(f"{out.name}.parts-{setting_hash}")
    pieces = {_key(source): folder / f"{_key(source)}.npz" for source in sources}
    if len(pieces) < len(sources):
        raise E3DError(f"{len(sources) - len(pieces)} molecules are given twice; list each once")
    folder.mkdir(parents=True, exist_ok=True)
    _run_pool(list(sources), pieces, settings, method, n_workers, progress)
    done = [pieces[_key(source)] for source in sources]
    skipped = {
        str(source if isinstance(source, str) else source.name): skip.read_text()
        for source, piece in zip(sources, done, strict=True)
        if (skip := piece.with_suffix(".skip")).exists()
    }
    molecules = [_load(piece) for piece in done if piece.exists()]
    if not molecules:
        raise E3DError(f"nothing could be labelled; first reason: {next(iter(skipped.values()))}")
    elements = sorted({chemical_symbols[z] for m in molecules for z in m.atomic_numbers})
    write_dataset(
        out, (_with_subset(m, subset(m)) for m in molecules), level_of_theory=LEVELS[method],
        atomic_energies=isolated_atoms(method, elements), provenance=_provenance(settings, sources),
    )  # fmt: skip
    shutil.rmtree(folder)
    return skipped


def _with_subset(labelled: Molecule, subset: str) -> Molecule:
    return Molecule(**{**labelled.__dict__, "subset": subset})


def _key(source: str | Molecule) -> str:
    """File name of a molecule's piece: a hash, because SMILES hold slashes."""
    text = source if isinstance(source, str) else source.name + source.positions.tobytes().hex()
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _provenance(settings: Sampling, sources: Sequence[str | Molecule]) -> str:
    if sources and isinstance(sources[0], str):
        return f"Geometries: GFN2-xTB minimum (tblite) and Langevin dynamics, {asdict(settings)}"
    return "Geometries: taken as stored in another data set"


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
    n_workers = n_workers or os.cpu_count() or 1
    with ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=_one_thread
    ) as pool:
        futures = [
            pool.submit(_work, source, settings, method, pieces[_key(source)]) for source in todo
        ]
        for future in as_completed(futures):
            future.result()
            bar.update()
    bar.close()


def read_sources(path: str | Path) -> list[str | Molecule]:
    """Molecules to label: a text file of SMILES, one a line (`#` comments), or a data set."""
    path = Path(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        with Dataset(path) as dataset:
            return list(dataset.usable())
    if not path.exists():
        raise E3DError(f"{path} does not exist; give a text file of SMILES or a data set")
    lines = (line.split("#", 1)[0] if line.startswith("#") else line
             for line in path.read_text().splitlines())  # fmt: skip
    smiles = [line.split()[0] for line in lines if line.strip()]
    if not smiles:
        raise E3DError(f"{path} holds no SMILES")
    return [canonical_smiles(entry) for entry in smiles]
