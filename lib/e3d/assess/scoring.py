"""Scores of all sources against what is known, each with its 95 % interval.

A score is a dictionary: `test`, `quantity`, `kind` (which energy of a model is meant), `unit`,
`better` (high, low, zero or none), `n` of `of` rows of the test, and `values`: by source `value`,
`low`, `high` and `n`. Models and null models stand on the same rows, those whose elements all
models know; a null that has no value for a row is scored without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from e3d.assess.networks import sums_by_run
from e3d.assess.sources import NULLS, Sources, pair_terms
from e3d.assess.standard import Standard
from e3d.bde import references
from e3d.statistics import intervals, ranks
from e3d.statistics.comparison import compare
from e3d.statistics.intervals import Estimate
from e3d.units import KCAL_PER_MOL_PER_EV

Score = dict[str, Any]
DE = references.KINDS["De"]
#: Classes with fewer molecules have no rank correlation of their own.
MIN_MOLECULES = 8
_KEYS = ["molecule", "i", "j"]


def accuracy(values: np.ndarray, given: np.ndarray) -> float:
    """Mean of `intervals.scores`."""
    return float(intervals.scores(values, given).mean())


def absolute_error(values: np.ndarray, given: np.ndarray) -> float:
    """Mean absolute deviation, in the unit of the values."""
    return float(np.abs(values - given).mean())


def mean_error(values: np.ndarray, given: np.ndarray) -> float:
    """Mean of value − reference, in the unit of the values; negative: too weak."""
    return float((values - given).mean())


#: Of energies against references: name → statistic, unit, which direction is better.
STATISTICS: dict[str, tuple[Callable[..., float], str, str]] = {
    "accuracy": (accuracy, "", "high"),
    "mean absolute deviation": (absolute_error, "kcal/mol", "low"),
    "mean error": (mean_error, "kcal/mol", "zero"),
}


def against_references(
    sources: Sources, standard: Standard, options: Mapping[str, Any]
) -> Iterator[Score]:
    """Scores of the tests whose references are there; options: n_resamples and seed."""
    yield from _reactions(sources, standard, options)
    yield from _broken(sources, standard, options)
    yield from _vertical(sources, standard, options)
    yield from _atomisation(sources, standard, options)
    yield from _conformations(sources, options)


def score(
    test: str, quantity: str, kind: str, unit: str, better: str, of: int,
    values: Mapping[str, Estimate],
) -> Score:  # fmt: skip
    """One score; sources without a value are left out."""
    found = {name: _plain(value) for name, value in values.items() if np.isfinite(value["value"])}
    n = max((value["n"] for value in found.values()), default=0)
    return {"test": test, "quantity": quantity, "kind": kind, "unit": unit, "better": better,
            "n": n, "of": of, "values": found}  # fmt: skip


def _plain(found: Estimate) -> dict[str, Any]:
    """Numbers that JSON knows: an end of an interval that is not finite becomes None."""
    low, high = (
        None if end is None or not np.isfinite(end) else float(end)
        for end in (found["low"], found["high"])
    )
    return {"value": float(found["value"]), "low": low, "high": high, "n": int(found["n"])}


def against(
    rows: pd.DataFrame,
    reference: str,
    statistic: Callable[..., float],
    columns: Mapping[str, str],
    seeds: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    *,
    within: str | None = None,
) -> dict[str, Estimate]:
    """A statistic of the column of every source against a reference, resampled over molecules."""
    found = {}
    for name, column in columns.items():
        own = rows[rows[column].notna()].reset_index(drop=True)
        if len(own) > 1:
            given = [own[reference], *([own[within]] if within else [])]
            members = {name: own[list(seeds[name])]} if name in seeds else None
            found[name] = compare(
                {name: own[column]}, *given, statistic=statistic, groups=own["smiles"],
                seeds=members, **options,
            ).of(name)  # fmt: skip
    return found


def _by_statistic(
    test: str, kind: str, rows: pd.DataFrame, of: int, reference: str,
    columns: Mapping[str, str], seeds: Mapping[str, Sequence[str]], options: Mapping[str, Any],
) -> Iterator[Score]:  # fmt: skip
    for quantity, (statistic, unit, better) in STATISTICS.items():
        found = against(rows, reference, statistic, columns, seeds, options)
        yield score(test, quantity, kind, unit, better, of, found)


def matched(sources: Sources, standard: Standard) -> pd.DataFrame:
    """The matched table of the reference reactions, with the columns of all sources."""
    bonds = sources.bonds
    elements = frozenset(standard.zero)
    labelled = {m.name for m in standard.labelled}
    own = bonds["molecule"].isin(labelled)
    return references.matched_table(
        standard.reactions,
        [references.Source("DFT labels", bonds[own], elements, headline=True),
         references.Source("further", bonds[~own], elements, headline=True)],
    )  # fmt: skip


def used_reactions(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a matched table that count, each bond once, bare tautologies left out."""
    used = table[table["headline"] & table[DE].notna()]
    return used.drop_duplicates(["smiles", "class"])


def _reactions(sources: Sources, standard: Standard, options: Mapping[str, Any]) -> Iterator[Score]:
    used = used_reactions(matched(sources, standard))
    everything = standard.reactions.dropna(subset=[DE]).drop_duplicates(["smiles", "class"])
    counted = everything[~everything["smiles"].map(references.bare_tautology)]
    for kind in ("bare", "dressed"):
        rows = used if kind == "bare" else used[~used["tautology_dressed"]]
        names = sources.columns(kind)
        yield from _by_statistic("reference reactions", kind, rows, len(counted), DE, names,
                                 sources.seeds(kind), options)  # fmt: skip


