"""The bound on the deviation from D_e of bond energies that add up to the atomisation energy.

D_e of the n bonds of a molecule do not add up to its atomisation energy E_at, since breaking one
bond changes the others. If bond energies b do, Σ b = E_at, then

    Σ |b − D_e| ≥ |Σ (b − D_e)| = |E_at − Σ D_e|,

so their mean absolute deviation is at least |Σ D_e − E_at| / n, with equality where all of them
deviate in the same direction. With the energy W on pairs that are not bonded, Σ b = E_at − W, and
the bound of that decomposition is |Σ D_e − E_at + W| / n. All energies are in kcal/mol, positive
when bound; a table of bonds has one row per bond.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from e3d.bde import references
from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels.fragments import radical_smiles, read_species, unpaired_electrons
from e3d.labels.vertical import fragment_graph
from e3d.units import KCAL_PER_MOL_PER_EV


def lowest_states(paths: Iterable[str | Path]) -> pd.Series:
    """Energy in eV of the lowest known spin state of relaxed species, by canonical SMILES.

    paths: files as `label_species` writes them, or folders of such files (`*.xyz`). A SMILES with
    k unpaired electrons stands for a species of any spin that such a cut can leave: k, k − 2, …
    unpaired. It is left out unless all of them are there, because the lowest would be unknown; an
    atom's ground state has the highest. Raises E3DError as `read_species` does.
    """
    files = [file for path in map(Path, paths)
             for file in (sorted(path.glob("*.xyz")) if path.is_dir() else [path])]  # fmt: skip
    if not files:
        raise E3DError("no file of relaxed species; give labels/fragments.xyz or a folder of .xyz")
    species = pd.concat([read_species(file) for file in files])
    energies = {}
    for smiles, states in species.groupby(level=0):
        most = unpaired_electrons(str(smiles))
        atom = bonding.parse_smiles(str(smiles)).GetNumAtoms() == 1
        needed = {most} if atom else set(range(most, -1, -2))
        if needed <= set(states["unpaired"]):
            energies[smiles] = float(states["energy_eV"].min())
    return pd.Series(energies, dtype=float, name="energy_eV")


def bonds_to_break(molecules: Iterable[Molecule]) -> pd.DataFrame:
    """All bonds of the molecules in which every bond can be broken into two neutral fragments.

    Those with a ring, a formal charge or fewer than two bonds are left out. Columns: molecule
    (name), smiles (canonical), i, j (i < j), class, order, fragments (canonical SMILES, sorted,
    joined by " + ").
    """
    rows = []
    for entry in molecules:
        graph = bonding.from_mapped_smiles(entry.smiles)
        charged = any(atom.GetFormalCharge() for atom in graph.GetAtoms())
        if charged or graph.GetRingInfo().NumRings() or graph.GetNumBonds() < 2:
            continue
        for atom in graph.GetAtoms():
            atom.SetAtomMapNum(0)
        for i, j in bonding.bond_pairs(graph).tolist():
            order = int(graph.GetBondBetweenAtoms(i, j).GetBondTypeAsDouble())
            left = sorted(
                radical_smiles(fragment_graph(graph, part, k, order))
                for part, k in zip(bonding.sides(graph, i, j), (i, j), strict=True)
            )
            rows.append({
                "molecule": entry.name, "smiles": entry.canonical_smiles, "i": i, "j": j,
                "class": bonding.bond_class(graph, i, j), "order": order,
                "fragments": " + ".join(left),
            })  # fmt: skip
    return pd.DataFrame(rows)


def fragment_energies(bonds: pd.DataFrame, lowest: pd.Series) -> pd.Series:
    """D_e of bonds from relaxed species, E(A) + E(B) − E(AB); NaN where one is not known.

    bonds: as of `bonds_to_break`; lowest: as of `lowest_states`.
    """
    parts = bonds["fragments"].str.split(" + ", regex=False, expand=True)
    energies = parts[0].map(lowest) + parts[1].map(lowest) - bonds["smiles"].map(lowest)
    return KCAL_PER_MOL_PER_EV * energies


def literature_energies(bonds: pd.DataFrame, reactions: pd.DataFrame) -> pd.Series:
    """D_e of bonds from the literature, NaN where there is none.

    bonds: columns smiles, class; reactions: as of `references.reaction_table`. A reaction names a
    class of bonds, so that it is used only where all bonds of the class are equivalent.
    """
    column = references.KINDS["De"]
    known = reactions.dropna(subset=[column]).drop_duplicates(["smiles", "class"])
    by_kind = known.set_index(["smiles", "class"])[column].to_dict()
    kinds = bonds[["smiles", "class"]].drop_duplicates().itertuples(index=False, name=None)
    values = {
        (smiles, name): by_kind[smiles, name]
        for smiles, name in kinds
        if (smiles, name) in by_kind and len(references.class_bonds(smiles, name)) == 1
    }
    pairs = zip(bonds["smiles"], bonds["class"], strict=True)
    return pd.Series([values.get(pair, np.nan) for pair in pairs], bonds.index, dtype=float)


def complete(bonds: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of molecules for all of whose bonds the column has a value."""
    known = bonds[column].notna().groupby(bonds["molecule"]).transform("all")
    return bonds[known].reset_index(drop=True)


