"""Reactions of small molecules, given as pairs of mapped SMILES, and their paths."""

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
    """reactant, product: SMILES with atom maps on every atom, which give the atom order of both.

    kind: `bonds` if any are made or broken, `shape` if only the conformation changes. rule: how the
    geometry of the product follows from that of the reactant where their SMILES are the same:
    `mirror`; `permute` with the 1-based atoms in their new order; `turn` with four such atoms and
    the angle in degrees by which their dihedral turns; `through` with four atoms and the angle that
    their dihedral passes through, to end as far beyond it as it began before.
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
            raise E3DError(f"reaction {self.name}: the atom maps of its two SMILES do not agree")
        return first, second

    @property
    def numbers(self) -> Int[np.ndarray, " n_atoms"]:
        """Atomic numbers."""
        return np.array([atom.GetAtomicNum() for atom in self.graphs[0].GetAtoms()])

    @property
    def formula(self) -> str:
        """Composition in the Hill system; reactions of the same composition are not independent."""
        return str(Atoms(self.numbers).get_chemical_formula())

    @property
    def molecules(self) -> set[str]:
        """Canonical SMILES of all molecules at both ends."""
        ends = (self.reactant, self.product)
        return {canonical_smiles(part) for end in ends for part in end.split(".")}

    def changed_bonds(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bonds (i, j), i < j, that break, and those that form, by the SMILES."""
        before, after = ({(i, j) for i, j in bonding.bond_pairs(g).tolist()} for g in self.graphs)
        return sorted(before - after), sorted(after - before)


@dataclass(frozen=True)
class ReactionPath:
    """A minimum energy path of a reaction.

    positions (n, N, 3) in Å from reactant to product, each frame aligned with the one before;
    coordinate (n,): arc length from 0 to 1; saddle: index of the saddle point; frequency: modulus
    of its imaginary frequency in cm⁻¹.
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
