"""Conformers of a molecular graph: embedded, relaxed with GFN2-xTB, the lowest first.

Everything is done on the molecule that the canonical SMILES gives, so that two ways to write a
molecule have the same geometry, and the atoms are put back into the order of the graph that came.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from e3d.chemistry import bonding
from e3d.chemistry.killable import killable
from e3d.chemistry.relaxation import minimum
from e3d.chemistry.xtb import calculator
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

#: Larger molecules are not relaxed: 200 atoms take minutes.
MAX_ATOMS = 200
#: Embeddings by the number of bonds that rotate, the last for all that have more; fewer of large
#: molecules, this many atoms in all.
EMBEDDINGS, EMBEDDED_ATOMS = (1, 20, 30), 1000
#: Embeddings of a molecule whose only freedom is the pucker of a ring.
RING_EMBEDDINGS = 5
#: Seconds after which embedding is given up, and the relaxation of one conformer.
EMBEDDING_LIMIT_S, RELAXATION_LIMIT_S = 120, 1200
#: Atoms of all conformers together of which GFN2-xTB gets the energy, and that it relaxes.
SINGLE_POINT_ATOMS, RELAXED_ATOMS = 400, 120
#: Conformers that are relaxed at most, however small.
MAX_RELAXED = 8
#: Before relaxation, a conformer so much higher in energy than the lowest is dropped, eV.
WORTH_RELAXING_EV = 0.15
#: Conformers are kept up to three times the thermal energy at 298 K above the lowest, eV.
THERMAL_EV = 0.077
#: Two geometries are the same conformer when no distance, sorted, differs by more than this, Å.
SAME_A = 0.1
#: Curvature below this is raised to it, eV/Å²: rotations of the whole have none at all.
LEAST_CURVATURE = 0.3
#: Largest force that remains in a relaxed conformer, eV/Å.
FMAX = 0.01
#: Bonds that rotate: not those of a ring, at the end of a chain, of a linear group, or of -CH3.
_ROTOR = "[!D1!$([*]#*)!$([CX4H3])!$([SiX4H3])!$(*=*=*)]-&!@[!D1!$([*]#*)!$([CX4H3])!$([SiX4H3])]"
_FLEXIBLE_RING = "[r;!$([r3]);!a]-&@[r;!$([r3]);!a]-&@[r;!$([r3]);!a]"


def conformers(
    graph: Chem.Mol, *, seed: int = 1, progress: bool = False
) -> tuple[Float[np.ndarray, "n n_atoms 3"], Float[np.ndarray, " n"]]:
    """GFN2-xTB minima of a molecule: positions in Å, energies in eV above the lowest, in order.

    graph: with all hydrogens. As many conformers are embedded as its rotatable bonds suggest; the
    lowest by force field and GFN2-xTB, fewer of large molecules, are relaxed to forces of 0.01
    eV/Å; those that keep their bonds and lie within thermal energy are returned. The same for every
    order of the atoms. progress: show a bar when a relaxation takes more than a few seconds.

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
    starts = _worth_relaxing(numbers, embedded(canonical, n_embeddings(canonical), seed))
    found: list[tuple[float, np.ndarray]] = []
    for k, start in enumerate(starts):
        bar = f"conformer {k + 1} of {len(starts)}" if progress else None
        energy, relaxed = _relaxed(canonical, numbers, start, bar)
        if bonding.keeps_its_bonds(canonical, relaxed) and not _among(relaxed, found, numbers):
            found.append((energy, relaxed))
    if not found:
        raise E3DError("its bonds change on relaxation with GFN2-xTB; give a structure file")
    found.sort(key=lambda item: item[0])
    energies = np.array([energy for energy, _ in found]) - found[0][0]
    kept = energies <= THERMAL_EV
    positions = np.array([p for (_, p), near in zip(found, kept, strict=True) if near])
    return positions[:, order], energies[kept]


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


