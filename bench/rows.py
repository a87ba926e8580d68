"""The benchmarks: each yields one ratio per repeat, both sides of it measured in turn.

Those in `SCALINGS` yield a ratio for each size, or each part.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import torch
import yaml
from ase import Atoms
from bonds import bonds_of_ibuprofen_over_import, bonds_over_import, further_molecule_over_import
from inputs import Bench, Size, seconds, water
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.xtb import calculator
from e3d.data.molecule import Molecule, conformations
from e3d.decomposition import edges
from e3d.decomposition.chunk import CPU_EDGES
from e3d.decomposition.compilation import forward_of
from e3d.decomposition.forward import Forward, energy_network
from e3d.decomposition.maps import Settings, summarise_all
from e3d.models import batches
from e3d.models.allegro import Model, load_model
from e3d.paths import DATA
from e3d.training import train
from e3d.training.nequip import configuration
from e3d.training.settings import Settings as Training


def _decompose(model: Model, molecules: list[Molecule], forward: Forward | None = None) -> None:
    settings = Settings(max_edges=CPU_EDGES)
    summarise_all([model], molecules, settings, [forward] if forward else None)


def _graphs(bench: Bench, molecules: list[Molecule]) -> list[batches.Batch]:
    structures = conformations(molecules)
    return list(batches.batches(bench.model, structures, max_edges=CPU_EDGES))


def _forward(bench: Bench, graphs: list[batches.Batch]) -> Callable[[], None]:
    """Energies alone of some batches, once already, so that nothing is done for the first time."""
    network, fields = energy_network(bench.model), bench.model.module.model_input_fields

    def forward() -> None:
        for batch in graphs:
            with torch.no_grad():
                network({key: batch[key] for key in fields if key in batch})

    forward()
    return forward


def _over_forward(bench: Bench, molecules: list[Molecule]) -> Iterator[float]:
    forward = _forward(bench, _graphs(bench, molecules))
    for _ in range(bench.size.repeats):
        yield seconds(lambda: _decompose(bench.model, molecules)) / seconds(forward)


def decompose_over_bare_forward(bench: Bench) -> Iterator[float]:
    """Decomposition, graphs and statistics included, over energies alone of the same batches."""
    return _over_forward(bench, bench.some(bench.size.batched))


def decompose_over_bare_forward_31_atoms(bench: Bench) -> Iterator[float]:
    """As decompose_over_bare_forward, for molecules of 31 atoms."""
    return _over_forward(bench, bench.larger(bench.size.larger))


def forward_over_arithmetic(bench: Bench) -> Iterator[float]:
    """Energies alone over the time that their products and sums would take at the rate of a large
    matrix product, the limit of the machine."""
    forward = _forward(bench, _graphs(bench, bench.larger(bench.size.larger)))
    with torch.profiler.profile(with_flops=True) as profile:
        forward()
    operations = sum(event.flops for event in profile.key_averages())
    size = 1024
    matrix = torch.rand(size, size)
    for _ in range(bench.size.repeats):
        rate = 2 * size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(5))
        yield seconds(forward) * rate / operations


def _ase_over(bench: Bench, model: Model, molecules: list[Molecule]) -> Iterator[float]:
    from nequip.integrations.ase import NequIPCalculator

    calculator = NequIPCalculator(model.module, device="cpu", transforms=batches.transforms(model))

    def loop() -> None:
        for atoms in conformations(molecules):
            atoms.calc = calculator
            atoms.get_potential_energy()

    loop()
    for _ in range(bench.size.repeats):
        yield seconds(loop) / seconds(lambda: _decompose(model, molecules))


def ase_loop_over_decompose(bench: Bench) -> Iterator[float]:
    """nequip's ASE calculator, one structure at a time, over decomposition."""
    return _ase_over(bench, bench.model, bench.some(bench.size.looped))


def ase_loop_over_decompose_31_atoms(bench: Bench) -> Iterator[float]:
    """As ase_loop_over_decompose, for molecules of 31 atoms."""
    return _ase_over(bench, bench.model, bench.larger(bench.size.looped))


def ase_loop_over_decompose_tiny(bench: Bench) -> Iterator[float]:
    """As ase_loop_over_decompose, with a tiny model."""
    return _ase_over(bench, load_model(bench.tiny), bench.some(bench.size.looped))


def ase_loop_over_compiled_31_atoms(bench: Bench) -> Iterator[float]:
    """nequip's ASE calculator over decomposition with the compiled model, 31 atoms."""
    from nequip.integrations.ase import NequIPCalculator

    model, molecules = bench.model, bench.larger(bench.size.looped)
    calculator = NequIPCalculator(model.module, device="cpu", transforms=batches.transforms(model))
    forward = forward_of(model)

    def loop() -> None:
        for atoms in conformations(molecules):
            atoms.calc = calculator
            atoms.get_potential_energy()

    loop()
    _decompose(model, molecules, forward)
    for _ in range(bench.size.repeats):
        yield seconds(loop) / seconds(lambda: _decompose(model, molecules, forward))


def _eager_over_compiled(bench: Bench, molecules: list[Molecule]) -> Iterator[float]:
    forward = forward_of(bench.model)
    _decompose(bench.model, molecules, forward)
    for _ in range(bench.size.repeats):
        eager = seconds(lambda: _decompose(bench.model, molecules))
        yield eager / seconds(lambda: _decompose(bench.model, molecules, forward))


