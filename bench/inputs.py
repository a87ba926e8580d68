"""What the benchmarks share: molecules, data sets of any size, boxes of water, models."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.build import molecule as named_molecule
from spoiled import FAULTS, add_faults

from e3d.chemistry import bonding
from e3d.data.dataset import TYPE_NAMES, Dataset
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.decomposition import statistics_file
from e3d.models.allegro import Model, build, load_model
from e3d.models.checkpoint import save_checkpoint
from e3d.paths import CHECKPOINTS, LABELS

CHECKPOINT = CHECKPOINTS / "finetuned-s0"
BULK = LABELS / "bulk.h5"
#: Small molecules have at most so many atoms.
MAX_ATOMS = 9
#: Conformations per molecule in the files made here, about as in SPICE.
PER_MOLECULE = 20
#: Molecules of 29 to 33 atoms, the mean of the larger half of SPICE.
LARGER = (
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CC1CCC(C(C1)O)C(C)C", "CCCCCCCCCC", "OCC1OC(O)C(O)C(O)C1OC",
    "NC(CCC(=O)NC(CO)C(=O)O)C(=O)O", "CCN(CC)CCOC(=O)c1ccccc1",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much work, in conformations, steps of training or atoms, and how often."""

    batched: int = 1024
    larger: int = 256
    looped: int = 128
    shared_out: tuple[int, int] = (10_000, 50_000)
    small: int = 20_000
    large: int = 200_000
    steps: int = 2_000
    repeats: int = 5
    few_repeats: int = 2
    slow_repeats: int = 1
    water: tuple[int, ...] = (12, 96, 768, 3_072, 9_984)
    conformations: tuple[int, ...] = (100, 1_000, 10_000, 100_000)


