"""Conformers of a molecular graph: embedded, relaxed with GFN2-xTB, the lowest first.

Everything is done on the molecule that the canonical SMILES gives, so that two ways to write a
molecule have the same geometry, and the atoms are put back into the order of the graph that came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from rdkit import Chem, rdBase

from e3d.chemistry import bonding
from e3d.chemistry.embedding import curvature, embedded, n_embeddings
from e3d.chemistry.relaxation import minimum
from e3d.chemistry.xtb import calculator
from e3d.errors import E3DError

#: Larger molecules are not relaxed: 200 atoms take minutes.
MAX_ATOMS = 200
#: Seconds after which the relaxation of one conformer is given up.
RELAXATION_LIMIT_S = 1200
#: Atoms of all conformers together of which GFN2-xTB gets the energy, and that it relaxes.
SINGLE_POINT_ATOMS, RELAXED_ATOMS = 400, 120
#: Conformers that are relaxed at most, however small.
MAX_RELAXED = 5
#: Before relaxation, a conformer so much higher in energy than the lowest is dropped, eV.
WORTH_RELAXING_EV = 0.15
#: Conformers are kept up to three times the thermal energy at 298 K above the lowest, eV.
THERMAL_EV = 0.077
#: Two geometries are the same conformer when no distance, sorted, differs by more than this, Å.
SAME_A = 0.1
#: Largest force that remains in a relaxed conformer, eV/Å.
FMAX = 0.01


def conformers(
    graph: Chem.Mol, *, seed: int = 1, progress: bool = False
) -> tuple[Float[np.ndarray, "n n_atoms 3"], Float[np.ndarray, " n"]]:
    """GFN2-xTB minima of a molecule: positions in Å, energies in eV above the lowest, in order.

    graph: with all hydrogens. As many conformers are embedded as its rotatable bonds suggest; the
    lowest by force field and GFN2-xTB, fewer of large molecules, are relaxed to forces of 0.01
    eV/Å; those that keep their bonds and lie within thermal energy are returned. Where the graph
    leaves stereochemistry open, all are of the isomer of the lowest. The same for every order of
    the atoms. progress: show a bar when a relaxation takes more than a few seconds.

    Raises E3DError when the molecule is too large, cannot be embedded in time, does not relax, or
    no conformer keeps its bonds.
    """
    n_atoms = graph.GetNumAtoms()
    if n_atoms > MAX_ATOMS:
        raise E3DError(
            f"{n_atoms} atoms, but molecules of more than {MAX_ATOMS} are not relaxed; give a "
            "structure file with a relaxed geometry"
        )
    canonical, order = canonical_form(graph)
    numbers = np.array([atom.GetAtomicNum() for atom in canonical.GetAtoms()])
    starts = embedded(canonical, n_embeddings(canonical), seed)
    starts = _worth_relaxing(numbers, _distinct(starts, numbers))
    found: list[tuple[float, np.ndarray]] = []
    for k, start in enumerate(starts):
        bar = f"conformer {k + 1} of {len(starts)}" if progress else None
        energy, relaxed = _relaxed(canonical, numbers, start, bar)
        if bonding.keeps_its_bonds(canonical, relaxed) and not _among(relaxed, found, numbers):
            found.append((energy, relaxed))
    if not found:
        raise E3DError("its bonds change on relaxation with GFN2-xTB; give a structure file")
    found.sort(key=lambda item: item[0])
    found = _of_one_isomer(canonical, found)
    energies = np.array([energy for energy, _ in found]) - found[0][0]
    kept = energies <= THERMAL_EV
    positions = np.array([p for (_, p), near in zip(found, kept, strict=True) if near])
    return positions[:, order], energies[kept]


def _of_one_isomer(
    graph: Chem.Mol, found: list[tuple[float, np.ndarray]]
) -> list[tuple[float, np.ndarray]]:
    """Conformers of the stereoisomer of the first; those of its mirror image are mirrored."""
    first = _isomer(graph, found[0][1])
    turned = [(e, p if _isomer(graph, p) == first else -p) for e, p in found]
    return [(e, p) for e, p in turned if _isomer(graph, p) == first]


def _isomer(graph: Chem.Mol, positions: np.ndarray) -> str:
    """Canonical SMILES with the stereochemistry of a geometry."""
    copy = Chem.Mol(graph)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=float))
    copy.AddConformer(conformer)
    with rdBase.BlockLogs():
        Chem.AssignStereochemistryFrom3D(copy)
        return Chem.MolToSmiles(Chem.RemoveHs(copy))


def canonical_form(graph: Chem.Mol) -> tuple[Chem.Mol, Int[np.ndarray, " n_atoms"]]:
    """The molecule of a graph's canonical SMILES, and the index in it of each atom of the graph.

    graph: with all hydrogens. Equal hydrogens of one atom are taken in their order.
    """
    given = Chem.Mol(graph)
    for atom in given.GetAtoms():
        atom.SetIntProp("given", atom.GetIdx())
        atom.SetAtomMapNum(0)
    with rdBase.BlockLogs():
        heavy = Chem.RemoveHs(given)
        smiles = Chem.MolToSmiles(heavy)
        parameters = Chem.SmilesParserParams()
        parameters.removeHs = False  # type: ignore[assignment]
        canonical = Chem.AddHs(Chem.MolFromSmiles(smiles, parameters))
    order = np.full(given.GetNumAtoms(), -1)
    written = list(heavy.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    for new, old in enumerate(written):
        order[heavy.GetAtomWithIdx(old).GetIntProp("given")] = new
    for new, old in enumerate(written):
        before = given.GetAtomWithIdx(heavy.GetAtomWithIdx(old).GetIntProp("given"))
        theirs = [a.GetIdx() for a in before.GetNeighbors() if order[a.GetIdx()] < 0]
        ours = [a.GetIdx() for a in canonical.GetAtomWithIdx(new).GetNeighbors()]
        for k, own in zip(theirs, (a for a in ours if a >= len(written)), strict=True):
            order[k] = own
    return canonical, order


def _worth_relaxing(
    numbers: Int[np.ndarray, " n_atoms"], starts: list[np.ndarray]
) -> list[np.ndarray]:
    """The lowest of geometries by GFN2-xTB, no more than are affordable."""
    starts = starts[: max(1, SINGLE_POINT_ATOMS // len(numbers))]
    if len(starts) == 1:
        return starts
    energies = []
    for start in starts:
        atoms = Atoms(numbers, start, calculator=calculator())
        try:
            energies.append(atoms.get_potential_energy())
        except Exception:  # the SCF of tblite fails at geometries of no use
            energies.append(np.inf)
    order = np.argsort(energies, kind="stable")
    order = order[: max(1, min(MAX_RELAXED, RELAXED_ATOMS // len(numbers)))]
    return [starts[k] for k in order if energies[k] <= min(energies) + WORTH_RELAXING_EV]


def _relaxed(
    graph: Chem.Mol, numbers: np.ndarray, start: np.ndarray, progress: str | None
) -> tuple[float, np.ndarray]:
    """Energy in eV and positions in Å of the GFN2-xTB minimum."""
    atoms = Atoms(numbers, start, calculator=calculator())
    relaxed = minimum(
        atoms,
        fmax=FMAX,
        method="GFN2-xTB",
        curvature=curvature(graph, start),
        progress=progress,
        seconds=RELAXATION_LIMIT_S,
    )
    return float(atoms.get_potential_energy()), relaxed


def _distinct(geometries: Iterable[np.ndarray], numbers: np.ndarray) -> list[np.ndarray]:
    """Each geometry once, in order."""
    found: list[tuple[float, np.ndarray]] = []
    for positions in geometries:
        if not _among(positions, found, numbers):
            found.append((0.0, positions))
    return [positions for _, positions in found]


def _among(
    positions: np.ndarray, found: list[tuple[float, np.ndarray]], numbers: np.ndarray
) -> bool:
    """Whether a geometry, its mirror image, or one with equal atoms exchanged is there already."""
    mine = list(_distances(positions, numbers))
    return any(
        all(np.abs(a - b).max() < SAME_A for a, b in zip(mine, _distances(p, numbers), strict=True))
        for _, p in found
    )


def _distances(positions: np.ndarray, numbers: np.ndarray) -> Iterator[np.ndarray]:
    """Sorted distances of each pair of elements."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    for a, b in combinations_with_replacement(np.unique(numbers), 2):
        yield np.sort(distances[np.ix_(numbers == a, numbers == b)].ravel())