def n_embeddings(graph: Chem.Mol) -> int:
    """How many conformers to embed, by the bonds that rotate and the rings that pucker."""
    rotors = len(graph.GetSubstructMatches(Chem.MolFromSmarts(_ROTOR)))
    ring = graph.HasSubstructMatch(Chem.MolFromSmarts(_FLEXIBLE_RING))
    wanted = max(EMBEDDINGS[min(rotors, len(EMBEDDINGS) - 1)], RING_EMBEDDINGS if ring else 1)
    return max(1, min(wanted, EMBEDDED_ATOMS // graph.GetNumAtoms()))


def embedded(graph: Chem.Mol, n: int, seed: int) -> list[Float[np.ndarray, "n_atoms 3"]]:
    """Up to n ETKDG conformers relaxed by force field, the lowest first, each once; in Å.

    Raises E3DError when there is none within `EMBEDDING_LIMIT_S`.
    """
    try:
        positions, energies = killable(_embed, graph, n, seed, seconds=EMBEDDING_LIMIT_S)
    except TimeoutError:
        raise E3DError(
            f"no 3D conformer within {EMBEDDING_LIMIT_S} s; give a structure file instead"
        ) from None
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    distinct: list[tuple[float, np.ndarray]] = []
    for k in np.argsort(energies, kind="stable"):
        if not _among(positions[k], distinct, numbers):
            distinct.append((float(energies[k]), positions[k]))
    return [found for _, found in distinct]


def _embed(graph: Chem.Mol, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, N, 3) and energies of force field; all energies 0 without parameters."""
    copy = Chem.Mol(graph)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed  # type: ignore[assignment]
    with rdBase.BlockLogs():
        found = list(rdDistGeom.EmbedMultipleConfs(copy, n, parameters))
        if not found:
            parameters.useRandomCoords = True  # type: ignore[assignment]
            found = list(rdDistGeom.EmbedMultipleConfs(copy, n, parameters))
        if not found:
            raise E3DError(
                "no 3D conformer can be embedded; the graph may be too strained. Give a structure "
                "file instead"
            )
        energies = np.zeros(len(found))
        for k, conformer in enumerate(found):
            field = _force_field(copy, conformer)
            if field is not None:
                field.Minimize(maxIts=1000)
                energies[k] = field.CalcEnergy()
    return np.array([copy.GetConformer(k).GetPositions() for k in found]), energies


def _force_field(graph: Chem.Mol, conformer: int = -1) -> Any:
    """MMFF94 of a molecule, UFF where it has no parameters, None where neither has."""
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(graph)
        return rdForceFieldHelpers.MMFFGetMoleculeForceField(graph, properties, confId=conformer)
    if rdForceFieldHelpers.UFFHasAllMoleculeParams(graph):
        return rdForceFieldHelpers.UFFGetMoleculeForceField(graph, confId=conformer)
    return None


def curvature(
    graph: Chem.Mol, positions: Float[np.ndarray, "n_atoms 3"], *, step: float = 1e-3
) -> Float[np.ndarray, "n3 n3"] | None:
    """Hessian of the force field in eV/Å², made positive: what BFGS had better begin with.

    None where no force field has parameters.
    """
    copy = Chem.Mol(graph)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(np.ascontiguousarray(positions, dtype=float))
    conformer = copy.GetConformer(copy.AddConformer(conformer))
    with rdBase.BlockLogs():
        field = _force_field(copy)
    if field is None:
        return None
    rows = []
    for atom, position in enumerate(np.asarray(positions, dtype=float)):
        for move in step * np.eye(3):
            gradients = []
            for moved in (position + move, position - move):
                conformer.SetAtomPosition(atom, moved)
                field.Initialize()  # or it takes the distances of the call before
                gradients.append(np.array(field.CalcGrad()))
            rows.append((gradients[0] - gradients[1]) / (2 * step))
        conformer.SetAtomPosition(atom, position)
    hessian = np.array(rows) / KCAL_PER_MOL_PER_EV
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    return (vectors * np.maximum(np.abs(values), LEAST_CURVATURE)) @ vectors.T


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
