"""What the models are given: atoms and their bonds, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.errors import E3DError

#: In a crystal, atoms closer than this many times the sum of their covalent radii are bonded.
CRYSTAL_BOND_FACTOR = 1.25


@dataclass(frozen=True)
class Conformers:
    """GFN2-xTB minima of one molecule within reach of thermal energy, the lowest first.

    positions (n, N, 3) in Å; energies_eV (n,) above the lowest.
    """

    positions: Float[np.ndarray, "n n_atoms 3"]
    energies_eV: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Structure:
    """Atoms and their bonds i ≤ j; `shifts` are the cells of j, None for a molecule.

    smiles: as given, or perceived from a file; None where no bond orders are known.
    name: what was given, with the number of the frame if a file has several, or the title of a
    line of a list. charge in e and number of unpaired electrons, of a molecule. notes: sentences on
    how the input was read, and on what the models were not trained for. conformers: of a SMILES.
    graph: of a molecule, its atoms in the order of `atoms`.
    """

    smiles: str | None
    atoms: Atoms
    bonds: np.ndarray
    classes: list[str]
    shifts: np.ndarray | None = None
    name: str = ""
    charge: int = 0
    unpaired: int = 0
    notes: tuple[str, ...] = ()
    conformers: Conformers | None = None
    graph: Chem.Mol | None = None


def check_elements(label: str, found: set[str], known: Sequence[str]) -> None:
    """Raise E3DError when an element is not among those that are known."""
    if unknown := sorted(found - set(known)):
        raise E3DError(
            f"{label}: the model does not know {', '.join(unknown)}; its elements are "
            f"{', '.join(known)}"
        )


def molecule(
    smiles: str | None,
    atoms: Atoms,
    graph: Chem.Mol,
    *,
    name: str,
    charge: int = 0,
    notes: Sequence[str] = (),
    conformers: Conformers | None = None,
) -> Structure:
    """The structure of a molecular graph whose atoms are in the order of `atoms`.

    What no model was trained for is noted: a charge, and unpaired electrons.
    """
    bonds = bonding.bond_pairs(graph)
    classes = [bonding.bond_class(graph, i, j) for i, j in bonds.tolist()]
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())
    unpaired = unpaired or (int(atoms.numbers.sum()) - charge) % 2
    found = list(notes)
    if charge:
        found.append(f"charge {charge:+d}: the models were trained on neutral molecules")
    if unpaired:
        found.append(
            f"a radical with {unpaired} unpaired electron{'s' * (unpaired > 1)}: the models were "
            "trained on closed-shell molecules"
        )
    return Structure(
        smiles, atoms, bonds, classes, None, name, charge, unpaired, tuple(found), conformers, graph
    )


def crystal(atoms: Atoms, *, name: str, notes: Sequence[str] = ()) -> Structure:
    """Bonds of a periodic structure by covalent radii; bonds to other images are separate bonds."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    i, j, shifts = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=CRYSTAL_BOND_FACTOR))
    once = [(a, *s) < (b, *(-s)) for a, b, s in zip(i, j, shifts, strict=True)]  # of two directions
    bonds = np.column_stack([i, j])[once].astype(np.int64)
    classes = ["~".join(sorted((atoms[a].symbol, atoms[b].symbol))) for a, b in bonds]
    cells = shifts[once].astype(np.int64)
    return Structure(None, atoms, bonds, classes, cells, name, notes=tuple(notes))
