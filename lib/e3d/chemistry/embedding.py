"""Conformers by distance geometry and force field: what GFN2-xTB starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from e3d.chemistry.killable import killable
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

#: Embeddings by the number of bonds that rotate, the last for all that have more; fewer of large
#: molecules, this many atoms in all.
EMBEDDINGS, EMBEDDED_ATOMS = (1, 20, 30), 1000
#: Embeddings of a molecule whose only freedom is the pucker of a ring.
RING_EMBEDDINGS = 5
#: Seconds after which embedding is given up.
EMBEDDING_LIMIT_S = 120
#: Curvature below this is raised to it, eV/Å²: rotations of the whole have none at all.
LEAST_CURVATURE = 0.3
#: Bonds that rotate: not those of a ring, at the end of a chain, of a linear group, or of -CH3.
_ROTOR = "[!D1!$([*]#*)!$([CX4H3])!$([SiX4H3])!$(*=*=*)]-&!@[!D1!$([*]#*)!$([CX4H3])!$([SiX4H3])]"
_FLEXIBLE_RING = "[r;!$([r3]);!a]-&@[r;!$([r3]);!a]-&@[r;!$([r3]);!a]"


def n_embeddings(graph: Chem.Mol) -> int:
    """How many conformers to embed, by the bonds that rotate and the rings that pucker."""
    rotors = len(graph.GetSubstructMatches(Chem.MolFromSmarts(_ROTOR)))
    ring = graph.HasSubstructMatch(Chem.MolFromSmarts(_FLEXIBLE_RING))
    wanted = max(EMBEDDINGS[min(rotors, len(EMBEDDINGS) - 1)], RING_EMBEDDINGS if ring else 1)
    return max(1, min(wanted, EMBEDDED_ATOMS // graph.GetNumAtoms()))


def embedded(graph: Chem.Mol, n: int, seed: int) -> list[Float[np.ndarray, "n_atoms 3"]]:
    """Up to n ETKDG conformers relaxed by force field, the lowest first; in Å.

    Raises E3DError when there is none within `EMBEDDING_LIMIT_S`.
    """
    try:
        positions, energies = killable(_embed, graph, n, seed, seconds=EMBEDDING_LIMIT_S)
    except TimeoutError:
        raise E3DError(
            f"no 3D conformer within {EMBEDDING_LIMIT_S} s; give a structure file instead"
        ) from None
    lowest_first = np.argsort(energies, kind="stable")
    return [positions[k] for k in lowest_first]


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
