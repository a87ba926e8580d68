"""Bond energies of all sources in one table: the models given, and every null model.

Energies in kcal/mol, positive when bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

from e3d.assess.networks import Pieces, cut_sums, sums_by_run
from e3d.assess.standard import Standard
from e3d.bde import scores
from e3d.data.molecule import Molecule
from e3d.models.additive import Additive, scale_factor
from e3d.models.nulls import FittedNulls
from e3d.models.pair import PairPotential, spline_knots
from e3d.units import KCAL_PER_MOL_PER_EV

#: Names of null models; the first two are networks.
NULLS = ("untrained", "shuffled", "additive", "pair")
#: What no model may be called beside them.
RESERVED = (*NULLS, "length")
_NO_RUN = "no untrained network"


@dataclass(frozen=True)
class Group:
    """A model as it is compared: one network, or several that differ in their seeds alone."""

    name: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Sources:
    """Everything that is scored.

    groups: the models given; null_runs: the networks of `untrained` and `shuffled`; factors: scale
    factor of each untrained network. bonds: one row per bond, columns of `score_bonds`, and of each
    group `bare <name>`, `dressed <name>`; cuts: of the vertical test, columns molecule, i, j and
    `across <source>`, of all groups and nulls.
    """

    groups: tuple[Group, ...]
    null_runs: Mapping[str, tuple[str, ...]]
    factors: Mapping[str, float]
    pieces: Pieces
    bonds: pd.DataFrame
    cuts: pd.DataFrame

    def columns(self, kind: str) -> dict[str, str]:
        """Column of each source by its name: kind is bare, dressed or across."""
        own = {group.name: f"{kind} {group.name}" for group in self.groups}
        if kind == "across":
            return own | {name: f"across {name}" for name in NULLS}
        return own | {name: name for name in NULLS}

    def seeds(self, kind: str) -> dict[str, list[str]]:
        """Columns of the single networks of each group that has several."""
        prefix = {"bare": "seed:", "dressed": "dressed:", "across": "across:"}[kind]
        return {
            group.name: [prefix + run for run in group.runs]
            for group in self.groups
            if len(group.runs) > 1
        }


def combine(
    groups: Sequence[Group],
    null_runs: Mapping[str, Sequence[str]],
    pieces: Pieces,
    standard: Standard,
) -> Sources:
    """All sources, from the pieces of the networks and the fitted null models.

    A null model that is not there has the value NaN everywhere.
    """
    untrained = tuple(null_runs.get("untrained", ()))
    factors = _factors(pieces.molecules, untrained, standard)
    table = pieces.bonds
    if not factors:
        table, factors = table.assign(**{f"bare:{_NO_RUN}": np.nan}), {_NO_RUN: np.nan}
    fitted = FittedNulls(
        standard.additive or Additive({}, {}, {}, np.nan),
        standard.pair or PairPotential(spline_knots(0.5, 4.0, 0.5), {}),
        factors, standard.zero,
    )  # fmt: skip
    shuffled = {"shuffled": list(null_runs["shuffled"])} if null_runs.get("shuffled") else {}
    ensembles = {f"bare {group.name}": list(group.runs) for group in groups} | shuffled
    bonds = scores.score_bonds(table, groups[0].runs, fitted, ensembles=ensembles)
    columns: dict[str, pd.Series] = {}
    for group in groups:
        of_runs = {run: -KCAL_PER_MOL_PER_EV * table[f"dressed:{run}"] for run in group.runs}
        columns |= {f"dressed:{run}": values for run, values in of_runs.items()}
        columns |= {f"seed:{run}": -KCAL_PER_MOL_PER_EV * table[f"bare:{run}"]
                    for run in group.runs}  # fmt: skip
        columns[f"dressed {group.name}"] = pd.concat(of_runs, axis=1).mean(axis=1)
    bonds = bonds.assign(**columns, **({} if shuffled else {"shuffled": np.nan}))
    runs = {"untrained": untrained, **{k: tuple(v) for k, v in shuffled.items()}}
    given = Sources(tuple(groups), runs, {k: v for k, v in factors.items() if k != _NO_RUN},
                    pieces, bonds, pd.DataFrame())  # fmt: skip
    return Sources(**{**given.__dict__, "cuts": _cuts(given, standard)})


def _factors(
    molecules: pd.DataFrame, untrained: Sequence[str], standard: Standard
) -> dict[str, float]:
    """Scale factor of each untrained network, from the training fold of the labelled molecules."""
    sums = sums_by_run(molecules)
    own = {m.name for m in standard.labelled}
    seen = sums[(sums["fold"] == "train") & sums["molecule"].isin(own)]
    return {
        run: scale_factor(seen["label_eV"].to_numpy(float), seen[run].to_numpy(float))
        for run in untrained
    }


def _cuts(sources: Sources, standard: Standard) -> pd.DataFrame:
    """Energies across cuts of groups and nulls, kcal/mol; the additive one is the bond's own."""
    cuts = sources.pieces.cuts
    columns: dict[str, pd.Series] = {}
    for group in sources.groups:
        of_runs = {run: -KCAL_PER_MOL_PER_EV * cuts[f"across:{run}"] for run in group.runs}
        columns |= {f"across:{run}": values for run, values in of_runs.items()}
        columns[f"across {group.name}"] = pd.concat(of_runs, axis=1).mean(axis=1)
    for null in ("untrained", "shuffled"):
        runs = sources.null_runs.get(null, ())
        values = [-KCAL_PER_MOL_PER_EV * sources.factors.get(run, 1.0) * cuts[f"across:{run}"]
                  for run in runs]  # fmt: skip
        columns[f"across {null}"] = (
            pd.concat(values, axis=1).mean(axis=1) if values else pd.Series(np.nan, cuts.index)
        )
    table = cuts[["molecule", "i", "j"]].assign(**columns)
    of_bond = sources.bonds[["molecule", "i", "j", "additive"]]
    table = table.merge(of_bond.rename(columns={"additive": "across additive"}), how="left")
    return table.merge(_pair_cuts(standard, table), how="left", on=["molecule", "i", "j"])


def _pair_cuts(standard: Standard, cuts: pd.DataFrame) -> pd.DataFrame:
    """Energy of the pair potential across each cut, kcal/mol; NaN where it has not been fitted."""
    rows = []
    wanted = set(cuts["molecule"])
    for entry in standard.labelled:
        if entry.name in wanted:
            pairs = np.column_stack(np.triu_indices(len(entry.atomic_numbers), k=1))
            energies = -KCAL_PER_MOL_PER_EV * pair_terms(standard.pair, entry.relaxed)
            rows += [row[:4] for row in cut_sums(entry, pairs, energies, cuts)]
    return pd.DataFrame(rows, columns=["molecule", "i", "j", "across pair"])


def pair_terms(pair: PairPotential | None, entry: Molecule) -> np.ndarray:
    """φ(r) in eV of all pairs i < j of the first conformation, in lexicographic order."""
    lengths = pdist(entry.positions[0])
    if pair is None:
        return np.full(len(lengths), np.nan)
    first, second = np.triu_indices(len(entry.atomic_numbers), k=1)
    symbols = np.array(entry.symbols)
    kinds = np.sort(np.column_stack([symbols[first], symbols[second]]), axis=1)
    found = np.empty(len(lengths))
    for kind in np.unique(kinds, axis=0):
        rows = (kinds == kind).all(axis=1)
        found[rows] = pair(str(kind[0]), str(kind[1]), lengths[rows])
    return found
