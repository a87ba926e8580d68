"""What the explorer of the book shows: molecules, their bonds, and what is known of each.

Energies in kcal/mol, positive for a bound pair; lengths and positions in Å.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from e3d.bde.known import ranks_of_bonds
from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

#: Kinds of reference values: key in the explorer → kind in the calibration of `e3d bonds`.
KINDS = {"de": "De", "bde298": "BDE298", "fragment": "DFT"}
DECIMALS = 1  # of energies in kcal/mol
_Bond = tuple[str, int, int]  # SMILES, and the canonical ranks of both atoms in order


def names() -> pd.DataFrame:
    """Trivial and systematic names: columns smiles (canonical), name, others (list)."""
    with resources.files(__package__).joinpath("names.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, keep_default_na=False)
    table["others"] = [[name.strip() for name in text.split(";") if name.strip()]
                       for text in table["others"]]  # fmt: skip
    return table


def explorer(
    molecules: Sequence[Molecule],
    edges: pd.DataFrame,
    runs: Sequence[str],
    *,
    calibration: Mapping[str, Any],
    vertical: pd.DataFrame,
    parents: pd.DataFrame,
    labelled: Iterable[str],
) -> dict[str, Any]:
    """Everything that the explorer shows.

    molecules: to be shown, with their relaxed geometry; edges: their bonds, columns smiles, fold,
    i, j, class, length_A, and `bare:<run>` and `dressed:<run>` in eV, negative when bound; runs:
    the seeds of the ensemble; calibration: of `e3d bonds`, for its references; vertical: columns
    smiles, i, j, vertical; parents: columns reaction and smiles, whose formulas are further names;
    labelled: names of molecules with DFT labels, all others being shown at a GFN2-xTB geometry.

    Returns `runs`; `molecules`, each with smiles, name, names, notations (SMILES that start at
    other atoms), formula, fold, geometry, symbols, positions and bonds; and `classes`: by bond
    class, `values` (sorted, bare, one for each set of equivalent bonds of molecules with DFT
    labels) and `n_molecules`.

    Raises E3DError for a molecule without a name, or with other bonds than the table has.
    """
    known, own = names().set_index("smiles"), set(labelled)
    formulas = _formulas(parents)
    references, cuts = _references(calibration), _vertical(vertical, molecules)
    shown, values = [], []
    for molecule in molecules:
        smiles = molecule.canonical_smiles
        if smiles not in known.index:
            raise E3DError(f"names.csv has no name for {smiles}; add a row for it")
        rows = edges[edges["smiles"] == smiles].sort_values(["i", "j"])
        graph = bonding.from_mapped_smiles(molecule.smiles)
        if rows[["i", "j"]].to_numpy(int).tolist() != sorted(bonding.bond_pairs(graph).tolist()):
            raise E3DError(f"the bond table has other bonds of {smiles} than its SMILES")
        ranks = ranks_in(graph, smiles)
        bonds = []
        for row in rows.to_dict("records"):
            key = _key(smiles, ranks[row["i"], row["j"]])
            bonds.append(_bond(row, runs) | references.get(key, {}) | cuts.get(key, {}))
            if molecule.name in own:
                values.append({"smiles": smiles, "class": row["class"], "key": key,
                               "bare": _energies(row, "bare", runs).mean()})  # fmt: skip
        shown.append({
            "smiles": smiles,
            "name": known.loc[smiles, "name"],
            "names": [*known.loc[smiles, "others"], *formulas.get(smiles, [])],
            "notations": notations(smiles),
            "formula": CalcMolFormula(graph),
            "fold": rows["fold"].iloc[0],
            "geometry": "DFT" if molecule.name in own else "GFN2-xTB",
            "symbols": molecule.symbols,
            "positions": np.round(molecule.relaxed.positions[0], 3).tolist(),
            "bonds": bonds,
        })  # fmt: skip
    return {"runs": list(runs), "molecules": shown, "classes": classes(pd.DataFrame(values))}


def classes(values: pd.DataFrame) -> dict[str, Any]:
    """Bare values by bond class; equivalent bonds of a molecule count once, with their mean.

    values: columns smiles, class, key (the same for equivalent bonds), bare.
    """
    distinct = values.groupby(["class", "smiles", "key"], as_index=False)["bare"].mean()
    return {
        name: {"values": sorted(rows["bare"].round(DECIMALS).tolist()),
               "n_molecules": int(rows["smiles"].nunique())}
        for name, rows in distinct.groupby("class")
    }  # fmt: skip


def ranks_in(graph: Chem.Mol, smiles: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Ranks of `ranks_of_bonds` by the atoms of a graph whose atoms have an order of their own.

    Those of the graph itself would differ: RDKit ranks atom maps and stereochemistry, too.
    """
    known = bonding.parse_smiles(smiles)
    place = known.GetSubstructMatch(graph)
    ranks = ranks_of_bonds(known)
    pairs = bonding.bond_pairs(graph).tolist()
    return {(i, j): ranks[place[i], place[j]] for i, j in pairs}


