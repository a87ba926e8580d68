"""Sample conformations of a molecule: its GFN2-xTB minimum, and Langevin dynamics from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from ase.calculators.calculator import Calculator

from e3d.chemistry import bonding
from e3d.chemistry.bonding import stereo_smiles
from e3d.chemistry.xtb import calculator as gfn2
from e3d.chemistry.xtb import relax
from e3d.data.molecule import Molecule
from e3d.errors import E3DError

#: RDKit takes seeds below this, HDF5 temperatures up to this, in K.
MAX_SEED, MAX_TEMPERATURE = 2**31 - 1, 32_767


@dataclass(frozen=True)
class Sampling:
    """How conformations are sampled: the GFN2-xTB minimum, and Langevin dynamics from there.

    Dynamics starts with momenta drawn at twice the temperature, since half of that energy becomes
    potential energy, and stops when a bond exceeds `max_stretch` times its relaxed length.
    """

    temperatures_K: tuple[int, ...] = (300, 600, 1000)
    frames_per_temperature: int = 1
    frame_interval_fs: int = 40
    time_step_fs: float = 1.0
    friction_per_fs: float = 0.02
    relax_fmax_eV_per_A: float = 0.02
    max_stretch: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < MAX_SEED:
            raise E3DError(f"seed is {self.seed}, expected 0 to {MAX_SEED - 1}")
        if not all(0 < kelvin <= MAX_TEMPERATURE for kelvin in self.temperatures_K):
            raise E3DError(
                f"temperatures are {_listed(self.temperatures_K)} K, expected 1 to "
                f"{MAX_TEMPERATURE}; the relaxed geometry is always among the conformations"
            )
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise E3DError(
                f"temperatures are {_listed(self.temperatures_K)} K, one of them twice, which "
                "gives the same frames twice; raise the number of frames instead"
            )
        if self.frames_per_temperature < 0:
            raise E3DError(f"frames are {self.frames_per_temperature}, expected 0 or more")


def _listed(temperatures: tuple[int, ...]) -> str:
    return ", ".join(map(str, temperatures))


def sample(smiles: str, settings: Sampling) -> Molecule:
    """Conformations of a molecule without labels: relaxed, then frames of Langevin dynamics.

    Raises E3DError when the molecule is not neutral and closed-shell, cannot be embedded, does not
    relax, or rearranges, so that its geometry no longer is one of the SMILES.
    """
    graph = bonding.parse_smiles(smiles)
    bonding.check_closed_shell(graph)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    start = bonding.embed(graph, seed=settings.seed + 1)
    relaxed = relax(numbers, start, fmax=settings.relax_fmax_eV_per_A)
    if not bonding.keeps_its_bonds(graph, relaxed):
        raise E3DError(f"{smiles}: its bonds change on relaxation with GFN2-xTB")
    if not bonding.keeps_its_configuration(graph, relaxed):
        raise E3DError(f"{smiles}: its configuration (E/Z, R/S) changes on relaxation")
    frames, temperatures = [relaxed], [0]
    for temperature in settings.temperatures_K:
        new = dynamics(numbers, relaxed, bonding.bond_pairs(graph), temperature, settings,
                       gfn2())  # fmt: skip
        frames += new
        temperatures += [temperature] * len(new)
    n_frames, n_atoms = len(frames), len(numbers)
    return Molecule(
        stereo_smiles(smiles), "", bonding.mapped_smiles(graph), numbers, np.array(frames),
        np.zeros(n_frames), np.zeros(n_frames), np.zeros((n_frames, n_atoms, 3)),
        np.array(temperatures),
    )  # fmt: skip


def dynamics(
    numbers: np.ndarray,
    relaxed: np.ndarray,
    pairs: np.ndarray,
    kelvin: int,
    settings: Sampling,
    calculator: Calculator,
    *,
    cell: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Frames of Langevin dynamics that starts at `relaxed` (N, 3), in Å.

    pairs (n_bonds, 2): the bonds that must not be stretched too far; calculator: of ASE; cell
    (3, 3) in Å of a crystal, with the images (n_bonds, 3) of the second atom of each bond, in
    cells. Fewer frames than asked for when a bond is stretched too far.
    """
    from ase import Atoms, units
    from ase.constraints import FixCom
    from ase.md.langevin import Langevin
    from ase.md.velocitydistribution import thermalize_momenta

    rng = np.random.default_rng([settings.seed, kelvin])
    atoms = Atoms(numbers, relaxed, cell=cell, pbc=cell is not None, constraint=FixCom())
    lengths = partial(bonding.bond_lengths, pairs=pairs, shifts=images, cell=cell)
    atoms.calc = calculator
    thermalize_momenta(atoms, temperature_K=2 * kelvin, rng=rng)
    dynamics = Langevin(
        atoms, settings.time_step_fs * units.fs, temperature_K=kelvin,
        friction=settings.friction_per_fs / units.fs, fixcm=False, rng=rng,
    )  # fmt: skip
    frames = []
    for _ in range(settings.frames_per_temperature):
        dynamics.run(round(settings.frame_interval_fs / settings.time_step_fs))
        if (lengths(atoms.positions) > settings.max_stretch * lengths(relaxed)).any():
            break
        frames.append(atoms.positions.copy())
    return frames
