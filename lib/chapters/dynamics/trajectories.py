"""Trajectories in a file: planned as tasks and computed in a pool of processes.

The file has one group per trajectory, see `Record`. Times are in fs, positions in Å, energies in
eV; bond orders have no unit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms

from chapters.dynamics import potentials
from chapters.dynamics.simulation import Protocol, Trajectory, simulate
from e3d.chemistry import bonding
from e3d.data import split
from e3d.data.dataset import DAMAGED
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.models.pair import PairPotential
from e3d.parallel import map_resumable
from e3d.units import EV_PER_HARTREE

#: Tasks per process before it is replaced: GFN2-xTB slows down in a process that has run for long.
TASKS_PER_WORKER = 4
_UNITS = {"times": "fs", "positions": "angstrom", "potential": "eV", "kinetic": "eV",
          "orders": "", "cold_orders": "", "gfn2": "eV"}  # fmt: skip
_TEXTS = ("kind", "driver", "molecule", "smiles", "fold", "end")
_NUMBERS = ("temperature_K", "replica", "time_step_fs", "length_fs", "broken_at_fs")


@dataclass(frozen=True)
class SimulationTask:
    """A simulation of several molecules with one potential, and which frames are stored.

    potential: its name, as of `potential_by_name`. Stored are frames `keep_fs` apart, and all
    frames from `window_fs` before the first break of a bond onwards. with_bond_orders: whether the
    stored frames get Wiberg bond orders, with electrons at `electronic_K`.
    """

    kind: str
    potential: str
    molecules: tuple[str, ...]
    temperature_K: int
    replica: int
    protocol: Protocol
    keep_fs: float | int
    window_fs: float | int = 0.0
    with_bond_orders: bool = False
    electronic_K: float | int = 5000.0

    @property
    def key(self) -> str:
        """All that determines the outcome, as JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Record:
    """One trajectory as it is stored, with F frames, of which the first is the relaxed start.

    kind: purpose of the simulation; driver: name of its potential, as of `potential_by_name`;
    smiles with atom maps; end as of `Trajectory`; times (F,); positions (F, N, 3); potential and
    kinetic energies (F,). With bond orders: `orders` and `cold_orders` (F, n_bonds), the GFN2-xTB
    Wiberg orders of the bonds of the start with warm electrons and at `COLD_K`, and `gfn2` (F,),
    the energy at `COLD_K`; NaN where the SCF did not converge.
    """

    kind: str
    driver: str
    molecule: str
    smiles: str
    fold: str
    end: str
    temperature_K: float | int
    replica: float | int
    time_step_fs: float | int
    length_fs: float | int
    broken_at_fs: float | int
    atomic_numbers: np.ndarray
    times: np.ndarray
    positions: np.ndarray
    potential: np.ndarray
    kinetic: np.ndarray
    orders: np.ndarray | None = None
    cold_orders: np.ndarray | None = None
    gfn2: np.ndarray | None = None

    @cached_property
    def bonds(self) -> np.ndarray:
        """Bonds (n_bonds, 2) of the start, i < j."""
        return bonding.bond_pairs(bonding.from_mapped_smiles(self.smiles))

    @cached_property
    def classes(self) -> list[str]:
        """Class of each bond."""
        graph = bonding.from_mapped_smiles(self.smiles)
        return [bonding.bond_class(graph, i, j) for i, j in self.bonds.tolist()]

    def structures(self) -> list[Atoms]:
        """All frames as ASE structures."""
        return [Atoms(self.atomic_numbers, frame) for frame in self.positions]


def choose(
    molecules: Sequence[Molecule], *, held_out: int, trained: int, n_atoms: tuple[int, int]
) -> list[Molecule]:
    """A greedy choice of molecules that cover many bond classes, held-out ones first.

    `held_out` molecules of the test fold, then `trained` ones of the training fold. Each next one
    adds most new classes; ties go to the smaller, then to the first by name. n_atoms: the smallest
    and the largest number of atoms.
    """
    chosen: list[Molecule] = []
    seen: set[str] = set()
    fits = [m for m in molecules if n_atoms[0] <= len(m.atomic_numbers) <= n_atoms[1]]
    for fold, count in (("test", held_out), ("train", trained)):
        pool = {m.name: m for m in fits if split.fold(m.smiles) == fold}
        for _ in range(min(count, len(pool))):
            best = min(pool.values(), key=lambda m: (-len(set(m.bond_classes) - seen),
                                                     len(m.atomic_numbers), m.name))  # fmt: skip
            chosen.append(pool.pop(best.name))
            seen |= set(best.bond_classes)
    return chosen


def run_tasks(
    tasks: Sequence[SimulationTask],
    molecules: Sequence[Molecule],
    out: str | Path,
    *,
    fitted_pair: PairPotential | None = None,
    n_workers: int | None = None,
    progress: bool = True,
) -> None:
    """Run tasks in a pool and write all trajectories, in the order of the tasks, to `out`.

    fitted_pair: what tasks with the potential `pair` use. An interrupted call resumes. Raises
    E3DError when a task names an unknown molecule, when one fails, and as `map_resumable` does.
    """
    known = {m.name: m for m in molecules}
    if unknown := sorted({name for task in tasks for name in task.molecules} - known.keys()):
        raise E3DError(f"no molecule is called {unknown[0]!r}; known: {', '.join(sorted(known))}")
    map_resumable(
        partial(run_task, molecules=known, fitted_pair=fitted_pair), tasks, Path(out), _join,
        key=_key, complete=True, unit="task", n_workers=n_workers, renew_after=TASKS_PER_WORKER,
        progress=progress,
    )  # fmt: skip