def eager_over_compiled(bench: Bench) -> Iterator[float]:
    """Decomposition over the same with the model compiled; compiling itself not included."""
    return _eager_over_compiled(bench, bench.some(bench.size.batched))


def eager_over_compiled_31_atoms(bench: Bench) -> Iterator[float]:
    """As eager_over_compiled, for molecules of 31 atoms."""
    return _eager_over_compiled(bench, bench.larger(bench.size.larger))


def rss_200k_over_20k(bench: Bench) -> Iterator[float]:
    """Peak memory of `e3d decompose` with ten times the conformations, over without."""
    for _ in range(bench.size.slow_repeats):
        small, large = (bench.command(n, 2)[1] for n in (bench.size.small, bench.size.large))
        yield large / small


def rss_200k_over_20k_tiny(bench: Bench) -> Iterator[float]:
    """As rss_200k_over_20k, with a tiny model, beside which any growth shows."""
    for _ in range(bench.size.slow_repeats):
        sizes = (bench.size.small, bench.size.large)
        small, large = (bench.command(n, 2, bench.tiny)[1] for n in sizes)
        yield large / small


def one_worker_over_two(bench: Bench) -> Iterator[float]:
    """Wall time of `e3d decompose` with one process over that with two, for each further
    conformation: the start, which does not depend on their number, is left out."""
    few, many = bench.size.shared_out
    for times in bench.of_workers:
        yield (times[many, 1] - times[few, 1]) / (times[many, 2] - times[few, 2])


def one_worker_over_two_at_most(bench: Bench) -> Iterator[float]:
    """What two processes gain at most on this machine, sharing its caches and memory: energies
    alone, twice the time of one process over that of two at once."""
    n = bench.size.batched
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(_forward_time, [n, n]))  # models are loaded
        for _ in range(bench.size.repeats):
            one = pool.submit(_forward_time, n).result()
            yield 2 * one / max(pool.map(_forward_time, [n, n]))


def _forward_time(n_conformations: int) -> float:
    forward = _forward_of(n_conformations)
    return seconds(lambda: [forward() for _ in range(10)])


@cache
def _forward_of(n_conformations: int) -> Callable[[], None]:
    bench = Bench(Size(batched=n_conformations), Path())
    return _forward(bench, _graphs(bench, bench.some(n_conformations)))


def one_worker_over_two_with_start(bench: Bench) -> Iterator[dict[int, float]]:
    """Wall time of `e3d decompose` with one process over that with two, the start included, by
    conformations."""
    for times in bench.of_workers:
        yield {n: times[n, 1] / times[n, 2] for n in bench.size.shared_out}


def training_over_nequip_train(bench: Bench) -> Iterator[float]:
    """`e3d.training.train` over nequip-train with the same configuration."""
    settings = Training(
        dataset=str(DATA / "dft-small.h5"), steps=bench.size.steps, compile=False, l_max=1
    )
    for k in range(bench.size.few_repeats):
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


def time_per_atom_of_water(bench: Bench) -> Iterator[dict[int, float]]:
    """Time per atom of a periodic box of water, over that of the smallest box, by atoms."""
    boxes = [water(n) for n in bench.size.water]
    list(edges.decompose(bench.model, boxes[:1]))
    for _ in range(bench.size.slow_repeats + 2 * (bench.size.repeats > 1)):
        times = {len(b): seconds(lambda b=b: list(edges.decompose(bench.model, [b]))) / len(b)
                 for b in boxes}  # fmt: skip
        yield {n: t / next(iter(times.values())) for n, t in times.items()}


def time_per_conformation(bench: Bench) -> Iterator[dict[int, float]]:
    """Wall time per conformation of `e3d decompose`, start included, over that of the largest file,
    by conformations, with a tiny model."""
    for _ in range(bench.size.slow_repeats):
        times = {n: bench.command(n, 1, bench.tiny)[0] / n for n in bench.size.conformations}
        yield {n: t / times[max(times)] for n, t in times.items()}


def share_of_time(bench: Bench) -> Iterator[dict[str, float]]:
    """Where the time of decomposing molecules of 31 atoms goes, as shares of the whole."""
    molecules = bench.larger(bench.size.larger)
    forward = _forward(bench, _graphs(bench, molecules))
    for _ in range(bench.size.repeats):
        whole = seconds(lambda: _decompose(bench.model, molecules))
        parts = {"energies of edges": seconds(forward) / whole,
                 "graphs": seconds(lambda: _graphs(bench, molecules)) / whole}  # fmt: skip
        yield parts | {"statistics": 1 - sum(parts.values())}


ROWS: tuple[Callable[[Bench], Iterator[float]], ...] = (
    decompose_over_bare_forward, decompose_over_bare_forward_31_atoms, forward_over_arithmetic,
    ase_loop_over_decompose,
    ase_loop_over_decompose_31_atoms, ase_loop_over_decompose_tiny,
    ase_loop_over_compiled_31_atoms, eager_over_compiled, eager_over_compiled_31_atoms,
    rss_200k_over_20k, rss_200k_over_20k_tiny, one_worker_over_two, one_worker_over_two_at_most,
    training_over_nequip_train,
    gfn2_fragments_over_decompose, bonds_over_import, bonds_of_ibuprofen_over_import,
    further_molecule_over_import,
)  # fmt: skip
SCALINGS: tuple[Callable[[Bench], Iterator[dict[int, float]] | Iterator[dict[str, float]]], ...] = (
    share_of_time, one_worker_over_two_with_start, time_per_atom_of_water, time_per_conformation,
)  # fmt: skip
