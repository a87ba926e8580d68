"""Emergent bond dissociation energies (BDEs) of bonds and of bond classes, and their accuracy.

All values are in kcal/mol and positive for a bound pair (BDE = −ε), except in bond tables of
`e3d.decomposition` (eV, negative when bound). The value of a molecule for a bond class is the
median over its bonds of that class, so that every molecule has weight 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from e3d.bde.references import KEYS, KINDS, bare_tautology, class_references
from e3d.errors import E3DError
from e3d.models.nulls import FittedNulls, pair_energies
from e3d.statistics import intervals
from e3d.units import KCAL_PER_MOL_PER_EV

#: Nulls with a column in every table; `shuffled` is one of the ensembles.
NULLS = ("untrained", "additive", "pair")
#: Classes with fewer molecules are shown, but excluded from averages.
MIN_MOLECULES = 3
#: Column of a matched table that has tautologies of its own.
DRESSED = "dressed_kcal_per_mol"


def runs_of(table: pd.DataFrame, ensemble: str) -> list[str]:
    """Runs of an ensemble in a bond table, those named `<ensemble>-s<seed>`, sorted.

    Raises E3DError when there are none.
    """
    pattern = re.compile(rf"bare:({re.escape(ensemble)}-s\d+)")
    runs = sorted(found.group(1) for c in table.columns if (found := pattern.fullmatch(c)))
    if not runs:
        raise E3DError(f"the bond table has no run of the ensemble {ensemble!r}; has the stage "
                       "`decomposition` included its checkpoints?")  # fmt: skip
    return runs


def score_bonds(
    table: pd.DataFrame,
    runs: Sequence[str],
    nulls: FittedNulls,
    *,
    ensembles: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """BDEs in kcal/mol of every bond of a bond table: of the ensemble `runs`, and of every null.

    Columns: `KEYS` of the bond, `emergent` and `dressed` (means over `runs`), `seed:<run>` and
    `dressed:<run>`, `untrained`, `additive`, `pair`, and one for each of the `ensembles` (name →
    runs), the mean of −ε over its runs.

    Raises E3DError when the bond table lacks a run.
    """
    untrained = [c * _mean(table, [f"bare:{run}"]) for run, c in nulls.untrained.items()]
    columns = {
        "emergent": _mean(table, [f"bare:{run}" for run in runs]),
        "dressed": _mean(table, [f"dressed:{run}" for run in runs]),
        **{f"seed:{run}": _mean(table, [f"bare:{run}"]) for run in runs},
        **{f"dressed:{run}": _mean(table, [f"dressed:{run}"]) for run in runs},
        "untrained": np.mean(untrained, axis=0),
        "additive": nulls.additive.bond_energies(table["class"].tolist()),
        "pair": pair_energies(table, nulls.pair),
    }
    for name, members in (ensembles or {}).items():
        columns[name] = _mean(table, [f"bare:{run}" for run in members])
    scored = pd.DataFrame(columns, index=table.index) * -KCAL_PER_MOL_PER_EV
    return pd.concat([table[KEYS], scored], axis=1)


def _mean(table: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    missing = [column for column in columns if column not in table]
    if missing:
        raise E3DError(
            f"the bond table has no column {missing[0]!r}; run the stage `decomposition` with it"
        )
    return table[list(columns)].to_numpy(dtype=float).mean(axis=1)


def molecule_medians(scored: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Median over the bonds of each class in each molecule, kcal/mol; index (class, smiles)."""
    return scored.groupby(["class", "smiles"])[list(columns)].median()


def class_table(
    scored: pd.DataFrame, references: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """One row per bond class, the columns of `results/bde.csv`, in kcal/mol.

    scored: as from `score_bonds`; references: as from `read_references`. emergent and dressed are
    medians over molecules; low and high the 95 % bootstrap interval of emergent over molecules, NaN
    below `MIN_MOLECULES` molecules; seed_std the standard deviation of class medians over seeds;
    `averaged` is true for classes that enter averages, those with enough molecules that are not all
    tautologies. The last columns are the other ensembles of `scored`.
    """
    seeds = [column for column in scored if column.startswith("seed:")]
    shown = ["emergent", "dressed", *seeds, *NULLS]
    others = [column for column in scored
              if column not in {*KEYS, *shown} and not column.startswith("dressed:")]  # fmt: skip
    medians = molecule_medians(scored, shown + others)
    rows = []
    for name, molecules in medians.groupby("class"):
        enough = len(molecules) >= MIN_MOLECULES
        found = intervals.estimate(molecules["emergent"].to_numpy(), statistic=np.median,
                                    n_resamples=n_resamples, seed=seed)  # fmt: skip
        centre = molecules.median()
        smiles = molecules.index.get_level_values("smiles")
        rows.append({
            "class": name,
            "n_bonds": int((scored["class"] == name).sum()),
            "n_molecules": len(molecules),
            "emergent_kcal_per_mol": centre["emergent"],
            "dressed_kcal_per_mol": centre["dressed"],
            "low": found["low"] if enough else np.nan,
            "high": found["high"] if enough else np.nan,
            "seed_std_kcal_per_mol": centre[seeds].std(ddof=1),
            **{column: centre[column] for column in [*NULLS, *others]},
            "averaged": enough and not all(map(bare_tautology, smiles)),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    reference = table["class"].map(class_references(references))
    table.insert(list(table.columns).index(NULLS[-1]) + 1, KINDS["mean H298"], reference)
    return table


def accuracies(
    matched: pd.DataFrame,
    columns: Sequence[str],
    reference: str,
    *,
    against: str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy of columns of a matched table on its headline reactions, one row per column.

    Only reactions with a value and with this kind of reference (a column of `KINDS`) are used, and
    only the first of several for the same bond of a molecule; where dressed values take part, on
    either side, their tautologies do not. Intervals are over parent molecules, since reactions of
    one molecule are not independent. With `against`, the gain in accuracy of that column over each
    of the others, on the reactions that have both. Columns: value, low, high, n; NaN where no
    reaction remains.
    """
    results: dict[str, intervals.Estimate | dict[str, float]] = {}
    for column in columns:
        used = matched[matched["headline"] & matched[reference].notna() & matched[column].notna()]
        if against is not None:
            used = used[used[against].notna()]
        if DRESSED in (column, against):
            used = used[~used["tautology_dressed"]]
        used = used.drop_duplicates(["smiles", "class"])
        if used.empty:
            results[column] = {"value": np.nan, "low": np.nan, "high": np.nan, "n": 0}
            continue
        groups, options = used["smiles"].to_numpy(), {"n_resamples": n_resamples, "seed": seed}
        values, references = used[column].to_numpy(), used[reference].to_numpy()
        if against is None:
            results[column] = intervals.accuracy(values, references, groups, **options)
        else:
            results[column] = intervals.accuracy_gain(
                used[against].to_numpy(), values, references, groups, **options
            )
    return pd.DataFrame.from_dict(results, orient="index")
