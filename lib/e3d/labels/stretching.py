"""Stretch curves of bonds by broken-symmetry DFT, rigid and relaxed.

A closed-shell determinant cannot dissociate into radicals, so the singlet is unrestricted here. At
the largest distance the SCF starts from the high-spin state with the spins of one fragment flipped;
each shorter length starts from the density of the one before, and every solution is checked for
stability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixBondLength
from ase.optimize import BFGS

from e3d.chemistry import bonding
from e3d.chemistry.dft import (
    atom_of_each_orbital,
    gradient,
    kohn_sham,
    open_shell_energy,
    stable_energy,
)
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

#: Basis sets of the relaxation and of the energies.
SMALL, LARGE = "def2-svp", "def2-tzvp"


@dataclass(frozen=True)
class Stretch:
    """A bond to be stretched.

    numbers (N,), positions (N, 3) in Å: the molecule at its minimum; i, j: the bond; moved: the
    atoms on the side of j; order: number of electron pairs that are broken; lengths: r in Å;
    relaxed: whether everything but r relaxes at each length.
    """

    smiles: str
    bond_class: str
    numbers: np.ndarray
    positions: np.ndarray
    i: int
    j: int
    moved: tuple[int, ...]
    order: int
    lengths: tuple[float, ...]
    relaxed: bool

    @property
    def equilibrium(self) -> float:
        """Length of the bond at the minimum in Å."""
        return float(np.linalg.norm(self.positions[self.i] - self.positions[self.j]))

    @property
    def name(self) -> str:
        """Molecule, bond class and kind of the curve."""
        return f"{self.smiles} {self.bond_class} {'relaxed' if self.relaxed else 'rigid'}"


def lengths(
    equilibrium: float, fractions: Sequence[float], largest: float, n_beyond: int
) -> tuple[float, ...]:
    """Lengths of a curve in Å, ascending: `fractions` of the equilibrium length, and beyond the
    largest of them `n_beyond` evenly spaced ones up to `largest` Å."""
    near = equilibrium * np.asarray(sorted(fractions))
    return (*near.tolist(), *np.linspace(near[-1], largest, n_beyond + 1)[1:].tolist())


def stretch(
    entry: Molecule,
    bond_class: str,
    *,
    fractions: Sequence[float],
    largest: float = 4.0,
    n_beyond: int = 0,
    relaxed: bool = False,
) -> Stretch:
    """The first bond of a class in a data-set molecule, as a curve with `lengths`.

    Raises E3DError when no bond of that class leaves two fragments.
    """
    graph = bonding.from_mapped_smiles(entry.smiles)
    positions = entry.relaxed.positions[0]
    for i, j in bonding.bond_pairs(graph).tolist():
        bond = graph.GetBondBetweenAtoms(i, j)
        if bonding.bond_class(graph, i, j) == bond_class and not bond.IsInRing():
            return Stretch(
                entry.canonical_smiles, bond_class, entry.atomic_numbers, positions, i, j,
                bonding.sides(graph, i, j)[1], round(bond.GetBondTypeAsDouble()),
                lengths(float(np.linalg.norm(positions[i] - positions[j])), fractions, largest,
                        n_beyond),
                relaxed,
            )  # fmt: skip
    raise E3DError(f"{entry.canonical_smiles} has no bond of class {bond_class} outside rings")


def stretched(job: Stretch, positions: np.ndarray, length: float) -> np.ndarray:
    """Positions (N, 3) in Å with the side of j moved along the bond until it is `length` Å long."""
    along = positions[job.j] - positions[job.i]
    distance = np.linalg.norm(along)
    moved = positions.copy()
    moved[list(job.moved)] += (length - distance) * along / distance
    return moved


def curve(job: Stretch) -> list[Atoms]:
    """Geometries along the curve in the order of their lengths, with DFT energies.

    `info`: name, smiles, class, i, j, relaxed, length_A, equilibrium_A (of the bond in the
    molecule), energy_eV (ωB97M-D3(BJ)/def2-TZVP of the broken-symmetry singlet) and spin_square
    ⟨S²⟩, zero where all spins are paired. Geometries relax with def2-SVP. Raises E3DError when an
    SCF or a relaxation does not converge.
    """
    images = []
    positions, density, coarse = job.positions, None, None
    for length in sorted(job.lengths, reverse=True):
        if job.relaxed:
            positions = stretched(job, positions, length)
            if coarse is None:
                coarse = broken_symmetry_guess(job, positions, SMALL)
            positions, coarse = _relaxed(job, positions, coarse)
        else:
            positions = stretched(job, job.positions, length)
        if density is None:
            density = broken_symmetry_guess(job, positions, LARGE)
        mean_field = kohn_sham(
            job.numbers, positions / ANGSTROM_PER_BOHR, basis=LARGE, unrestricted=True
        )
        energy = stable_energy(mean_field, density) * EV_PER_HARTREE
        density = np.asarray(mean_field.make_rdm1())
        info = {"length_A": float(length), "equilibrium_A": job.equilibrium, "energy_eV": energy,
                "spin_square": float(mean_field.spin_square()[0])}  # fmt: skip
        images.append(Atoms(job.numbers, positions, info=_identity(job) | info))
    return images[::-1]


def _identity(job: Stretch) -> dict[str, Any]:
    return {"name": job.name, "smiles": job.smiles, "class": job.bond_class, "i": job.i, "j": job.j,
            "relaxed": job.relaxed}  # fmt: skip


def broken_symmetry_guess(job: Stretch, positions: np.ndarray, basis: str) -> np.ndarray:
    """Density matrices (2, n, n) of a singlet whose fragments have opposite spins.

    They are those of the high-spin state with the spins flipped on the side of j. positions (N, 3)
    in Å. Raises E3DError when the SCF of the high-spin state does not converge.
    """
    mean_field = kohn_sham(
        job.numbers, positions / ANGSTROM_PER_BOHR, unpaired=2 * job.order, basis=basis
    )
    open_shell_energy(mean_field)
    up, down = mean_field.make_rdm1()
    moved = np.isin(atom_of_each_orbital(mean_field.mol), job.moved)
    inside, flipped = np.ix_(moved, moved), (np.asarray(up).copy(), np.asarray(down).copy())
    flipped[0][inside], flipped[1][inside] = down[inside], up[inside]
    for mixed in (np.ix_(moved, ~moved), np.ix_(~moved, moved)):
        flipped[0][mixed] = flipped[1][mixed] = (up[mixed] + down[mixed]) / 2
    return np.stack(flipped)


class _Singlet(Calculator):
    """An unrestricted singlet; each SCF starts from the density of the one before."""

    def __init__(self, density: np.ndarray) -> None:
        super().__init__()
        self.implemented_properties = ["energy", "forces"]
        self.density = density

    def calculate(self, atoms: Any = None, properties: Any = ("energy",),
                  system_changes: Any = tuple(all_changes)) -> None:  # fmt: skip
        super().calculate(atoms, properties, system_changes)
        mean_field = kohn_sham(
            atoms.numbers, atoms.positions / ANGSTROM_PER_BOHR, basis=SMALL, unrestricted=True
        )
        energy = open_shell_energy(mean_field, self.density)
        self.density = np.asarray(mean_field.make_rdm1())
        forces = -gradient(mean_field) * EV_PER_HARTREE / ANGSTROM_PER_BOHR
        self.results = {"energy": energy * EV_PER_HARTREE, "forces": forces}


def _relaxed(
    job: Stretch, positions: np.ndarray, density: np.ndarray, fmax: float = 0.1, steps: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """The minimum at this length of the bond, to `fmax` eV/Å, and its density matrices."""
    atoms = Atoms(job.numbers, positions)
    if len(atoms) == 2:
        return positions, density
    atoms.set_constraint(FixBondLength(job.i, job.j))
    # the density of another length may lead to an excited state, in which other bonds would break
    mean_field = kohn_sham(
        job.numbers, positions / ANGSTROM_PER_BOHR, basis=SMALL, unrestricted=True
    )
    stable_energy(mean_field, density)
    calculator = _Singlet(np.asarray(mean_field.make_rdm1()))
    atoms.calc = calculator
    if not BFGS(atoms, logfile=None, maxstep=0.1).run(fmax=fmax, steps=steps):
        length = atoms.get_distance(job.i, job.j)
        raise E3DError(
            f"{job.name}: no minimum within {steps} steps at {length:.2f} Å; the energy surface of "
            "distant fragments may be flat, leave out the largest lengths"
        )
    return atoms.positions, calculator.density


def label_stretches(
    jobs: Sequence[Stretch],
    out: str | Path,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write the curves of all jobs to one extended XYZ file; an interrupted call resumes.

    Returns the curves left out with their reasons. Raises E3DError as `map_resumable` does.
    """
    left_out = map_resumable(
        _write, jobs, Path(out), _join, key=_key, unit="curve", n_workers=n_workers,
        progress=progress,
    )  # fmt: skip
    return {_key(job): reason for job, reason in left_out}


def _join(paths: list[Path], new: Path) -> None:
    images = [image for path in paths for image in ase.io.iread(path, index=":", format="extxyz")]
    ase.io.write(new, images, format="extxyz")


def _key(job: Stretch) -> str:
    """Distinguishes curves of the same bond with different lengths."""
    return f"{job.name} {job.lengths}"


def _write(job: Stretch, path: Path) -> None:
    ase.io.write(path, curve(job), format="extxyz")
