"""Fragment bond dissociation energies of a molecule by models: E(A•) + E(B•) − E(AB).

Every acyclic single bond is cut. Each radical is relaxed with GFN2-xTB, as the molecule was, from
the geometry that it has in the molecule, its atoms a little displaced, and models give the energies
of all three. The zero of the energy cancels. Models that were trained on molecules alone bind
radicals far too strongly: such values are worth something by models that have seen radicals.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Float
from rdkit import Chem, rdBase
from tqdm import tqdm

from e3d import files
from e3d.chemistry import bonding
from e3d.chemistry.conformers import FMAX, MAX_ATOMS, RELAXATION_LIMIT_S, canonical_form
from e3d.chemistry.relaxation import minimum
from e3d.chemistry.structures import Structure
from e3d.chemistry.xtb import calculator
from e3d.decomposition.edges import decompose
from e3d.decomposition.report import threads
from e3d.errors import E3DError
from e3d.labels.vertical import fragment_graph
from e3d.models.allegro import Model
from e3d.paths import RUNS
from e3d.units import KCAL_PER_MOL_PER_EV

#: Where relaxed radicals are kept, so that an interrupted call goes on with the next one.
FOLDER = RUNS / "radicals"
#: Standard deviation of the displacements in Å before a radical is relaxed: a part of a symmetric
#: molecule, such as CH2 of CH2-C=O turned out of the plane, would be left on a saddle point.
DISPLACED_A = 0.05
#: Seconds of work from which on a radical is kept.
KEPT_S = 0.5


class Radical(NamedTuple):
    """What a cut leaves on one side: its SMILES, its graph, and where its relaxation starts, its
    geometry (N, 3) in Å in the molecule, displaced by `DISPLACED_A`."""

    smiles: str
    graph: Chem.Mol
    start: Float[np.ndarray, "n_atoms 3"]


class Cut(NamedTuple):
    """Equivalent bonds, by their numbers in the structure, and the radicals of the first."""

    bonds: tuple[int, ...]
    radicals: tuple[Radical, Radical]


@dataclass(frozen=True)
class FragmentEnergies:
    """Fragment BDEs in kcal/mol, positive when bound, by model; NaN for a bond without one.

    radicals: SMILES of the two radicals of each bond that was cut; failed: by SMILES, why a
    radical has no energy.
    """

    bde_kcal_per_mol: Float[np.ndarray, "n_models n_bonds"]
    radicals: dict[int, tuple[str, str]]
    failed: dict[str, str]


def cuts(structure: Structure) -> list[Cut]:
    """The acyclic single bonds of a molecule, equivalent ones together, in the order of the first.

    None of a crystal, of a structure in several pieces, of an ion or a radical, and of more than
    `MAX_ATOMS` atoms, whose radicals would relax for hours. Bonds whose cut would leave ions are
    left out.
    """
    graph = structure.graph
    if graph is None or structure.charge or structure.unpaired or len(structure.atoms) > MAX_ATOMS:
        return []
    if len(Chem.GetMolFrags(graph)) > 1:
        return []
    places = _canonical_places(structure)
    moved = np.random.default_rng(0).normal(0, DISPLACED_A, (len(places), 3))[places]
    starts = structure.atoms.positions + moved
    first_first = sorted(
        range(len(structure.bonds)), key=lambda k: sorted(places[structure.bonds[k]].tolist())
    )
    found: dict[tuple[str, str, str], tuple[list[int], tuple[Radical, Radical]]] = {}
    for k in first_first:
        i, j = structure.bonds[k].tolist()
        if graph.GetBondBetweenAtoms(i, j).GetBondType() != Chem.BondType.SINGLE:
            continue
        mine, others = bonding.sides(graph, i, j)
        if i in others:  # in a ring
            continue
        radicals = (_radical(graph, starts, mine, i), _radical(graph, starts, others, j))
        if any(Chem.GetFormalCharge(radical.graph) for radical in radicals):
            continue
        first, second = sorted(radical.smiles for radical in radicals)
        found.setdefault((structure.classes[k], first, second), ([], radicals))[0].append(k)
    return [Cut(tuple(sorted(bonds)), radicals) for bonds, radicals in found.values()]


def _canonical_places(structure: Structure) -> np.ndarray:
    """A number of each atom by which of equivalent bonds the same is cut, however they were given.

    The geometry of a SMILES does not depend on how it is written; what is cut must not either.
    """
    if structure.conformers is None or structure.graph is None:
        return np.arange(len(structure.atoms))
    return canonical_form(structure.graph)[1]


def _radical(molecule: Chem.Mol, starts: np.ndarray, atoms: Sequence[int], at: int) -> Radical:
    graph = Chem.Mol(molecule)
    graph.RemoveAllConformers()
    for atom in graph.GetAtoms():
        atom.SetAtomMapNum(0)
    with rdBase.BlockLogs():
        part = fragment_graph(graph, atoms, at, 1)
        Chem.AssignStereochemistry(part, cleanIt=True, force=True)
        smiles = Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(part)))
    return Radical(smiles, part, starts[sorted(atoms)])


def fragment_energies(
    structure: Structure,
    models: Sequence[Model],
    *,
    progress: bool = False,
    folder: Path = FOLDER,
) -> FragmentEnergies:
    """Fragment BDEs of the bonds of a structure by each model; see `cuts` for those that have none.

    The molecule is taken at the geometry of the structure. Radicals with the same SMILES are
    relaxed once. folder: where relaxed radicals are kept; progress: show a bar.

    Raises E3DError as `decompose` does.
    """
    of_molecule = cuts(structure)
    once = {part.smiles: part for cut in of_molecule for part in cut.radicals}
    geometries: dict[str, Atoms] = {}
    failed: dict[str, str] = {}
    bar = tqdm(once.items(), unit="radical", desc="relax", delay=2, disable=not progress,
               leave=False)  # fmt: skip
    for smiles, radical in bar:
        try:
            geometries[smiles] = relaxed(radical, folder=folder)
        except E3DError as error:
            failed[smiles] = str(error)
    energies = np.full((len(models), len(structure.bonds)), np.nan)
    with threads(structure):
        for row, model in zip(energies, models, strict=True):
            everything = [structure.atoms, *geometries.values()]
            whole, *parts = [one.edge_energies.sum() for one in decompose(model, everything)]
            total = dict(zip(geometries, parts, strict=True))
            for cut in of_molecule:
                names = [radical.smiles for radical in cut.radicals]
                if all(name in total for name in names):
                    row[list(cut.bonds)] = sum(total[name] for name in names) - whole
    radicals = {k: (cut.radicals[0].smiles, cut.radicals[1].smiles)
                for cut in of_molecule for k in cut.bonds}  # fmt: skip
    return FragmentEnergies(energies * KCAL_PER_MOL_PER_EV, radicals, failed)


def relaxed(radical: Radical, *, folder: Path = FOLDER) -> Atoms:
    """A radical at its GFN2-xTB minimum, from where it stands in the molecule.

    Raises E3DError when there is none in time, or its bonds change on the way.
    """
    numbers = np.array([atom.GetAtomicNum() for atom in radical.graph.GetAtoms()])
    if len(numbers) == 1:
        return Atoms(numbers, np.zeros((1, 3)))
    path = _place(numbers, radical.start, folder)
    if (positions := _kept(path, radical.start.shape)) is None:
        began = time.monotonic()
        atoms = Atoms(numbers, radical.start, calculator=calculator(unpaired=1))
        positions = minimum(atoms, fmax=FMAX, method="GFN2-xTB", seconds=RELAXATION_LIMIT_S)
        if time.monotonic() - began > KEPT_S:
            _keep(path, positions)
    if not bonding.keeps_its_bonds(radical.graph, positions):
        raise E3DError("its bonds change on relaxation with GFN2-xTB")
    return Atoms(numbers, positions)


def _place(numbers: np.ndarray, start: np.ndarray, folder: Path) -> Path:
    """The file of a radical, by its atoms and where they started, to 10⁻⁴ Å."""
    text = f"GFN2-xTB {FMAX} {numbers.tolist()} {np.round(start, 4).tolist()}"
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npy"


def _kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Positions that were kept, None where there are none, or no sound ones."""
    try:
        positions = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return positions if positions.shape == shape and np.isfinite(positions).all() else None


def _keep(path: Path, positions: np.ndarray) -> None:
    # where nothing can be written, it is only not kept
    with suppress(files.WriteError), files.replacing(path) as new, open(new, "wb") as stream:
        np.save(stream, positions)
