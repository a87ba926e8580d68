"""Molecular dynamics of several molecules at a time with any potential.

ASE integrates the equations of motion. All molecules are parts of one `Atoms` and do not interact,
so that a network evaluates them in one batch. A molecule whose trajectory has ended is removed
without any effect on the others.
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

#: A bond longer than this many times its relaxed length counts as broken.
MAX_STRETCH = 1.5
#: Two atoms closer than this many times the sum of their covalent radii have collapsed.
MIN_CONTACT = 0.5
#: Å; a larger molecule has flown apart and is no longer evaluated.
MAX_EXTENT = 60.0


class BatchCalculator(Calculator):
    """ASE calculator for an `Atoms` that consists of consecutive molecules of given sizes.

    `results["molecule_energies"]` (n,) in eV. A molecule that is not finite, or has flown apart, is
    not evaluated: its energy is NaN and no force acts on it.
    """

    implemented_properties = ["energy", "forces", "molecule_energies"]  # noqa: RUF012

    def __init__(self, potential: Potential, sizes: Sequence[int]):
        super().__init__()
        self.potential = potential
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
        evaluable = [k for k, part in enumerate(parts) if is_evaluable(part.positions)]
        found = self.potential([parts[k] for k in evaluable]) if evaluable else ((), ())
        for k, energy, force in zip(evaluable, *found, strict=True):
            if np.isfinite(energy) and np.isfinite(force).all():
                energies[k], forces[k] = energy, force
        self.results = {"energy": float(np.nansum(energies)), "forces": np.concatenate(forces),
                        "molecule_energies": energies}  # fmt: skip


def is_evaluable(positions: Float[np.ndarray, "n_atoms 3"]) -> bool:
    """Whether positions, in Å, are finite and no further apart than `MAX_EXTENT`."""
    return bool(np.isfinite(positions).all() and np.ptp(positions, axis=0).max() < MAX_EXTENT)


@dataclass(frozen=True)
class Protocol:
    """Settings of a simulation: velocity Verlet at constant energy where the friction is zero,
    Langevin dynamics otherwise.

    A trajectory has a frame every `every_fs`. It ends after `length_fs`, or `after_break_fs` after
    the first break of a bond, or when atoms collapse or the molecule is lost.
    """

    time_step_fs: float | int
    length_fs: float | int
    every_fs: float | int
    friction_per_fs: float | int = 0.0
    after_break_fs: float | int = 0.0


@dataclass
class Trajectory:
    """One molecule over time, its start being the first of F frames.

    times (F,) in fs; positions (F, N, 3) in Å; potential_energies and kinetic_energies (F,) in eV;
    broken_at: time of the first break in fs, infinite if there is none; end: `whole`, `broken`,
    `collapsed`, or `lost` where it could no longer be evaluated.
    """

    times: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    potential_energies: list[float] = field(default_factory=list)
    kinetic_energies: list[float] = field(default_factory=list)
    broken_at: float = np.inf
    end: str = ""


def collapsed(numbers: Int[np.ndarray, " n_atoms"], positions: np.ndarray) -> bool:
    """Whether two atoms are closer than `MIN_CONTACT` times the sum of their covalent radii.

    positions (N, 3) in Å.
    """
    pairs = np.column_stack(np.triu_indices(len(numbers), k=1))
    radii = covalent_radii[numbers[pairs]].sum(axis=1)
    return bool((bond_lengths(positions, pairs) < MIN_CONTACT * radii).any())


class _Running(NamedTuple):
    atoms: Atoms
    bonds: np.ndarray
    trajectory: Trajectory


def simulate(
    potential: Potential,
    starts: Sequence[Atoms],
    bonds: Sequence[Int[np.ndarray, "_ 2"]],
    protocol: Protocol,
    *,
    temperature_K: float | int,
    seed: Sequence[int],
) -> list[Trajectory]:
    """Trajectories of molecules that start from their relaxed geometries, with one potential.

    Momenta are drawn at twice the temperature: half of that energy becomes potential energy.
    bonds (n_bonds, 2) of each molecule, whose lengths at the start are the relaxed ones; seed: of
    the momenta and of the Langevin noise.
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
    time, joined, dynamics = 0.0, *_joined(potential, running, protocol, temperature_K, rng)
    while running:
        if time > 0:
            dynamics.run(every)
        _record(joined, running, time)
        kept = [one for one in running if not _has_ended(one, time, protocol)]
        if kept and len(kept) < len(running):
            joined, dynamics = _joined(potential, kept, protocol, temperature_K, rng)
        running, time = kept, time + protocol.every_fs
    return trajectories


def _joined(
    potential: Potential, running: list[_Running], protocol: Protocol, kelvin: float | int, rng: Any
) -> tuple[Atoms, Any]:
    """All molecules as one `Atoms`, and its integrator."""
    joined = Atoms()
    for one in running:
        joined += one.atoms
    joined.calc = BatchCalculator(potential, [len(one.atoms) for one in running])
    step = protocol.time_step_fs * units.fs
    if not protocol.friction_per_fs:
        return joined, VelocityVerlet(joined, step)
    friction = protocol.friction_per_fs / units.fs
    return joined, Langevin(
        joined, step, temperature_K=kelvin, friction=friction, fixcm=False, rng=rng
    )


def _record(joined: Atoms, running: list[_Running], time: float) -> None:
    """Copy the state of the joined atoms to the molecules, and append it to their trajectories."""
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
        trajectory.potential_energies.append(float(energy))
        trajectory.kinetic_energies.append(float(one.atoms.get_kinetic_energy()))


def _has_ended(one: _Running, time: float, protocol: Protocol) -> bool:
    """Whether the last frame of a trajectory is its end, which is then recorded in it."""
    run = one.trajectory
    if not (is_evaluable(run.positions[-1]) and np.isfinite(run.potential_energies[-1])):
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
    """Linear fit of a total energy: slope and its standard error in meV/atom/ps, and spread, the
    standard deviation of the residuals in meV/atom. The error treats the residuals as noise."""

    slope: float
    error: float
    spread: float


def energy_drift(
    times: Float[np.ndarray, " n_frames"], energies: Float[np.ndarray, " n_frames"], n_atoms: int
) -> Drift:
    """Drift of a total energy: times in fs, energies in eV.

    Raises E3DError for fewer than three frames.
    """
    if len(times) < 3:
        raise E3DError(f"a drift needs three frames or more, got {len(times)}; was the run lost?")
    line = linregress(times / 1000, 1000 * energies / n_atoms)
    residuals = 1000 * energies / n_atoms - line.slope * times / 1000 - line.intercept
    return Drift(float(line.slope), float(line.stderr), float(residuals.std(ddof=2)))
