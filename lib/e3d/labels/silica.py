"""Silica, with and without water: periodic structures from crystallography, labelled by GFN2-xTB.

Every pair of atoms has one image within the cutoff of the networks, 4 Å: the cells are at least
twice as wide, perpendicular to each of their faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule as named_molecule
from ase.geometry import get_distances
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.spacegroup import crystal
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.levels import LEVELS, isolated_atoms
from e3d.chemistry.relaxation import minimum
from e3d.chemistry.xtb import calculator
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels.label import read_part, write_part
from e3d.labels.sampling import Sampling, dynamics
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR

#: Least distance of two parallel faces of a cell, in Å.
MIN_WIDTH_A = 8.0
#: Cells are scaled at random by up to this fraction, in length, before dynamics.
MAX_STRAIN = 0.02
#: Displacement in Å that breaks the symmetry of an ideal structure, which may be a saddle point.
_RATTLE_A = 0.05


def alpha_quartz() -> Atoms:
    """L. Levien et al., Am. Mineral. 65, 920 (1980), at ambient pressure."""
    sites = [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)]
    cell = [4.916, 4.916, 5.4054, 90, 90, 120]
    return crystal(["Si", "O"], sites, spacegroup=154, cellpar=cell).repeat(2)


def alpha_cristobalite() -> Atoms:
    """J. J. Pluth et al., J. Appl. Phys. 57, 1045 (1985), at room temperature."""
    sites = [(0.3003, 0.3003, 0), (0.2392, 0.1044, 0.1787)]
    cell = [4.9717, 4.9717, 6.9223, 90, 90, 90]
    return crystal(["Si", "O"], sites, spacegroup=92, cellpar=cell).repeat(2)


def beta_cristobalite() -> Atoms:
    """Ideal positions of Fd-3m, with the lattice of D. R. Peacor, Z. Kristallogr. 138, 274 (1973);
    relaxation bends its straight Si-O-Si."""
    sites = [(1 / 8, 1 / 8, 1 / 8), (0, 0, 0)]
    return crystal(["Si", "O"], sites, spacegroup=227, setting=2, cellpar=[7.16] * 3 + [90] * 3,
                   primitive_cell=True).repeat(2)  # fmt: skip


def beta_tridymite() -> Atoms:
    """K. Kihara, Z. Kristallogr. 148, 237 (1978)."""
    sites = [(1 / 3, 2 / 3, 0.062), (1 / 3, 2 / 3, 0.25), (0.5, 0, 0)]
    cell = [5.052, 5.052, 8.27, 90, 90, 120]
    return crystal(["Si", "O", "O"], sites, spacegroup=194, cellpar=cell).repeat((2, 2, 1))


def sodalite() -> Atoms:
    """J. W. Richardson et al., J. Phys. Chem. 92, 243 (1988): the cages without a guest."""
    sites = [(0.25, 0.5, 0), (0.1478, 0.1478, 0.5)]
    return crystal(["Si", "O"], sites, spacegroup=229, cellpar=[8.83] * 3 + [90] * 3)


def sodalite_with_water() -> Atoms:
    """Four molecules of water in the two cages of a cell of sodalite."""
    return _with_water(sodalite(), 4, np.random.default_rng(0), least_A=1.9)


def hydrogarnet() -> Atoms:
    """α-Quartz without one silicon atom: each of its four oxygens carries a hydrogen instead."""
    atoms = alpha_quartz()
    silicon = int(np.flatnonzero(atoms.numbers == 14)[0])
    vectors, distances = get_distances(
        atoms.positions[[silicon]], atoms.positions, cell=atoms.cell, pbc=True
    )
    oxygens = np.flatnonzero((distances[0] > 0.5) & (distances[0] < 2.0))
    towards = -vectors[0, oxygens] / distances[0, oxygens, None]
    hydrogens = atoms.positions[oxygens] + 0.97 * towards
    atoms += Atoms("H" * len(oxygens), hydrogens)
    del atoms[silicon]
    return atoms


def silicic_acid_in_water() -> Atoms:
    """Si(OH)4 and 15 molecules of water in a cubic cell of 8.2 Å, about the density of water."""
    acid = Atoms("SiO4H4", [[0, 0, 0]] * 9)
    tetrahedron = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    acid.positions[1:5] = 1.63 * tetrahedron
    across = np.cross(tetrahedron, [1, 0, 0])
    across /= np.linalg.norm(across, axis=1)[:, None]
    acid.positions[5:] = acid.positions[1:5] + 0.96 * (0.4 * tetrahedron + 0.9165 * across)
    acid.set_cell([8.2] * 3)
    acid.pbc = True
    return _with_water(acid, 15, np.random.default_rng(1), least_A=1.75)


def _with_water(
    atoms: Atoms, n_molecules: int, rng: np.random.Generator, *, least_A: float
) -> Atoms:
    """A structure with water at random places, no atom nearer than `least_A` to another one."""
    for _ in range(200_000):
        if n_molecules == 0:
            return atoms
        water = named_molecule("H2O")
        water.euler_rotate(*rng.uniform(0, 360, 3))
        water.positions += rng.random(3) @ atoms.cell.array - water.positions[0]
        distances = get_distances(water.positions, atoms.positions, cell=atoms.cell, pbc=True)[1]
        if distances.min() >= least_A:
            atoms += water
            n_molecules -= 1
    raise E3DError(f"{atoms.get_chemical_formula()}: no room for {n_molecules} molecules of water")


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    "alpha-quartz": alpha_quartz, "alpha-cristobalite": alpha_cristobalite,
    "beta-cristobalite": beta_cristobalite,
    "beta-tridymite": beta_tridymite, "sodalite": sodalite,
    "sodalite with water": sodalite_with_water, "hydrogarnet": hydrogarnet,
    "silicic acid in water": silicic_acid_in_water,
}  # fmt: skip


def widths(cell: np.ndarray) -> np.ndarray:
    """Distances (3,) of the parallel faces of a cell (3, 3), in its unit."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def bonded(atoms: Atoms) -> tuple[Chem.Mol, np.ndarray]:
    """The graph of a periodic structure, by distances, and the image of each bond.

    All bonds are single. The images (n_bonds, 3), in cells, are those of the second atoms of the
    pairs of `bonding.bond_pairs`. Raises E3DError when the cell is narrower than `MIN_WIDTH_A`.
    """
    if (narrow := widths(atoms.cell.array).min()) < MIN_WIDTH_A:
        raise E3DError(f"{atoms.get_chemical_formula()}: the cell is {narrow:.1f} Å wide, expected "
                       f"{MIN_WIDTH_A:g} Å, so that no atom has two images in reach")  # fmt: skip
    graph = Chem.RWMol()
    for number in atoms.numbers:
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    first, second, images = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=1.2))
    found = {(int(i), int(j)): image for i, j, image in zip(first, second, images, strict=True)
             if i < j}  # fmt: skip
    for i, j in found:
        graph.AddBond(i, j, Chem.BondType.SINGLE)
    made = graph.GetMol()
    pairs = bonding.bond_pairs(made).tolist()
    return made, np.array([found[i, j] for i, j in pairs])


