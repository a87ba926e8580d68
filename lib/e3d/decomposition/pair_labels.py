"""What is told of every pair of atoms of a molecule beside its energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.topology import APART_COLUMNS
from e3d.data.molecule import Molecule
from e3d.decomposition import edges
from e3d.errors import E3DError


def labels(molecule: Molecule) -> dict[str, np.ndarray]:
    """Labels of all pairs of atoms, matrices (N, N): columns pair, class, apart of `table`.

    Raises E3DError where the SMILES does not say which atom is which.
    """
    graph = bonding.from_mapped_smiles(molecule.smiles)
    if [atom.GetAtomicNum() for atom in graph.GetAtoms()] != molecule.atomic_numbers.tolist():
        raise E3DError("its SMILES has other atoms than it")
    symbols = [chemical_symbols[z] for z in molecule.atomic_numbers]
    pairs = [["-".join(sorted((first, second))) for second in symbols] for first in symbols]
    classes = np.full((len(symbols), len(symbols)), None, dtype=object)
    for i, j in bonding.bond_pairs(graph).tolist():
        classes[i, j] = classes[j, i] = bonding.bond_class(graph, i, j)
    apart = Chem.GetDistanceMatrix(graph)  # huge between fragments
    numbers = np.where(apart < len(symbols), np.clip(apart, 1, 4), 5).astype(int)
    separations = np.array(APART_COLUMNS, dtype=object)[numbers - 1]
    return {"pair": np.array(pairs, dtype=object), "class": classes, "apart": separations}


def table(
    labels: dict[str, np.ndarray], decompositions: Sequence[edges.Decomposition]
) -> pd.DataFrame:
    """All pairs of a molecule within the cutoff, over some of its conformations.

    Columns: pair (elements in alphabetical order), class (None where there is no bond), apart,
    length_A, and energy_eV, ε.
    """
    found = edges.pair_energies_of_all(decompositions)
    i, j = found.pairs.T
    return pd.DataFrame(
        {name: matrix[i, j] for name, matrix in labels.items()}
        | {"length_A": found.lengths, "energy_eV": found.energies}
    )