def notations(smiles: str) -> list[str]:
    """Other SMILES of the same molecule that people type: from any heavy atom, Kekulé forms too."""
    graph = Chem.MolFromSmiles(smiles)
    found = {Chem.MolToSmiles(graph, rootedAtAtom=k) for k in range(graph.GetNumAtoms())}
    Chem.Kekulize(graph)
    found |= {Chem.MolToSmiles(graph, rootedAtAtom=k, kekuleSmiles=True)
              for k in range(graph.GetNumAtoms())}  # fmt: skip
    return sorted(found - {smiles})


def _bond(row: Mapping[str, Any], runs: Sequence[str]) -> dict[str, Any]:
    seeds = _energies(row, "bare", runs)
    return {
        "i": int(row["i"]),
        "j": int(row["j"]),
        "class": row["class"],
        "length_A": round(float(row["length_A"]), 3),
        "bare": round(float(seeds.mean()), DECIMALS),
        "seeds": np.round(seeds, DECIMALS).tolist(),
        "std": round(float(seeds.std(ddof=1)), DECIMALS),
        "dressed": round(float(_energies(row, "dressed", runs).mean()), DECIMALS),
    }


def _energies(row: Mapping[str, Any], kind: str, runs: Sequence[str]) -> np.ndarray:
    return -KCAL_PER_MOL_PER_EV * np.array([row[f"{kind}:{run}"] for run in runs], float)


def _formulas(parents: pd.DataFrame) -> dict[str, list[str]]:
    """Formulas as reactions write them, such as CH3OH, by canonical SMILES."""
    found: dict[str, list[str]] = {}
    for reaction, smiles in parents[["reaction", "smiles"]].itertuples(index=False):
        formula = reaction.split(" ")[0]
        listed = found.setdefault(bonding.canonical_smiles(smiles), [])
        if formula not in listed:
            listed.append(formula)
    return found


def _key(smiles: str, ranks: Sequence[int]) -> _Bond:
    return smiles, min(ranks), max(ranks)


def _references(calibration: Mapping[str, Any]) -> dict[_Bond, dict[str, float]]:
    """Known values of bonds, as of `e3d.bde.known`; the first of each kind, as published."""
    found: dict[_Bond, dict[str, float]] = {}
    for entry in calibration["references"]:
        key = _key(entry["smiles"], entry["ranks"])
        for name, kind in KINDS.items():
            if kind in entry["values"]:
                value = round(entry["values"][kind], DECIMALS)
                found.setdefault(key, {}).setdefault(name, value)
    return found


def _vertical(table: pd.DataFrame, molecules: Sequence[Molecule]) -> dict[_Bond, dict[str, float]]:
    """Vertical dissociation energies, which hold for every equivalent bond."""
    ranks = {m.canonical_smiles: ranks_in(bonding.from_mapped_smiles(m.smiles), m.canonical_smiles)
             for m in molecules}  # fmt: skip
    return {
        _key(smiles, ranks[smiles][i, j]): {"vertical": round(float(value), DECIMALS)}
        for smiles, i, j, value in table[["smiles", "i", "j", "vertical"]].itertuples(index=False)
        if smiles in ranks
    }