def conformations(name: str, settings: Sampling) -> Molecule:
    """The GFN2-xTB minimum of a structure at its lattice, and frames of dynamics; labelled.

    Dynamics runs in GFN1-xTB, which takes a third of the time, at a lattice that is scaled at
    random by `MAX_STRAIN` at most for each temperature. Raises E3DError when there is no minimum,
    or the bonds change on the way there.
    """
    atoms = STRUCTURES[name]()
    graph, _ = bonded(atoms)
    rng = np.random.default_rng([settings.seed, len(atoms)])
    atoms.positions += rng.normal(scale=_RATTLE_A, size=atoms.positions.shape)
    atoms.calc = calculator()
    minimum(atoms, fmax=settings.relax_fmax_eV_per_A, method="GFN2-xTB", progress=name)
    relaxed_graph, images = bonded(atoms)
    pairs = bonding.bond_pairs(graph)
    if bonding.bond_pairs(relaxed_graph).tolist() != pairs.tolist():
        raise E3DError(f"{name}: its bonds change on relaxation with GFN2-xTB")
    frames, temperatures = [atoms.copy()], [0]
    for kelvin in settings.temperatures_K:
        strained = atoms.copy()
        scale = 1 + rng.uniform(-MAX_STRAIN, MAX_STRAIN)
        strained.set_cell(atoms.cell * scale, scale_atoms=True)
        new = dynamics(strained.numbers, strained.positions, pairs, kelvin, settings,
                       calculator(method="GFN1-xTB"), cell=strained.cell.array,
                       images=images)  # fmt: skip
        for positions in new:
            frames.append(Atoms(atoms.numbers, positions, cell=strained.cell, pbc=True))
            temperatures.append(kelvin)
    return _labelled(name, bonding.mapped_smiles(graph), frames, temperatures)


def _labelled(
    name: str, smiles: str, frames: Sequence[Atoms], temperatures: Sequence[int]
) -> Molecule:
    """Energies and forces by GFN2-xTB of what a file of float32 bohr holds of the frames."""
    gfn2 = calculator()
    energies, forces, positions = [], [], []
    for frame in frames:
        stored = (frame.positions / ANGSTROM_PER_BOHR).astype(np.float32)
        frame.positions = stored.astype(float) * ANGSTROM_PER_BOHR
        frame.calc = gfn2
        energies.append(frame.get_potential_energy())
        forces.append(frame.get_forces())
        positions.append(frame.positions)
    return Molecule(
        name, "inorganic", smiles, frames[0].numbers, np.array(positions), np.array(energies),
        np.array(energies), np.array(forces), np.array(temperatures),
        np.array([frame.cell.array for frame in frames]),
    )  # fmt: skip


def label_silica(
    out: str | Path,
    zero: str | Path,
    settings: Sampling,
    *,
    names: Sequence[str] = tuple(STRUCTURES),
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write `conformations` of every structure as one data set.

    zero: a data set of GFN2-xTB whose aligned zero of energy is taken over. An interrupted call
    resumes. Returns the structures left out, with the reason of each. Raises E3DError as
    `map_resumable` and `Dataset` do.
    """
    with Dataset(zero) as dataset:
        aligned = dataset.atomic_energies("aligned")

    def assemble(paths: list[Path], new: Path) -> None:
        structures = [read_part(path) for path in paths]
        write_dataset(
            new, structures, level_of_theory=LEVELS["gfn2"],
            atomic_energies=isolated_atoms("gfn2", list(aligned)), aligned=aligned,
            provenance="Periodic structures from crystallography, relaxed with GFN2-xTB, and "
            f"Langevin dynamics in GFN1-xTB at lattices scaled by up to {MAX_STRAIN:.0%}, "
            f"{settings}.",
        )  # fmt: skip

    left_out = map_resumable(
        partial(_write, settings), list(names), Path(out), assemble, key=lambda name: name,
        unit="structure", n_workers=n_workers, progress=progress,
    )  # fmt: skip
    return dict(left_out)


def _write(settings: Sampling, name: str, path: Path) -> None:
    try:
        write_part(path, conformations(name, settings))
    except RuntimeError as error:  # of tblite
        raise E3DError(f"{name}: {error}") from error
