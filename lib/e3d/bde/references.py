"""Reference BDEs and the emergent BDEs matched to them, for the same bond of the same molecule.

Values in kcal/mol, positive for a bound pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rdkit import Chem

from e3d.chemistry.bonding import bond_class, bond_pairs, canonical_smiles, parse_smiles
from e3d.errors import E3DError

#: Kind of reference in the reference table → column of the matched table.
KINDS = {
    "De": "reference_de_kcal_per_mol",
    "BDE298": "reference_bde298_kcal_per_mol",
    "mean De": "reference_mean_de_kcal_per_mol",
    "mean H298": "reference_h_mean_kcal_per_mol",
}
#: Columns that identify the bond in a row of a bond table.
KEYS = ["molecule", "smiles", "fold", "i", "j", "class", "length_A"]
#: First columns of the matched table, which scripts rely on.
AGREED = ["reaction", "class", "emergent_kcal_per_mol", "dressed_kcal_per_mol", "untrained",
          "additive", "pair", KINDS["De"], KINDS["BDE298"], "tautology"]  # fmt: skip
#: Reaction name of references for a bond class as a whole.
AVERAGED = "average over compounds"


def read_references(path: str | Path) -> pd.DataFrame:
    """The reference table: columns reaction, bond_class, kind, value_kcal_per_mol and others.

    Raises E3DError for a missing column or a kind that is not in `KINDS`.
    """
    table = pd.read_csv(path)
    needed = ["reaction", "bond_class", "kind", "value_kcal_per_mol"]
    if missing := [column for column in needed if column not in table]:
        raise E3DError(f"{path} has no column {missing[0]!r}; expected {', '.join(needed)}")
    if unknown := sorted(set(table["kind"]) - set(KINDS)):
        raise E3DError(f"{path}: unknown kind of reference {unknown[0]!r}; "
                       f"known: {', '.join(KINDS)}")  # fmt: skip
    return table


def reaction_table(references: pd.DataFrame, parents: pd.DataFrame) -> pd.DataFrame:
    """One row per reference reaction: its parent molecule and all its references.

    references: as from `read_references`; parents: columns reaction, smiles. The mean D_e of a
    molecule is also given for first-bond reactions of the same bond, the mean H298 for every
    reaction of its class. Raises E3DError for a reaction whose parent is not listed.
    """
    smiles = dict(zip(parents["reaction"], parents["smiles"], strict=True))
    matched = references[references["reaction"] != AVERAGED]
    if unknown := [name for name in matched["reaction"] if name not in smiles]:
        raise E3DError(
            f"reaction {unknown[0]!r} has no parent molecule; add it to the list of reference "
            "molecules (columns reaction, smiles)"
        )
    rows = matched.pivot_table(
        index=["reaction", "bond_class"], columns="kind", values="value_kcal_per_mol", sort=False
    ).reset_index()
    rows = rows.rename(columns={"bond_class": "class"}).reindex(
        columns=["reaction", "class", "De", "BDE298", "mean De"]
    )
    rows["smiles"] = [canonical_smiles(smiles[name]) for name in rows["reaction"]]
    rows["mean De"] = rows.groupby(["smiles", "class"])["mean De"].transform("max")
    rows["mean H298"] = rows["class"].map(class_references(references))
    return rows.rename(columns=KINDS)


def class_references(references: pd.DataFrame) -> pd.Series:
    """Average bond enthalpy (298 K) by bond class, kcal/mol."""
    means = references[references["kind"] == "mean H298"]
    return means.set_index("bond_class")["value_kcal_per_mol"]


def class_bonds(smiles: str, name: str) -> set[tuple[int, ...]]:
    """Symmetry classes of a molecule's bonds of one bond class, as pairs of atom ranks."""
    graph = parse_smiles(smiles)
    ranks = list(Chem.CanonicalRankAtoms(graph, breakTies=False))
    return {
        tuple(sorted((ranks[i], ranks[j])))
        for i, j in bond_pairs(graph).tolist()
        if bond_class(graph, i, j) == name
    }


def bare_tautology(smiles: str) -> bool:
    """Whether ε of the bond is the label itself: a diatomic molecule has no other edge."""
    return parse_smiles(smiles).GetNumAtoms() == 2


def dressed_tautology(smiles: str) -> bool:
    """Whether the dressed value is the label per bond, because all bonds are equivalent."""
    graph = parse_smiles(smiles)
    names = {bond_class(graph, i, j) for i, j in bond_pairs(graph).tolist()}
    return len(names) == 1 and len(class_bonds(smiles, names.pop())) == 1


@dataclass(frozen=True)
class Source:
    """Scored bonds that reactions can be matched with, valid for molecules of `elements`.

    headline: whether the values are at the level of theory that is compared with D_e.
    """

    name: str
    scored: pd.DataFrame
    elements: frozenset[str]
    headline: bool

    def bonds(self, smiles: str, name: str) -> pd.DataFrame:
        """Scored bonds of a class in a molecule (canonical SMILES); none if it is not included.

        Raises E3DError when the molecule is included without such a bond, or when its bonds of this
        class are not equivalent, so that it is ambiguous which one breaks.
        """
        held = self.scored[self.scored["smiles"] == smiles]
        atoms = {atom.GetSymbol() for atom in parse_smiles(smiles).GetAtoms()}
        if held.empty or not atoms <= self.elements:
            return held.iloc[:0]
        bonds, kinds = held[held["class"] == name], class_bonds(smiles, name)
        if bonds.empty or len(kinds) != 1:
            raise E3DError(
                f"{smiles} has {len(bonds)} bonds of class {name} in {len(kinds)} symmetry "
                "classes, expected one; is the reaction's parent or bond class right?"
            )
        return bonds


def matched_table(reactions: pd.DataFrame, sources: Sequence[Source]) -> pd.DataFrame:
    """One row per reference reaction, the columns of `results/bde_matched.csv`.

    reactions: as from `reaction_table`. The value of a reaction is the median over the equivalent
    bonds of its parent molecule, from the first source that includes it; NaN, with an empty
    `source`, where none does. `tautology` marks bare values that equal the label,
    `tautology_dressed` dressed ones; `headline` the reactions that enter averages, without bare
    tautologies and from a source at the headline level of theory.
    """
    columns = list(dict.fromkeys(c for s in sources for c in s.scored if c not in KEYS))
    rows = []
    for reaction in reactions.to_dict("records"):
        smiles = reaction["smiles"]
        found = [(s, b) for s in sources if len(b := s.bonds(smiles, reaction["class"]))]
        source, bonds = found[0] if found else (None, pd.DataFrame())
        values = bonds.reindex(columns=columns).median()
        tautology = bare_tautology(smiles)
        rows.append(
            reaction
            | values.rename(_column).to_dict()
            | {
                "tautology": tautology,
                "tautology_dressed": dressed_tautology(smiles),
                "fold": bonds["fold"].iloc[0] if source else "",
                "source": source.name if source else "",
                "headline": bool(source and source.headline and not tautology),
            }
        )
    table = pd.DataFrame(rows)
    return table[AGREED + [column for column in table if column not in AGREED]]


def _column(name: str) -> str:
    return f"{name}_kcal_per_mol" if name in ("emergent", "dressed") else name
