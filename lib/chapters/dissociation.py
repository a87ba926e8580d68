"""What breaking a bond severs, and what it leaves to rearrange.

A molecule's binding energy is the sum of −ε over all its pairs. When the bond i–j goes, the pairs
across the cut go with it, and the two fragments are free to change. With B for binding energies,

    −ε_ij = D_e − across + rearrangement + error

where D_e = B(AB) − B(A•) − B(B•); *across* is the energy on the other pairs of an atom of A and an
atom of B; *rearrangement* is by how much the fragments bind more than the pairs inside them did
before (positive: what stays gets stronger); *error* is the model's B(AB) minus the true one. This
is an identity: it follows from the sum rule and the definition of D_e.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Bool, Int
from rdkit import Chem
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from e3d.chemistry import bonding
from e3d.data.dataset import Molecule, binding_energies, relaxed_index
from e3d.decomposition.edges import Pairs, decompose, pair_energies
from e3d.models.allegro import Model
from e3d.units import KCAL_PER_MOL_PER_EV

#: The parts of an emergent BDE's deviation from D_e, in the order of the identity.
TERMS = ("across", "rearrangement", "error")


def side_of(
    bonds: Int[np.ndarray, "n_bonds 2"], broken: int, n_atoms: int
) -> Bool[np.ndarray, " n_atoms"] | None:
    """Which atoms stay with the first atom of bond number `broken` when it is cut.

    None when the bond is part of a ring: cutting it leaves the molecule in one piece.
    """
    i, j = np.delete(bonds, broken, axis=0).T
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(n_atoms, n_atoms))
    labels = connected_components(graph, directed=False)[1]
    first, second = labels[bonds[broken]]
    return None if first == second else labels == first


def balance(
    models: Mapping[str, Model],
    molecules: Iterable[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """Every bond outside rings of the relaxed geometries, means over `models`, kcal/mol.

    atomic_energies: the zero of the labels' binding energies in eV. Columns: molecule, smiles
    (canonical), i, j, class; `bare` (−ε), `across` (−Σε of the other pairs across the cut) and
    `geminal`, its part two bonds apart, all positive when bound; `error`, by how much the models'
    binding energy of the molecule exceeds its label. Raises E3DError as `decompose` and
    `relaxed_index` do.
    """
    chosen = [m.select(np.array([relaxed_index(m)])) for m in molecules]
    structures = [Atoms(m.atomic_numbers, m.positions[0]) for m in chosen]
    found = []
    for name, model in models.items():
        decomposed = decompose(model, structures, progress=progress)
        for entry, decomposition in zip(chosen, decomposed, strict=True):
            pairs = pair_energies(decomposition)
            label = float(binding_energies(entry, atomic_energies)[0])
            error = KCAL_PER_MOL_PER_EV * (label - float(pairs.energies.sum()))
            found += [row | {"run": name, "error": error} for row in _cuts(entry, pairs)]
    keys = ["molecule", "smiles", "i", "j", "class"]
    return pd.DataFrame(found).groupby(keys, sort=False).mean(numeric_only=True).reset_index()


def _cuts(entry: Molecule, pairs: Pairs) -> Iterable[dict]:
    graph = bonding.from_mapped_smiles(entry.smiles)
    bonds = bonding.bond_pairs(graph)
    energies = -KCAL_PER_MOL_PER_EV * pairs.energies
    first, second = pairs.pairs.T
    apart = Chem.GetDistanceMatrix(graph)
    for k, (i, j) in enumerate(bonds.tolist()):
        side = side_of(bonds, k, len(entry.atomic_numbers))
        if side is None:
            continue
        bond = (first == i) & (second == j)
        cut = side[first] != side[second]
        yield {
            "molecule": entry.name,
            "smiles": entry.canonical_smiles,
            "i": i,
            "j": j,
            "class": bonding.bond_class(graph, i, j),
            "bare": float(energies[bond].sum()),
            "across": float(energies[cut & ~bond].sum()),
            "geminal": float(energies[cut & (apart[first, second] == 2)].sum()),
        }


def deviation_parts(bonds: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The identity for every bond: columns of `PARTS`, which add up to bare − reference.

    bonds: columns bare, across, error and `reference` (D_e), kcal/mol. `across` enters with the
    sign that it has in the deviation, so it is negative where the other pairs bind.
    """
    deviation = bonds["bare"] - bonds[reference]
    parts = pd.DataFrame({"across": -bonds["across"], "error": bonds["error"]})
    parts["rearrangement"] = deviation - parts.sum(axis=1)
    return parts[list(TERMS)]


def shares_of_square(parts: pd.DataFrame) -> pd.Series:
    """Share of each part in the mean square of their sum, E[part · sum] / E[sum²]; they sum to 1.

    A share may be negative, where a part works against the others, and exceed one.
    """
    total = parts.sum(axis=1)
    return parts.mul(total, axis=0).mean() / (total**2).mean()
