"""Independent measures of bond strength: bond orders and relaxed force constants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from e3d.chemistry import bonding
from e3d.chemistry.bond_orders import mean_field_bond_orders, relaxed_force_constants
from e3d.chemistry.dft import converged_energy, kohn_sham
from e3d.chemistry.xtb import gfn2_hessian, single_point
from e3d.data.molecule import Molecule
from e3d.labels.tables import label_table
from e3d.units import ANGSTROM_PER_BOHR


def bond_strengths(entry: Molecule) -> pd.DataFrame:
    """Strengths of all bonds of a molecule at its relaxed conformation, one row per bond.

    Columns: molecule (name), smiles (canonical), i, j (i < j), class, length_A; the bond orders
    `mayer` and `wiberg_lowdin` (ωB97M-D3(BJ)/def2-TZVP) and `wiberg_gfn2` (GFN2-xTB, from tblite);
    force_constant_eV_per_A2 (GFN2-xTB, everything else relaxed). Raises E3DError when the SCF
    does not converge, or when the molecule has no relaxed conformation.
    """
    numbers, positions = entry.atomic_numbers, entry.relaxed.positions[0]
    graph = bonding.from_mapped_smiles(entry.smiles)
    pairs = bonding.bond_pairs(graph)
    i, j = pairs.T
    mean_field = kohn_sham(numbers, positions / ANGSTROM_PER_BOHR)
    converged_energy(mean_field)
    orders = mean_field_bond_orders(mean_field)
    stiffness = relaxed_force_constants(gfn2_hessian(numbers, positions), positions, pairs)
    return pd.DataFrame(
        {"molecule": entry.name, "smiles": entry.canonical_smiles, "i": i, "j": j,
         "class": [bonding.bond_class(graph, *pair) for pair in pairs.tolist()],
         "length_A": bonding.bond_lengths(positions, pairs)}
        | {name: matrix[i, j] for name, matrix in orders.items()}
        | {"wiberg_gfn2": single_point(numbers, positions / ANGSTROM_PER_BOHR).orders[i, j],
           "force_constant_eV_per_A2": stiffness}
    )  # fmt: skip


def label_bond_strengths(
    molecules: Sequence[Molecule],
    out: str | Path,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Write the `bond_strengths` of molecules to one CSV file; an interrupted call resumes.

    Returns the molecules left out, with the reason of each. Raises E3DError as `label_table`
    does.
    """
    return label_table(
        bond_strengths, molecules, out, digits=6, n_workers=n_workers, progress=progress
    )


def wiberg_table(molecules: Iterable[Molecule]) -> pd.DataFrame:
    """GFN2-xTB Wiberg orders of relaxed molecules: columns molecule, i, j (i < j) and wiberg."""
    tables = []
    for molecule in molecules:
        i, j = bonding.bond_pairs(bonding.from_mapped_smiles(molecule.smiles)).T
        bohr = molecule.relaxed.positions[0] / ANGSTROM_PER_BOHR
        orders = single_point(molecule.atomic_numbers, bohr).orders
        columns = {"i": i, "j": j, "wiberg": orders[i, j]}
        tables.append(pd.DataFrame({"molecule": molecule.name} | columns))
    return pd.concat(tables, ignore_index=True)
