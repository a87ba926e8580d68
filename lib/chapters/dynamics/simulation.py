"""Molecular dynamics of several molecules at a time, driven by a network or by what it is held to.

ASE integrates: the molecules are one `Atoms` whose parts do not feel each other, so that a network
evaluates all of them in one batch. A molecule that has come to its end leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from jaxtyping import Float, Int
from scipy.stats import linregress

from chapters.dynamics.potentials import Potential
from e3d.chemistry.bonding import bond_lengths
from e3d.errors import E3DError

#: A bond is broken by length beyond so many times its relaxed length.
MAX_STRETCH = 1.5
#: Two atoms have collapsed onto each other within so many times the sum of their covalent radii.
MIN_CONTACT = 0.5
#: Å; a molecule that reaches further has come apart, and its neighbours are no longer searched.
MAX_EXTENT = 60.0


class BatchCalculator(Calculator):
    """ASE calculator of an `Atoms` that holds molecules of given sizes one after the other.

    `results["molecule_energies"]` (n,) in eV. A molecule that is not finite, or has flown apart, is
    not evaluated: its energy is NaN and no force acts on it.
    """

    implemented_properties = ["energy", "forces", "molecule_energies"]  # noqa: RUF012

    def __init__(self, driver: Potential, sizes: Sequence[int]):
        super().__init__()
        self.driver = driver
        self.bounds = np.cumsum(sizes)[:-1]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        all_atoms: Any = self.atoms  # which super() has set
        numbers = np.split(all_atoms.numbers, self.bounds)
        positions = np.split(all_atoms.positions, self.bounds)
        parts = [Atoms(z, x) for z, x in zip(numbers, positions, strict=True)]
        forces = [np.zeros((len(part), 3)) for part in parts]
        energies = np.full(len(parts), np.nan)
        sound = [k for k, part in enumerate(parts) if is_evaluable(part.positions)]
        found = self.driver([parts[k] for k in sound]) if sound else ((), ())
        for k, energy, force in zip(sound, *found, strict=True):
            if np.isfinite(energy) and np.isfinite(force).all():
                energies[k], forces[k] = energy, force
        self.results = {"energy": float(np.nansum(energies)), "forces": np.concatenate(forces),
                        "molecule_energies": energies}  # fmt: skip


def is_evaluable(positions: Float[np.ndarray, "n_atoms 3"]) -> bool:
    """Finite positions, in Å, no further apart than a neighbour search should look."""
    return bool(np.isfinite(positions).all() and np.ptp(positions, axis=0).max() < MAX_EXTENT)


@dataclass(frozen=True)
class Protocol:
    """How dynamics is run. friction 0: at constant energy, by velocity Verlet, else Langevin.

    A run ends after `length_fs`, `after_break_fs` after a bond was first broken by length, or when
    atoms collapse or are lost.
    """

    time_step_fs: float | int
    length_fs: float | int
    every_fs: float | int
    friction_per_fs: float | int = 0.0
    after_break_fs: float | int = 0.0


@dataclass
class Trajectory:
    """One molecule over time. end: `whole`, `broken`, `collapsed` or `lost`.

    times (F,) in fs; positions (F, N, 3) in Å; potential and kinetic (F,) in eV. The first frame is
    the start.
    """

    times: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    potential: list[float] = field(default_factory=list)
    kinetic: list[float] = field(default_factory=list)
    broken_at: float = np.inf
    end: str = ""


def collapsed(numbers: Int[np.ndarray, " n_atoms"], positions: np.ndarray) -> bool:
    """Whether two atoms are nearer than `MIN_CONTACT` times the sum of their covalent radii."""
    pairs = np.column_stack(np.triu_indices(len(numbers), k=1))
    radii = covalent_radii[numbers[pairs]].sum(axis=1)
    return bool((bond_lengths(positions, pairs) < MIN_CONTACT * radii).any())


class _Running(NamedTuple):
    atoms: Atoms
    bonds: np.ndarray
    trajectory: Trajectory


def simulate(
    driver: Potential,
    starts: Sequence[Atoms],
    bonds: Sequence[Int[np.ndarray, "_ 2"]],
    protocol: Protocol,
    *,
    temperature_K: float | int,
    seed: Sequence[int],
) -> list[Trajectory]:
    """Trajectories of molecules from their relaxed geometries, all with the same driver.

    Momenta are drawn at twice the temperature: half of that energy becomes potential energy.
    bonds: of each molecule; its relaxed lengths are those at the start. seed: of the momenta and of
    the noise.
    """
    rng = np.random.default_rng(list(seed))
    running = []
    for start, pairs in zip(starts, bonds, strict=True):
        atoms = Atoms(start.numbers, start.positions)
        thermalize_momenta(atoms, temperature_K=2 * temperature_K, rng=rng)
        Stationary(atoms, preserve_temperature=False)
        running.append(_Running(atoms, pairs, Trajectory()))
    trajectories = [one.trajectory for one in running]
    every = round(protocol.every_fs / protocol.time_step_fs)
    time, joined, dynamics = 0.0, *_joined(driver, running, protocol, temperature_K, rng)
    while running:
        if time > 0:
            dynamics.run(every)
        _record(joined, running, time)
        kept = [one for one in running if not _has_ended(one, time, protocol)]
        if kept and len(kept) < len(running):
            joined, dynamics = _joined(driver, kept, protocol, temperature_K, rng)
        running, time = kept, time + protocol.every_fs
    return trajectories


def _joined(
    driver: Potential, running: list[_Running], protocol: Protocol, kelvin: float | int, rng: Any
) -> tuple[Atoms, Any]:
    """All molecules as one `Atoms`, and the dynamics that moves them."""
    joined = Atoms()
    for one in running:
        joined += one.atoms
    joined.calc = BatchCalculator(driver, [len(one.atoms) for one in running])
    step = protocol.time_step_fs * units.fs
    if not protocol.friction_per_fs:
        return joined, VelocityVerlet(joined, step)
    friction = protocol.friction_per_fs / units.fs
    return joined, Langevin(
        joined, step, temperature_K=kelvin, friction=friction, fixcm=False, rng=rng
    )


def _record(joined: Atoms, running: list[_Running], time: float) -> None:
    """Give every molecule its part of the state, and its trajectory a frame."""
    joined.get_forces()
    energies = joined.calc.results["molecule_energies"]
    first = 0
    for one, energy in zip(running, energies, strict=True):
        part = slice(first, first + len(one.atoms))
        one.atoms.positions = joined.positions[part]
        one.atoms.set_momenta(joined.get_momenta()[part])
        trajectory, first = one.trajectory, part.stop
        trajectory.times.append(time)
        trajectory.positions.append(one.atoms.positions.copy())
        trajectory.potential.append(float(energy))
        trajectory.kinetic.append(float(one.atoms.get_kinetic_energy()))


def _has_ended(one: _Running, time: float, protocol: Protocol) -> bool:
    """Whether the last frame of a trajectory is its end, which is then written down."""
    run = one.trajectory
    if not (is_evaluable(run.positions[-1]) and np.isfinite(run.potential[-1])):
        run.end = "lost"
    elif collapsed(one.atoms.numbers, run.positions[-1]):
        run.end = "collapsed"
    else:
        lengths = bond_lengths(np.array([run.positions[0], run.positions[-1]]), one.bonds)
        if (lengths[1] > MAX_STRETCH * lengths[0]).any():
            run.broken_at = min(run.broken_at, time)
        if time >= run.broken_at + protocol.after_break_fs:
            run.end = "broken"
        elif time >= protocol.length_fs:
            run.end = "whole" if np.isinf(run.broken_at) else "broken"
    return bool(run.end)


class Drift(NamedTuple):
    """A line through a total energy: slope and its standard error in meV/atom/ps, and what remains,
    a standard deviation in meV/atom. The error takes what remains for noise."""

    slope: float
    error: float
    spread: float


def energy_drift(
    times: Float[np.ndarray, " n_frames"], energies: Float[np.ndarray, " n_frames"], n_atoms: int
) -> Drift:
    """Drift of a total energy, times in fs and energies in eV. Raises E3DError under 3 frames."""
    if len(times) < 3:
        raise E3DError(f"a drift needs three frames or more, got {len(times)}; was the run lost?")
    line = linregress(times / 1000, 1000 * energies / n_atoms)
    remains = 1000 * energies / n_atoms - line.slope * times / 1000 - line.intercept
    return Drift(float(line.slope), float(line.stderr), float(remains.std(ddof=2)))
