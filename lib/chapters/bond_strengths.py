"""Emergent energies beside bond orders and force constants: equivalent bonds, rank correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from rdkit import Chem

from e3d.chemistry.bonding import from_mapped_smiles
from e3d.data.molecule import Molecule
from e3d.statistics.intervals import Estimate
from e3d.statistics.ranks import Ranks


def symmetry_classes(
    molecules: Iterable[Molecule], bonds: pd.DataFrame
) -> Int[np.ndarray, "n_bonds 2"]:
    """Symmetry classes of the two atoms of every bond, the smaller first.

    Two bonds of a molecule with the same row are equivalent by its molecular graph. bonds: columns
    molecule, i, j, of any of the molecules.
    """
    wanted = set(bonds["molecule"])
    ranks = {m.name: _atom_classes(m.smiles) for m in molecules if m.name in wanted}
    rows = bonds[["molecule", "i", "j"]].itertuples(index=False)
    ends = [ranks[molecule][[i, j]] for molecule, i, j in rows]
    return np.sort(ends, axis=1)


def _atom_classes(smiles: str) -> Int[np.ndarray, " n_atoms"]:
    graph = from_mapped_smiles(smiles)
    for atom in graph.GetAtoms():
        atom.SetAtomMapNum(0)  # map numbers would make every atom unlike the others
    return np.array(Chem.CanonicalRankAtoms(graph, breakTies=False), dtype=np.int64)


def correlations(
    ranks: Ranks,
    energies: Iterable[str],
    measures: Iterable[str],
    *,
    seeds: Mapping[str, Sequence[str]],
) -> dict[tuple[str, str], Estimate]:
    """Rank correlation of every energy with every measure of bond strength, by their names.

    seeds: the columns of single models, for energies that are means over models; the interval is
    then joined with their spread.
    """
    columns = list(measures)
    return {
        (energy, measure): ranks.of(energy, measure, seeds=seeds.get(energy, ()))
        for energy in energies
        for measure in columns
    }
