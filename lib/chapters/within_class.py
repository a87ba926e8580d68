"""Slopes within bond classes, and C–H bonds by what stabilises the radical that they leave."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from rdkit import Chem

#: What the carbon atom of a broken C–H bond stands next to, the first that fits.
MULTIPLE_BOND, LONE_PAIR, NEITHER = NEIGHBOURS = ("a multiple bond", "a lone pair", "neither")


def stabilising_neighbour(fragments: str) -> str | None:
    """Which of `NEIGHBOURS` the radical carbon atom has; None unless it had four bonds.

    fragments: SMILES of both fragments, joined by " + ", one of them the hydrogen atom. Next to a
    multiple or aromatic bond the unpaired electron delocalises; next to N or O it mixes with a lone
    pair.
    """
    radical = Chem.MolFromSmiles(next(part for part in fragments.split(" + ") if part != "[H]"))
    atom = next(atom for atom in radical.GetAtoms() if atom.GetNumRadicalElectrons())
    if atom.GetTotalDegree() != 3:
        return None
    neighbours = atom.GetNeighbors()
    if any(bond.GetBondTypeAsDouble() > 1 for other in neighbours for bond in other.GetBonds()):
        return MULTIPLE_BOND
    return LONE_PAIR if any(other.GetSymbol() in ("N", "O") for other in neighbours) else NEITHER


def slope(
    values: Float[np.ndarray, " n"],
    references: Float[np.ndarray, " n"],
    classes: Int[np.ndarray, " n"],
) -> float:
    """Change of the values per change of the references within classes, without a unit.

    Least squares on the deviations from the class means; classes: (n,) codes. NaN where the
    references do not vary within any class.
    """
    x, y = np.array(references, dtype=float), np.array(values, dtype=float)
    for code in np.unique(classes):
        own = classes == code
        x[own] -= x[own].mean()
        y[own] -= y[own].mean()
    square = float(x @ x)
    return float(x @ y) / square if square > 0 else float("nan")


def mean_difference(rows: Float[np.ndarray, "n 2"]) -> float:
    """Mean of the second column where the first is 1, less its mean elsewhere.

    In the unit of the second column; NaN where either side has no row.
    """
    own = rows[:, 0] == 1
    if own.all() or not own.any():
        return float("nan")
    return float(rows[own, 1].mean() - rows[~own, 1].mean())