def by_molecule(bonds: pd.DataFrame, columns: Sequence[str], reference: str) -> pd.DataFrame:
    """Deviations from D_e and their bounds, one row per molecule.

    bonds: columns molecule, smiles, atomisation (E_at of the molecule), `reference` (D_e) and those
    named by columns. Returns molecule, smiles, n_bonds; `surplus`, (Σ D_e − E_at) / n, and `bound`,
    its absolute value; per column `mae:<column>` and `own:<column>`, the bound of a decomposition
    whose bonds add up to what these do. MAE − own bound is never negative; MAE − bound is not
    where the energies add up to E_at.
    """
    rows = []
    for name, own in bonds.groupby("molecule", sort=False):
        de, n = own[reference], len(own)
        surplus = (de.sum() - own["atomisation"].iloc[0]) / n
        row = {"molecule": name, "smiles": own["smiles"].iloc[0], "n_bonds": n,
               "surplus": surplus, "bound": abs(surplus)}  # fmt: skip
        for column in columns:
            row[f"mae:{column}"] = (own[column] - de).abs().mean()
            row[f"own:{column}"] = abs((own[column] - de).sum()) / n
        rows.append(row)
    return pd.DataFrame(rows)


def least_loss(surplus: float, de: Float[np.ndarray, " k"], counts: Int[np.ndarray, " k"]) -> float:
    """Smallest sum over kinds of bonds of 1 − score, if the energies must add up to E_at.

    surplus: Σ D_e − E_at of the molecule; de: of its k kinds of equivalent bonds; counts: bonds of
    each. The score of a kind is max(0, 1 − |b − D_e| / D_e). Its loss is concave in the surplus
    that it takes, so that one kind had better take all of it.
    """
    return float(np.minimum(1.0, abs(surplus) / (counts * de)).min())


def ceiling(bonds: pd.DataFrame, reference: str, scored: Sequence[bool]) -> tuple[float, int]:
    """Highest accuracy that bond energies adding up to E_at can reach, and the number of kinds.

    bonds: complete molecules, with columns molecule, class, fragments, atomisation and `reference`;
    scored: (n,) whether the bond counts. In a molecule with a kind that does not count, that kind
    can take the whole surplus. Raises E3DError when no bond counts.
    """
    losses, n = 0.0, 0
    for _, own in bonds.assign(scored=np.asarray(scored)).groupby("molecule"):
        kinds = own.groupby(["class", "fragments"]).agg(
            de=(reference, "mean"), n=(reference, "size"), scored=("scored", "all")
        )
        n += int(kinds["scored"].sum())
        if kinds["scored"].all():
            surplus = own[reference].sum() - own["atomisation"].iloc[0]
            losses += least_loss(surplus, kinds["de"].to_numpy(), kinds["n"].to_numpy())
    if not n:
        raise E3DError("expected at least one kind of bond that counts, got none")
    return 1 - losses / n, n
