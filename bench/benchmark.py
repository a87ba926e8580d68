"""How fast and how lean is it? Every number is a ratio, so that it means something elsewhere too.

Both sides of a ratio run in turn, in one thread, and each repeat gives one ratio.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in what is started here

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from rdkit import Chem
from tqdm import tqdm

from e3d.chemistry import bonding
from e3d.chemistry.xtb import calculator
from e3d.compendium import provenance
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule, conformations
from e3d.data.writing import write_dataset
from e3d.decomposition import edges
from e3d.decomposition.maps import summarise
from e3d.models import batches
from e3d.models.allegro import Model, load_model
from e3d.paths import CHECKPOINTS, DATA, LABELS, ROOT
from e3d.training import train
from e3d.training.nequip import configuration
from e3d.training.settings import Settings

CHECKPOINT = CHECKPOINTS / "finetuned-s0"
BULK = LABELS / "bulk.h5"
#: Molecules of the benchmarks have at most so many atoms: the large file would take an hour else.
MAX_ATOMS = 9
#: Conformations per molecule in the files made here, about as in SPICE.
PER_MOLECULE = 20


@dataclass(frozen=True)
class Size:
    """How much work, in conformations, steps of training or molecules, and how often."""

    batched: int = 1024
    looped: int = 128
    shared_out: int = 10_000
    small: int = 20_000
    large: int = 200_000
    steps: int = 200
    repeats: int = 3
    slow_repeats: int = 1


QUICK = Size(batched=64, looped=8, shared_out=400, small=200, large=2_000, steps=60, repeats=1)


@dataclass(frozen=True)
class Bench:
    """What the benchmarks share: sizes, a folder that is removed at the end, molecules, a model."""

    size: Size
    folder: Path

    @cached_property
    def model(self) -> Model:
        return load_model(CHECKPOINT)

    @cached_property
    def molecules(self) -> list[Molecule]:
        """Small molecules of the bulk data set, in random order."""
        with Dataset(BULK) as dataset:
            names = np.random.default_rng(0).permutation(dataset.names).tolist()
            dataset.names = names[: 2 * self.size.batched]
            return [m for m in dataset.usable() if len(m.atomic_numbers) <= MAX_ATOMS]

    def some(self, n_conformations: int) -> list[Molecule]:
        """Molecules with this many conformations, or a few more."""
        ends = np.cumsum([len(molecule) for molecule in self.molecules])
        return self.molecules[: int(np.searchsorted(ends, n_conformations)) + 1]

    def file(self, n_conformations: int) -> Path:
        """A data set of so many conformations: repeated ones, every atom moved by some 0.01 Å."""
        path = self.folder / f"{n_conformations}.h5"
        if not path.exists():
            with Dataset(BULK) as dataset:
                zero, level = dataset.atomic_energies(), dataset.attributes["level_of_theory"]
            write_dataset(
                path, self._jittered(n_conformations // PER_MOLECULE), level_of_theory=level,
                atomic_energies=zero, provenance="repeated conformations, moved at random",
            )  # fmt: skip
        return path

    def _jittered(self, n_molecules: int) -> Iterator[Molecule]:
        rng = np.random.default_rng(1)
        for k in range(n_molecules):
            molecule = self.molecules[k % len(self.molecules)]
            repeated = molecule.select(np.arange(PER_MOLECULE) % len(molecule))
            moved = repeated.positions + rng.normal(scale=0.01, size=repeated.positions.shape)
            yield replace(repeated, name=f"molecule-{k}", positions=moved)

    def command(self, n_conformations: int, workers: int) -> tuple[float, float]:
        """Wall time in s of `e3d decompose`, and the peak memory in MB of its largest process."""
        arguments = [self.file(n_conformations), "--model", CHECKPOINT,
                     "--out", self.folder / "out.h5", "--workers", workers]  # fmt: skip
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "e3d", "decompose", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError("e3d decompose failed; its message is above")
        return time.perf_counter() - start, usage.ru_maxrss / 1024


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def decompose_over_bare_forward(bench: Bench) -> Iterator[float]:
    """Decomposition with its statistics, over energies alone from the same batches."""
    molecules = bench.some(bench.size.batched)
    network = edges._energy_network(bench.model)
    fields = bench.model.module.model_input_fields

    def forward() -> None:
        for batch in batches.batches(bench.model, conformations(molecules), 64):
            with torch.no_grad():
                network({key: batch[key] for key in fields if key in batch})

    forward()
    for _ in range(bench.size.repeats):
        yield seconds(lambda: summarise(bench.model, molecules)) / seconds(forward)


def ase_loop_over_decompose(bench: Bench) -> Iterator[float]:
    """nequip's ASE calculator, one structure at a time, over our decomposition."""
    from nequip.integrations.ase import NequIPCalculator

    calculator = NequIPCalculator(
        bench.model.module, device="cpu", transforms=batches.transforms(bench.model)
    )
    molecules = bench.some(bench.size.looped)

    def loop() -> None:
        for atoms in conformations(molecules):
            atoms.calc = calculator
            atoms.get_potential_energy()

    loop()
    for _ in range(bench.size.repeats):
        yield seconds(loop) / seconds(lambda: summarise(bench.model, molecules))


def rss_200k_over_20k(bench: Bench) -> Iterator[float]:
    """Peak memory of `e3d decompose` with ten times the conformations, over without."""
    for _ in range(bench.size.slow_repeats):
        small, large = (bench.command(n, 2)[1] for n in (bench.size.small, bench.size.large))
        yield large / small