def broken_kinds(sources: Sources, standard: Standard) -> pd.DataFrame:
    """Bonds with fragment BDEs, equivalent ones averaged, with the columns of all sources."""
    table = sources.bonds.merge(standard.broken, on=["smiles", "class", *_KEYS])
    numbers = table.select_dtypes("number").columns.difference(["i", "j"])
    return table.groupby(["smiles", "class", "fragments"])[list(numbers)].mean().reset_index()


def _broken(sources: Sources, standard: Standard, options: Mapping[str, Any]) -> Iterator[Score]:
    rows = broken_kinds(sources, standard)
    rows["length"] = -rows["length_A"]
    kinds = ["smiles", "class", "fragments"]
    of = len(standard.broken.drop_duplicates(kinds))
    counts = rows.groupby("class")["smiles"].transform("nunique")
    large = rows[counts >= MIN_MOLECULES]
    for kind in ("bare", "dressed"):
        columns, seeds = sources.columns(kind), sources.seeds(kind)
        yield from _by_statistic("fragment BDEs", kind, rows, of, "reference", columns, seeds,
                                 options)  # fmt: skip
        # the additive null has one value per class, hence no rank within it
        ranked = {k: v for k, v in columns.items() if k != "additive"} | {"length": "length"}
        found = against(large, "reference", ranks.within_class_spearman, ranked, seeds, options,
                         within="class")  # fmt: skip
        yield score("fragment BDEs", "rank correlation within classes", kind, "", "high", of,
                     found)  # fmt: skip


def _vertical(sources: Sources, standard: Standard, options: Mapping[str, Any]) -> Iterator[Score]:
    positive = standard.vertical[standard.vertical["reference"] > 0]
    rows = positive.merge(sources.cuts, on=_KEYS)
    columns, seeds = sources.columns("across"), sources.seeds("across")
    yield from _by_statistic("vertical dissociation", "across the cut", rows, len(positive),
                             "reference", columns, seeds, options)  # fmt: skip
    alone = positive.merge(sources.bonds.drop(columns=["smiles", "class"]), on=_KEYS)
    yield from _by_statistic("vertical dissociation", "bare", alone, len(positive), "reference",
                             sources.columns("bare"), sources.seeds("bare"), options)  # fmt: skip


def atomisation_table(sources: Sources, standard: Standard) -> pd.DataFrame:
    """Atomisation energies of the labelled molecules in kcal/mol: labels and all sources.

    Columns molecule, smiles, fold, label, and of each source `own <name>`, by the zero of its own,
    and `aligned <name>`, after one shift per element, fitted on the training fold.
    """
    sums = sums_by_run(sources.pieces.molecules).set_index("molecule")
    entries = [m.relaxed for m in standard.labelled if m.name in sums.index]
    own = sums.loc[[m.name for m in entries]]
    table = own[["smiles", "fold"]].assign(label=-KCAL_PER_MOL_PER_EV * own["label_eV"])
    runs = {g.name: g.runs for g in sources.groups} | dict(sources.null_runs)
    values: dict[str, np.ndarray] = {}
    for name, members in runs.items():
        scaled = [sources.factors.get(run, 1.0) * own[run].to_numpy() for run in members]
        if scaled:
            values[name] = -KCAL_PER_MOL_PER_EV * np.mean(scaled, axis=0)
    fitted = standard.additive
    if fitted is not None:
        values["additive"] = -KCAL_PER_MOL_PER_EV * np.array(
            [fitted.bond_energies(m.bond_classes).sum() for m in entries]
        )
    if standard.pair is not None:
        values["pair"] = -KCAL_PER_MOL_PER_EV * np.array(
            [pair_terms(standard.pair, m).sum() for m in entries]
        )
    elements = sorted({s for m in entries for s in m.symbols})
    counts = np.array([[m.symbols.count(s) for s in elements] for m in entries], dtype=float)
    train = (table["fold"] == "train").to_numpy()
    for name, energies in values.items():
        table[f"own {name}"] = energies
        error = table["label"].to_numpy() - energies
        seen = train & np.isfinite(error)
        shifts, *_ = np.linalg.lstsq(counts[seen], error[seen], rcond=None)
        table[f"aligned {name}"] = energies + counts @ shifts
    return table.reset_index()


def _atomisation(
    sources: Sources, standard: Standard, options: Mapping[str, Any]
) -> Iterator[Score]:
    table = atomisation_table(sources, standard)
    rows = table[table["fold"] == "test"]
    of = len([m for m in standard.held_out if m.temperatures is not None])
    names = [g.name for g in sources.groups] + list(NULLS)
    for zero, text in (("own", "zero of its own"), ("aligned", "zero fitted per element")):
        columns = {n: f"{zero} {n}" for n in names if f"{zero} {n}" in rows}
        found = against(rows, "label", absolute_error, columns, {}, options)
        yield score("atomisation energies, held-out molecules", "mean absolute deviation", text,
                     "kcal/mol", "low", of, found)  # fmt: skip


def _conformations(sources: Sources, options: Mapping[str, Any]) -> Iterator[Score]:
    errors = sources.pieces.errors
    runs = {g.name: g.runs for g in sources.groups}
    runs |= {name: r for name, r in sources.null_runs.items() if name == "shuffled"}
    for column, quantity, unit in (("forces_mae_meV_per_A", "mean absolute force error", "meV/Å"),):
        found, n = {}, 0
        for name, members in runs.items():
            own = [errors[errors["run"] == run] for run in members]
            values = np.column_stack([part[column] for part in own])
            found[name] = intervals.estimate_over_seeds(
                values, own[0]["molecule"].to_numpy(), **options
            )
            n = len(values)
        yield score("conformations of held-out molecules", quantity, "", unit, "low", n, found)
