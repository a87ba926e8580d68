"""Hydrocarbons labelled by the potential of Brenner, whose division into bonds is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms

from e3d.chemistry import bonding
from e3d.chemistry.brenner import Brenner
from e3d.chemistry.relaxation import minimum
from e3d.data.dataset import TYPE_NAMES
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels.label import read_part, write_part
from e3d.labels.sampling import Sampling, dynamics
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR

LEVEL = "Brenner 1990, potential II, without corrections"


def conformations(entry: Molecule, settings: Sampling) -> Molecule:
    """The minimum of a hydrocarbon in the potential of Brenner and frames of dynamics, labelled.

    entry: its relaxed conformation is where the relaxation begins. Raises E3DError when there is no
    minimum, or the molecule rearranges on the way there.
    """
    numbers = entry.atomic_numbers
    graph = bonding.from_mapped_smiles(entry.smiles)
    atoms = Atoms(numbers, entry.relaxed.positions[0], calculator=Brenner())
    relaxed = minimum(atoms, fmax=settings.relax_fmax_eV_per_A, method="the potential of Brenner")
    if not bonding.keeps_its_bonds(graph, relaxed):
        raise E3DError(f"{entry.name}: its bonds change on relaxation")
    frames, temperatures = [relaxed], [0]
    for kelvin in settings.temperatures_K:
        new = dynamics(numbers, relaxed, bonding.bond_pairs(graph), kelvin, settings, Brenner())
        frames += new
        temperatures += [kelvin] * len(new)
    # as they are stored, so that the labels are exactly those of the stored geometries
    stored = (np.array(frames) / ANGSTROM_PER_BOHR).astype(np.float32)
    positions = stored.astype(float) * ANGSTROM_PER_BOHR
    labelled = [Atoms(numbers, frame, calculator=Brenner()) for frame in positions]
    energies = np.array([atoms.get_potential_energy() for atoms in labelled])
    forces = np.array([atoms.get_forces() for atoms in labelled])
    return replace(
        entry, subset="hydrocarbon", positions=positions, energies=energies,
        formation_energies=energies, forces=forces,
        temperatures=np.array(temperatures),
    )  # fmt: skip


def label_hydrocarbons(
    molecules: Sequence[Molecule],
    out: str | Path,
    settings: Sampling,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write `conformations` of every molecule of H and C alone as one data set.

    An interrupted call resumes. Returns the molecules left out, with the reason of each. Raises
    E3DError as `map_resumable` does.
    """
    chosen = [entry for entry in molecules if set(entry.symbols) <= {"H", "C"}]

    def assemble(paths: list[Path], new: Path) -> None:
        write_dataset(
            new, map(read_part, paths), level_of_theory=LEVEL,
            atomic_energies=dict.fromkeys(TYPE_NAMES, 0.0),
            provenance=f"Minimum and Langevin dynamics of the potential of Brenner, {settings}.",
        )  # fmt: skip

    left_out = map_resumable(
        partial(_write, settings), chosen, Path(out), assemble, key=lambda entry: entry.name,
        unit="molecule", n_workers=n_workers, progress=progress,
    )  # fmt: skip
    return {entry.name: reason for entry, reason in left_out}


def _write(settings: Sampling, entry: Molecule, path: Path) -> None:
    write_part(path, conformations(entry, settings))
