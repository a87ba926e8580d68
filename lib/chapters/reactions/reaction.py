"""Reactions of small molecules as pairs of mapped SMILES, and their paths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float, Int
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.bonding import canonical_smiles
from e3d.errors import E3DError

COLUMNS = ("reaction", "title", "kind", "reactant", "product", "rule")


@dataclass(frozen=True)
class Reaction:
    """reactant, product: SMILES with every atom mapped, the maps giving the atom order of both.

    kind: `bonds` are made and broken, or the `shape` alone changes. rule: how the second geometry
    comes from the first where both SMILES say the same: `mirror`, `permute` and the 1-based atoms
    in their new order, `turn` with four such atoms and by how many degrees their dihedral turns, or
    `through` with the angle that the dihedral goes through, to as far on the other side.
    """

    name: str
    title: str
    kind: str
    reactant: str
    product: str
    rule: str = ""

    @cached_property
    def graphs(self) -> tuple[Chem.Mol, Chem.Mol]:
        """RDKit molecules of both ends, atoms in the order of the maps."""
        first, second = (bonding.from_mapped_smiles(s) for s in (self.reactant, self.product))
        symbols = [[a.GetSymbol() for a in graph.GetAtoms()] for graph in (first, second)]
        if symbols[0] != symbols[1]:
            raise E3DError(f"reaction {self.name}: the maps of its two SMILES disagree on an atom")
        return first, second

    @property
    def numbers(self) -> Int[np.ndarray, " n_atoms"]:
        """Atomic numbers."""
        return np.array([atom.GetAtomicNum() for atom in self.graphs[0].GetAtoms()])

    @property
    def formula(self) -> str:
        """Composition, in Hill's order: reactions that share it are not independent."""
        return str(Atoms(self.numbers).get_chemical_formula())

    @property
    def molecules(self) -> set[str]:
        """Canonical SMILES of all molecules at both ends."""
        ends = (self.reactant, self.product)
        return {canonical_smiles(part) for end in ends for part in end.split(".")}

    def changed_bonds(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bonds (i, j), i < j, that break and that form, by the SMILES."""
        before, after = ({(i, j) for i, j in bonding.bond_pairs(g).tolist()} for g in self.graphs)
        return sorted(before - after), sorted(after - before)


@dataclass(frozen=True)
class ReactionPath:
    """A minimum energy path of a reaction.

    positions (n, N, 3) in Å, from reactant to product, each turned to fit the one before;
    coordinate (n,): arc length from 0 to 1; saddle: index of the saddle point; frequency: of its
    imaginary mode in cm⁻¹, positive.
    """

    reaction: Reaction
    positions: Float[np.ndarray, "n n_atoms 3"]
    coordinate: Float[np.ndarray, " n"]
    saddle: int
    frequency: float


def read_reactions(path: str | Path) -> list[Reaction]:
    """Reactions of a CSV table with the columns `COLUMNS`.

    Raises E3DError when the table or a column is missing, or a reaction is listed twice.
    """
    if not Path(path).exists():
        raise E3DError(f"{path} does not exist; expected a table of reactions")
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if missing := [column for column in COLUMNS if column not in table]:
        raise E3DError(f"{path} has no column {missing[0]!r}, expected {', '.join(COLUMNS)}")
    if (twice := table["reaction"].duplicated()).any():
        raise E3DError(f"{path} lists {table['reaction'][twice].iloc[0]!r} twice; name each once")
    return [Reaction(*row) for row in table[list(COLUMNS)].itertuples(index=False)]
