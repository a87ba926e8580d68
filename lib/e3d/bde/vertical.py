"""Vertical dissociation energies of all bonds labelled so far, whatever files they are in."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from e3d.errors import E3DError

#: Columns of the tables that `labels.vertical.label_vertical` writes, and that are relied on here.
_NEEDED = ["molecule", "smiles", "i", "j", "class", "order", "n_equivalent", "fragment_i",
           "fragment_j", "vertical_kcal_per_mol", "valence_kcal_per_mol"]  # fmt: skip


def read_vertical(folder: str | Path) -> pd.DataFrame:
    """The tables of a folder below each other, without bonds whose SCF did not converge.

    Columns: those of `e3d.labels.vertical.vertical_dissociation`, and `fragments`, both canonical
    SMILES sorted and joined by " + "; i < j. A molecule that two files have is taken from the
    first. Raises E3DError when the folder has no table, or a table lacks a column.
    """
    tables = []
    for path in sorted(Path(folder).glob("*.csv")):
        table = pd.read_csv(path)
        if missing := [column for column in _NEEDED if column not in table]:
            raise E3DError(
                f"{path} has no column {missing[0]!r}; is it a table of vertical dissociation "
                "energies (stages label_vertical)?"
            )
        tables.append(table)
    if not tables:
        raise E3DError(f"{folder} has no table of vertical dissociation energies; run `make pull`")
    bonds = pd.concat(tables, ignore_index=True)
    bonds = bonds.drop_duplicates(["molecule", "i", "j"])
    bonds = bonds.dropna(subset=["vertical_kcal_per_mol", "valence_kcal_per_mol"])
    ends = zip(bonds["fragment_i"], bonds["fragment_j"], strict=True)
    bonds["fragments"] = [" + ".join(sorted(pair)) for pair in ends]
    return bonds.reset_index(drop=True)
