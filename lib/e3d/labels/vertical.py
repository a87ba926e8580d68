"""Vertical dissociation energies: a bond is cut and nothing else moves, by DFT.

    D = E(A) + E(B) − E(AB), both fragments at the geometry that they have in AB.

*vertical*: each fragment in its lowest spin state; *valence*: in the state that the cut of a bond
of order k leaves behind, k unpaired electrons of parallel spin on either side (high spin), as in
the valence states of bond-energy theory. The two differ for multiple bonds alone: CO₂ → CO + O
leaves CO a singlet, but a triplet in its valence state. These, not energies of relaxed fragments,
are what the edge energies across a cut of the intact molecule can be compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.dft import kohn_sham, open_shell_energy
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels.fragments import radical_smiles
from e3d.labels.tables import label_table
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE, KCAL_PER_MOL_PER_EV


class Cut(NamedTuple):
    """A bond i–j of integer order whose cut leaves two neutral fragments.

    atoms: indices of the atoms on the side of i, and on that of j; fragments: their canonical
    SMILES; n_equivalent: bonds of the molecule of the same class that leave the same fragments.
    """

    i: int
    j: int
    bond_class: str
    order: int
    atoms: tuple[tuple[int, ...], tuple[int, ...]]
    fragments: tuple[str, str]
    n_equivalent: int


def cuts(graph: Chem.Mol) -> list[Cut]:
    """One cut of each kind of equivalent bonds; graph: all atoms explicit, in their order.

    Bonds in rings, aromatic bonds, and bonds of atoms with a formal charge are left out: they
    leave no two neutral fragments.
    """
    found: dict[tuple, Cut] = {}
    for i, j in bonding.bond_pairs(graph).tolist():
        bond = graph.GetBondBetweenAtoms(i, j)
        charged = any(graph.GetAtomWithIdx(k).GetFormalCharge() for k in (i, j))
        if bond.IsInRing() or bond.GetIsAromatic() or charged:
            continue
        order = int(bond.GetBondTypeAsDouble())
        atoms = bonding.sides(graph, i, j)
        names = tuple(
            _fragment(graph, part, k, order) for part, k in zip(atoms, (i, j), strict=True)
        )
        name = bonding.bond_class(graph, i, j)
        key = (name, tuple(sorted(names)))
        first = found.get(key, Cut(i, j, name, order, atoms, (names[0], names[1]), 0))
        found[key] = first._replace(n_equivalent=first.n_equivalent + 1)
    return list(found.values())


def _fragment(graph: Chem.Mol, atoms: Sequence[int], at: int, order: int) -> str:
    """Canonical SMILES of `fragment_graph`."""
    return radical_smiles(fragment_graph(graph, atoms, at, order))


def fragment_graph(graph: Chem.Mol, atoms: Sequence[int], at: int, order: int) -> Chem.Mol:
    """A part of a molecule with `order` unpaired electrons on the atom `at`, in the same order."""
    part = Chem.RWMol(graph)
    radical = part.GetAtomWithIdx(at)
    radical.SetNumRadicalElectrons(radical.GetNumRadicalElectrons() + order)
    radical.SetNoImplicit(True)
    for k in sorted(set(range(graph.GetNumAtoms())) - set(atoms), reverse=True):
        part.RemoveAtom(k)
    Chem.SanitizeMol(part)
    return part.GetMol()


def frozen_energies(
    numbers: np.ndarray, positions: np.ndarray, order: int
) -> dict[int, tuple[float, float]]:
    """Energy in eV and ⟨S²⟩ by number of unpaired electrons: `order`, and by pairs fewer.

    positions (N, 3) in Å. Raises E3DError when an SCF does not converge.
    """
    found = {}
    for unpaired in range(order, -1, -2):
        if len(numbers) == 1 and unpaired < order:
            continue  # an atom's ground state has the highest spin
        mean_field = kohn_sham(numbers, positions / ANGSTROM_PER_BOHR, unpaired=unpaired)
        energy = open_shell_energy(mean_field) * EV_PER_HARTREE
        found[unpaired] = energy, float(mean_field.spin_square()[0]) if unpaired else 0.0
    return found


def vertical_dissociation(entry: Molecule) -> pd.DataFrame:
    """All `cuts` of a molecule at its relaxed conformation, one row per kind of bond.

    Columns: molecule (name), smiles (canonical), i, j, class, order, n_equivalent, fragment_i,
    fragment_j (canonical SMILES), unpaired_i, unpaired_j (of the lowest state), spin_square_i,
    spin_square_j (of that state), energy_eV (of the intact molecule), and vertical_kcal_per_mol and
    valence_kcal_per_mol, positive for a bound pair; NaN where an SCF did not converge.
    Raises E3DError when the molecule has no relaxed conformation, or no bond that can be cut.
    """
    relaxed = entry.relaxed
    positions, energy = relaxed.positions[0], float(relaxed.energies[0])
    graph = bonding.from_mapped_smiles(entry.smiles)
    for atom in graph.GetAtoms():
        atom.SetAtomMapNum(0)
    rows = [
        {"molecule": entry.name, "smiles": entry.canonical_smiles, "i": cut.i, "j": cut.j,
         "class": cut.bond_class, "order": cut.order, "n_equivalent": cut.n_equivalent,
         "fragment_i": cut.fragments[0], "fragment_j": cut.fragments[1], "energy_eV": energy}
        | dict(_energies(entry.atomic_numbers, positions, cut, energy))
        for cut in cuts(graph)
    ]  # fmt: skip
    if not rows:
        raise E3DError(f"{entry.name}: no bond whose cut leaves two neutral fragments")
    return pd.DataFrame(rows)


def _energies(
    numbers: np.ndarray, positions: np.ndarray, cut: Cut, energy: float
) -> Iterator[tuple[str, float]]:
    lowest, valence = -energy, -energy
    for end, atoms in zip("ij", cut.atoms, strict=True):
        part = np.array(atoms)
        try:
            states = frozen_energies(numbers[part], positions[part], cut.order)
        except E3DError:
            states = {cut.order: (np.nan, np.nan)}
        unpaired = min(states, key=lambda n: states[n][0])
        lowest, valence = lowest + states[unpaired][0], valence + states[cut.order][0]
        yield f"unpaired_{end}", unpaired
        yield f"spin_square_{end}", states[unpaired][1]
    yield "vertical_kcal_per_mol", KCAL_PER_MOL_PER_EV * lowest
    yield "valence_kcal_per_mol", KCAL_PER_MOL_PER_EV * valence


def label_vertical(
    molecules: Sequence[Molecule],
    out: str | Path,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write `vertical_dissociation` of every molecule to one CSV file; an interrupted call resumes.

    Returns the molecules left out, with the reason of each. Raises E3DError as `label_table`
    does.
    """
    return label_table(
        vertical_dissociation, molecules, out, digits=8, n_workers=n_workers, progress=progress
    )
