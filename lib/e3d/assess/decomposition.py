"""Scores of the decomposition itself: excess over the bound, distribution of ε, agreement of seeds.

See `scoring` for what a score is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from e3d.assess.scoring import Score, score
from e3d.assess.sources import Group, Sources
from e3d.assess.standard import Standard
from e3d.bde import bound, references
from e3d.chemistry.bonding import pair_and_order
from e3d.decomposition.maps import topological_shares
from e3d.statistics import entropy, information, intervals, variance
from e3d.statistics.intervals import Estimate
from e3d.units import KCAL_PER_MOL_PER_EV

#: Of H(ε), in eV; bins of equal mass per element pair, for order information.
BIN_WIDTH, N_BINS = 0.1, 32
_KEYS = ["molecule", "i", "j"]


def of_decomposition(
    sources: Sources, standard: Standard, options: Mapping[str, Any]
) -> Iterator[Score]:
    """All these scores; options: n_resamples and seed."""
    yield from _bound(sources, standard, options)
    yield from _distribution(sources, standard, options)
    yield from _identifiability(sources, options)


def _bound(sources: Sources, standard: Standard, options: Mapping[str, Any]) -> Iterator[Score]:
    of = standard.complete["molecule"].nunique()
    bonds = sources.bonds.drop(columns="smiles").merge(standard.complete, on=[*_KEYS, "class"])
    if bonds.empty:
        return
    columns = [*sources.columns("bare").values(), *sources.columns("dressed").values()]
    present = [c for c in dict.fromkeys(columns) if bonds[c].notna().any()]
    runs = [
        c for kind in ("bare", "dressed") for part in sources.seeds(kind).values() for c in part
    ]
    each = bound.by_molecule(bonds.dropna(subset=present), [*present, *runs], "de")
    free = each[~each["smiles"].map(references.dressed_tautology)]
    if free.empty:
        return
    for kind in ("bare", "dressed"):
        found = {}
        for name, column in sources.columns(kind).items():
            if column in present:
                over = free[f"mae:{column}"] - free["bound"]
                seeds = sources.seeds(kind).get(name, [])
                of_seeds = [(free[f"mae:{c}"] - free["bound"]).mean() for c in seeds]
                found[name] = intervals.estimate(over, of_seeds=of_seeds, **options)
        found_score = score("excess over the bound", "mean absolute deviation less bound", kind,
                       "kcal/mol", "low", of, found)  # fmt: skip
        yield found_score | {"bound": float(free["bound"].mean())}


def _distribution(
    sources: Sources, standard: Standard, options: Mapping[str, Any]
) -> Iterator[Score]:
    """Entropy, order information and the share that is not on bonds."""
    bonds, names = distribution_table(sources)
    of = len({m.name for m in standard.relaxed})
    swept = entropy.sweep(bonds, names, [BIN_WIDTH], **options).set_index("source")
    found: dict[str, Estimate] = {
        str(name): {"value": row["miller_madow"], "low": row["low"], "high": row["high"],
                    "n": bonds["molecule"].nunique()}
        for name, row in swept.iterrows()
    }  # fmt: skip
    yield score("distribution of ε", f"entropy H(ε), bins of {BIN_WIDTH} eV", "bare", "bit",
                 "none", of, found)  # fmt: skip
    told = information.of_sources(bonds, names | {"length": ["length_A"]}, n_bins=N_BINS,
                                  n_permutations=50, **options)  # fmt: skip
    n_molecules = bonds["molecule"].nunique()
    found = {name: {**part.estimate(), "n": n_molecules} for name, part in told.items()}
    ceiling = next(iter(told.values())).ceiling
    yield score("distribution of ε", "information about the bond order", "bare", "bit", "high",
                 of, found) | {"ceiling": ceiling}  # fmt: skip
    yield _off_bonds(sources, standard, options)


def distribution_table(sources: Sources) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Bonds of relaxed molecules with pair and order, and the columns in eV of each source.

    Molecules for which the pair potential has no value are left out, as are null models without
    any. The table has the columns of the pieces, and those that names lists.
    """
    bonds = sources.pieces.bonds
    pair, order = pair_and_order(bonds["class"])
    table = bonds.assign(pair=pair, order=order)
    names = {g.name: [f"bare:{run}" for run in g.runs] for g in sources.groups}
    for null, runs in sources.null_runs.items():
        if runs:
            scaled = {f"scaled:{r}": sources.factors.get(r, 1.0) * bonds[f"bare:{r}"] for r in runs}
            table, names[null] = table.assign(**scaled), list(scaled)
    phi = sources.bonds["pair"]
    if phi.notna().any():
        table["phi"] = -phi / KCAL_PER_MOL_PER_EV
        unknown = table.groupby("molecule")["phi"].transform(lambda values: values.isna().any())
        table, names["pair"] = table[~unknown].reset_index(drop=True), ["phi"]
    return table, names


def _off_bonds(sources: Sources, standard: Standard, options: Mapping[str, Any]) -> Score:
    labelled = {m.name for m in standard.labelled}
    molecules = sources.pieces.molecules
    own = molecules[molecules["molecule"].isin(labelled)]
    found: dict[str, Estimate] = {}
    nulls = [Group(name, tuple(runs)) for name, runs in sources.null_runs.items() if runs]
    for group in [*sources.groups, *nulls]:
        part = own[own["run"].isin(group.runs)]
        rename = {run: f"x-s{k}" for k, run in enumerate(group.runs)}
        shares = topological_shares(part.assign(run=part["run"].map(rename)), **options)
        row = shares[shares["apart"] == "apart_1"].iloc[0]
        found[group.name] = {
            "value": 100 * (1 - row["share"]), "low": 100 * (1 - row["high"]),
            "high": 100 * (1 - row["low"]), "n": int(row["n_molecules"]),
        }  # fmt: skip
    return score("distribution of ε", "share of the binding energy off bonds", "bare", "%",
                  "none", len(labelled), found)  # fmt: skip


def _identifiability(sources: Sources, options: Mapping[str, Any]) -> Iterator[Score]:
    labelled = sources.bonds
    for kind in ("bare", "dressed"):
        found = {}
        for name, columns in sources.seeds(kind).items():
            rows = labelled.groupby(["molecule", "class"])[columns].median().reset_index()
            found[name] = variance.intraclass_correlation(
                rows[columns].to_numpy(), rows["class"], rows["molecule"], **options
            )
        if found:
            n = labelled["molecule"].nunique()
            yield score("agreement of seeds", "intraclass correlation within classes", kind, "",
                         "high", n, {k: {**v, "n": n} for k, v in found.items()})  # fmt: skip