def _join(paths: list[Path], new: Path) -> None:
    write(new, (record for path in paths for record in read(path)))


def _key(task: SimulationTask) -> str:
    return task.key


def run_task(
    task: SimulationTask,
    path: Path,
    *,
    molecules: Mapping[str, Molecule],
    fitted_pair: PairPotential | None,
) -> None:
    """Run one task and write its trajectories to the file `path`."""
    sources = [molecules[name] for name in task.molecules]
    starts = [Atoms(m.atomic_numbers, m.relaxed.positions[0]) for m in sources]
    graphs = [bonding.from_mapped_smiles(m.smiles) for m in sources]
    bonds = [bonding.bond_pairs(graph) for graph in graphs]
    # the same momenta and noise for every potential and time step
    digest = hashlib.sha256("".join(task.molecules).encode()).digest()
    seed = [task.temperature_K, task.replica, *digest[:4]]
    runs = simulate(
        potentials.potential_by_name(task.potential, fitted_pair), starts, bonds, task.protocol,
        temperature_K=task.temperature_K, seed=seed,
    )  # fmt: skip
    write(path, [_record(task, m, run) for m, run in zip(sources, runs, strict=True)])


def _kept(task: SimulationTask, run: Trajectory) -> np.ndarray:
    """Indices of the frames to be stored, see `SimulationTask`; an unphysical last one is not."""
    times = np.array(run.times)
    stride = max(round(task.keep_fs / task.protocol.every_fs), 1)
    near = np.abs(times - run.broken_at + task.window_fs / 2) <= task.window_fs / 2
    kept = (np.arange(len(times)) % stride == 0) | near | (times >= run.broken_at)
    kept[-1] = run.end not in ("lost", "collapsed")
    return np.flatnonzero(kept)


def _record(task: SimulationTask, source: Molecule, run: Trajectory) -> Record:
    kept = _kept(task, run)
    positions = np.array(run.positions)[kept]
    record = Record(
        kind=task.kind, driver=task.potential, molecule=source.name, smiles=source.smiles,
        fold=split.fold(source.smiles), end=run.end, temperature_K=task.temperature_K,
        replica=task.replica, time_step_fs=task.protocol.time_step_fs, length_fs=run.times[-1],
        broken_at_fs=run.broken_at, atomic_numbers=source.atomic_numbers.astype(np.int16),
        times=np.array(run.times, dtype=np.float32)[kept], positions=positions.astype(np.float32),
        potential=np.array(run.potential_energies)[kept],
        kinetic=np.array(run.kinetic_energies)[kept],
    )  # fmt: skip
    return _with_bond_orders(record, task.electronic_K) if task.with_bond_orders else record


def _with_bond_orders(record: Record, electronic_K: float | int) -> Record:
    """The record with GFN2-xTB bond orders and energies of its frames, rounded as stored."""
    i, j = record.bonds.T
    warm, cold = (
        [potentials.gfn2_point(frame, kelvin) for frame in record.structures()]
        for kelvin in (electronic_K, potentials.COLD_K)
    )
    return replace(
        record,
        orders=np.array([point.orders[i, j] for point in warm], dtype=np.float32),
        cold_orders=np.array([point.orders[i, j] for point in cold], dtype=np.float32),
        gfn2=np.array([point.energy for point in cold]) * EV_PER_HARTREE,
    )


def write(path: Path, records: Iterable[Record]) -> None:
    """Write records to an HDF5 file, one group each, in their order."""
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["provenance"] = f"Dynamics by ASE {version('ase')}, drivers as named."
        file.attrs["license"] = "CC0-1.0"
        for number, record in enumerate(records):
            group = file.create_group(f"{number:05d}")
            for name in (*_TEXTS, *_NUMBERS):
                group.attrs[name] = getattr(record, name)
            group["atomic_numbers"] = record.atomic_numbers
            for name, unit in _UNITS.items():
                if (values := getattr(record, name)) is not None:
                    data = group.create_dataset(name, data=values, compression="gzip", shuffle=True)
                    data.attrs["units"] = unit


def read(path: str | Path) -> list[Record]:
    """All records of a file, in their order. Raises E3DError when it is missing or damaged."""
    try:
        with h5py.File(path) as file:
            return [_read(file[name]) for name in sorted(file)]
    except DAMAGED as error:
        raise E3DError(
            f"{path} is missing or no file of trajectories ({error}); `make pull` fetches the "
            "project's"
        ) from error


def _read(group: h5py.Group) -> Record:
    texts = {name: str(group.attrs[name]) for name in _TEXTS}
    numbers = {name: float(group.attrs[name]) for name in _NUMBERS}
    arrays = {
        name: np.asarray(group[name]) for name in ("atomic_numbers", *_UNITS) if name in group
    }
    return Record(**texts, **numbers, **arrays)  # type: ignore[arg-type]