QUICK = Size(
    batched=64, larger=6, looped=6, shared_out=(400, 4_000), small=200, large=2_000, steps=60,
    repeats=1, few_repeats=1,
    water=(12, 96), conformations=(100, 200),
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """Sizes, and a folder that is removed at the end."""

    size: Size
    folder: Path

    @cached_property
    def model(self) -> Model:
        """The shipped model."""
        return load_model(CHECKPOINT)

    @cached_property
    def tiny(self) -> Path:
        """Checkpoint of a model so small that everything else shows beside it."""
        folder = self.folder / "tiny"
        architecture = {
            "seed": 0, "model_dtype": "float32", "type_names": list(TYPE_NAMES), "r_max": 4.0,
            "l_max": 1, "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 2,
            "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
            "avg_num_neighbors": 7.5, "per_type_energy_scales": 1.0,
            "per_type_energy_shifts": dict.fromkeys(TYPE_NAMES, -10.0),
        }  # fmt: skip
        save_checkpoint(folder, build(architecture), architecture, dataset={}, training={},
                        cost={}, history="")  # fmt: skip
        return folder

    @cached_property
    def of_workers(self) -> list[dict[tuple[int, int], float]]:
        """Wall times in s of `e3d decompose`, by number of conformations and of workers."""
        sizes = [(n, workers) for n in self.size.shared_out for workers in (1, 2)]
        return [{size: self.command(*size)[0] for size in sizes}
                for _ in range(self.size.few_repeats)]  # fmt: skip

    @cached_property
    def molecules(self) -> list[Molecule]:
        """Small molecules of the bulk data set, in random order."""
        with Dataset(BULK) as dataset:
            names = np.random.default_rng(0).permutation(dataset.names).tolist()
            dataset.names = names[: 2 * self.size.batched]
            return [m for m in dataset.usable() if len(m.atomic_numbers) <= MAX_ATOMS]

    def some(self, n_conformations: int) -> list[Molecule]:
        """Small molecules with this many conformations, or a few more."""
        ends = np.cumsum([len(molecule) for molecule in self.molecules])
        return self.molecules[: int(np.searchsorted(ends, n_conformations)) + 1]

    def larger(self, n_conformations: int) -> list[Molecule]:
        """Molecules of about 31 atoms, embedded, and moved at random by some 0.02 Å."""
        rng = np.random.default_rng(2)
        each = -(-n_conformations // len(LARGER))
        found = []
        for smiles in LARGER:
            graph = bonding.parse_smiles(smiles)
            numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
            positions = bonding.embed(graph, seed=0)[None]
            positions = positions + rng.normal(scale=0.02, size=(each, len(numbers), 3))
            zeros = np.zeros(each)
            found.append(Molecule(smiles, "larger", bonding.mapped_smiles(graph), numbers,
                                  positions, zeros, zeros, np.zeros_like(positions)))  # fmt: skip
        return found

    def file(self, n_conformations: int) -> Path:
        """A data set of so many conformations: repeated ones, every atom moved by some 0.01 Å; and
        among them such faults as SPICE 2 has."""
        path = self.folder / f"{n_conformations}.h5"
        if not path.exists():
            with Dataset(BULK) as dataset:
                zero, level = dataset.atomic_energies(), dataset.attributes["level_of_theory"]
            write_dataset(
                path, self._jittered(n_conformations // PER_MOLECULE), level_of_theory=level,
                atomic_energies=zero, provenance="repeated conformations, moved at random",
            )  # fmt: skip
            with h5py.File(path, "a") as file:
                add_faults(file)
        return path

    def _jittered(self, n_molecules: int) -> Iterator[Molecule]:
        rng = np.random.default_rng(1)
        for k in range(n_molecules):
            molecule = self.molecules[k % len(self.molecules)]
            repeated = molecule.select(np.arange(PER_MOLECULE) % len(molecule))
            moved = repeated.positions + rng.normal(scale=0.01, size=repeated.positions.shape)
            yield replace(repeated, name=f"molecule-{k}", positions=moved)

    def command(
        self, n_conformations: int, workers: int, model: Path = CHECKPOINT
    ) -> tuple[float, float]:
        """Wall time in s of `e3d decompose`, and the peak memory in MB of its largest process.

        Never compiled: that alone would change both.
        """
        out = self.folder / "out.h5"
        arguments = [self.file(n_conformations), "--model", model, "--out", out,
                     "--workers", workers, "--compile", "no"]  # fmt: skip
        start = time.perf_counter()
        usage = _run(["-m", "e3d", "decompose", *map(str, arguments)], dict(os.environ))
        wall = time.perf_counter() - start
        found = statistics_file.read(out)
        named = {name for reason in found.left_out.reasons.values() for name in reason.first}
        if found.n_conformations != n_conformations or len(named) != len(FAULTS):
            raise RuntimeError(
                f"{found.n_conformations} of {n_conformations} conformations were decomposed, and "
                f"{len(named)} of {len(FAULTS)} faulty molecules named: {sorted(named)}"
            )
        return wall, usage.ru_maxrss / 1024


def water(n_atoms: int) -> Atoms:
    """About so many atoms of water at its density, periodic: turned at random, on a lattice."""
    rng = np.random.default_rng(0)
    n_molecules = max(1, n_atoms // 3)
    n = int(np.ceil(n_molecules ** (1 / 3)))
    box = Atoms(cell=[3.1 * n] * 3, pbc=True)
    for place in list(np.ndindex(n, n, n))[:n_molecules]:
        one = named_molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3))
        one.translate(3.1 * np.array(place))
        box += one
    return box


def _run(arguments: Sequence[str], environment: dict[str, str]) -> resource.struct_rusage:
    """What a call of Python used. Raises RuntimeError when it fails."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed; its message is above")
    return usage


def processor_seconds(*arguments: str) -> float:
    """Processor time of a call of Python as users make it, with the threads that it takes."""
    threads = {"OMP_NUM_THREADS"}  # which the benchmark has set for itself
    environment = {name: value for name, value in os.environ.items() if name not in threads}
    usage = _run(arguments, environment)
    return usage.ru_utime + usage.ru_stime


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