def one_worker_over_two(bench: Bench) -> Iterator[float]:
    """Wall time of `e3d decompose` with one process, over that with two."""
    for _ in range(bench.size.repeats):
        one, two = (bench.command(bench.size.shared_out, workers)[0] for workers in (1, 2))
        yield one / two


def training_over_nequip_train(bench: Bench) -> Iterator[float]:
    """`e3d.training.train` over nequip-train with the same configuration."""
    settings = Settings(
        dataset=str(DATA / "dft-small.h5"), steps=bench.size.steps, compile=False, l_max=1
    )
    for k in range(bench.size.repeats):
        folder = bench.folder / f"bare-{k}"
        folder.mkdir()
        content = yaml.safe_dump(configuration(settings, folder), sort_keys=False)
        (folder / "config.yaml").write_text(content)
        bare = [sys.executable, "-m", "nequip.scripts.train", "-cp", str(folder), "-cn", "config",
                f"hydra.run.dir={folder}"]  # fmt: skip
        ours = seconds(lambda k=k: train.train(
            settings, bench.folder / f"checkpoint-{k}", work=bench.folder / "work"
        ))  # fmt: skip
        yield ours / seconds(
            lambda bare=bare: subprocess.run(bare, check=True, capture_output=True)
        )


def gfn2_fragments_over_decompose(bench: Bench) -> Iterator[float]:
    """BDEs of a molecule's single bonds from relaxed GFN2-xTB fragments, over decomposing it."""
    found = (
        (molecule, bonds)
        for molecule in bench.molecules
        if len(bonds := _acyclic_single_bonds(molecule)) >= 3
    )
    for molecule, bonds in islice(found, bench.size.repeats):
        atoms = Atoms(molecule.atomic_numbers, molecule.relaxed.positions[0])
        list(edges.decompose(bench.model, [atoms]))
        fragments = seconds(lambda a=atoms, m=molecule, b=bonds: _fragment_bdes(a, m, b))
        yield fragments / seconds(lambda a=atoms: list(edges.decompose(bench.model, [a])))


def _acyclic_single_bonds(molecule: Molecule) -> list[int]:
    """Indices of RDKit's bonds."""
    graph = bonding.from_mapped_smiles(molecule.smiles)
    return [bond.GetIdx() for bond in graph.GetBonds()
            if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing()]  # fmt: skip


def _fragment_bdes(atoms: Atoms, molecule: Molecule, bonds: list[int]) -> list[float]:
    """E(A•) + E(B•) − E(AB) in eV, all three relaxed."""
    graph = bonding.from_mapped_smiles(molecule.smiles)
    whole = _relaxed_energy(atoms, 0)
    halves = (
        Chem.GetMolFrags(Chem.FragmentOnBonds(graph, [bond], addDummies=False)) for bond in bonds
    )
    return [sum(_relaxed_energy(atoms[list(half)], 1) for half in pair) - whole for pair in halves]


def _relaxed_energy(atoms: Atoms, unpaired: int) -> float:
    from ase.optimize import BFGS

    atoms = atoms.copy()
    atoms.calc = calculator(unpaired=unpaired)
    if len(atoms) > 1:
        BFGS(atoms, logfile=None).run(fmax=0.02, steps=200)
    return float(atoms.get_potential_energy())


BENCHMARKS = (
    decompose_over_bare_forward, ase_loop_over_decompose, rss_200k_over_20k, one_worker_over_two,
    training_over_nequip_train, gfn2_fragments_over_decompose,
)  # fmt: skip


def summary(ratios: list[float]) -> dict[str, float]:
    """Median and range of the repeats, to three digits."""
    low, median, high = (float(f"{v:.3g}") for v in np.quantile(ratios, [0, 0.5, 1]))
    return {"median": median, "low": low, "high": high, "repeats": len(ratios)}


def machine() -> dict[str, object]:
    """Where and with what the numbers were measured."""
    packages = ("torch", "nequip", "nequip-allegro", "tblite")
    return {
        "machine": provenance.machine(),
        "load_average": os.getloadavg()[0],
        "code": provenance.code_revision(),
        "versions": {package: version(package) for package in packages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [benchmark.__name__ for benchmark in BENCHMARKS]
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: does it run?")
    parser.add_argument("--only", action="append", choices=names, help="repeat for several")
    parser.add_argument("--out", type=Path, help="JSON. Default: bench/results.json when all ran "
                                                 "in full, otherwise none")  # fmt: skip
    options = parser.parse_args()
    full = not options.quick and not options.only
    results: dict[str, object] = {"machine": machine(), "quick": options.quick}
    chosen = [b for b in BENCHMARKS if b.__name__ in (options.only or names)]
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(chosen), unit="benchmark") as bar:
        bench = Bench(QUICK if options.quick else Size(), Path(folder))
        for benchmark in chosen:
            bar.set_description(benchmark.__name__)
            results[benchmark.__name__] = summary(list(benchmark(bench)))
            bar.update()
    out = options.out or (ROOT / "bench" / "results.json" if full else None)
    if out is not None:
        provenance.write(out, results)
    print(f"{'':31} {'median':>8} {'low':>8} {'high':>8} repeats")
    for benchmark in chosen:
        row = results[benchmark.__name__]
        print(f"{benchmark.__name__:31} {row['median']:8.3g} {row['low']:8.3g} {row['high']:8.3g} "
              f"{row['repeats']:7d}")  # fmt: skip
        print(f"    {benchmark.__doc__}")
    print(f"\n{provenance.machine()}" + (f"\nwrote {out}" if out else ""))


if __name__ == "__main__":
    main()
