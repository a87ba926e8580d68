"""One rule for all commands: which molecules and conformations of a data set are used."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

import numpy as np
from ase.data import chemical_symbols
from rdkit import Chem

from e3d.data.graphs import contradictions, is_radical, misfit, unsanitized
from e3d.errors import E3DError

#: Elements of every model trained here, in the order of the model's type indices.
TYPE_NAMES = ("H", "C", "N", "O", "F", "Si", "S", "Cl")
#: Largest gradient component of a usable conformation, in hartree/bohr.
GRADIENT_LIMIT = 1.0

#: Why molecules are passed over.
EMPTY = "no conformations"
FOREIGN = "element outside the model's types"
CHARGED = "charged"
RADICAL = "unpaired electrons"
MISFIT = "bonds of the SMILES that are none in the geometry"
UNREADABLE = "cannot be read"
#: Why single conformations are passed over.
NOT_FINITE = "values that are not finite"


def steep(gradient_limit: float = GRADIENT_LIMIT) -> str:
    """Why conformations with a gradient beyond the limit, in hartree/bohr, are passed over."""
    return f"gradient beyond {gradient_limit:g} hartree/bohr"


def obstacle(
    smiles: str,
    numbers: np.ndarray,
    positions: np.ndarray,
    known: AbstractSet[int],
    *,
    cells: np.ndarray | None = None,
    charges: Collection[int] = (0,),
    radicals: bool = False,
) -> tuple[str, str]:
    """Why a molecule is passed over, in general and in particular; both empty if it is used.

    numbers (N,); positions (M, N, 3) in Å, some of which may not be finite; known: atomic numbers;
    cells (M, 3, 3): lattice vectors in Å of a periodic structure; charges: formal ones that are
    used, in e (none: any); radicals: whether molecules with unpaired electrons are used.
    Raises E3DError for a SMILES that is none, or one of other atoms.
    """
    if not len(positions):
        return EMPTY, ""
    if foreign := set(numbers.tolist()) - known:
        return FOREIGN, ", ".join(chemical_symbols[z] for z in sorted(foreign))
    graph = unsanitized(smiles)
    if graph is None:
        raise E3DError(f"SMILES {smiles!r} cannot be parsed")
    charge = Chem.GetFormalCharge(graph)
    if charges and charge not in charges:
        return CHARGED, f"{charge:+d}"
    if wrong := contradictions(graph, numbers):
        raise E3DError(f"SMILES {smiles!r}: {wrong[0]}")
    if not radicals and is_radical(graph):
        return RADICAL, ""
    finite = np.isfinite(positions).all(axis=(1, 2))
    with np.errstate(over="ignore"):  # finite, but out of all range: a misfit
        of_finite = None if cells is None else cells[finite]
        cause = misfit(graph, numbers, positions[finite], of_finite) if finite.any() else ""
    return (MISFIT, cause) if cause else ("", "")
