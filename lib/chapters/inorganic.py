"""Bonds of crystals beside those of molecules: the same environments, by models of either."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import Estimate


def environments(bonds: pd.DataFrame, structures: Iterable[Molecule]) -> pd.Series:
    """What the oxygen of each bond of O with Si or H is bonded to besides, e.g. `Si-O(-H)`.

    bonds: rows with `molecule`, `class`, `i` and `j` (indices of atoms) of the structures, which
    are found by name. Empty where a bond is none of O with Si or H, or its oxygen has not just one
    other neighbour.
    """
    graphs = {one.name: bonding.from_mapped_smiles(one.smiles) for one in structures}
    found = []
    for name, of_class, *pair in bonds[["molecule", "class", "i", "j"]].itertuples(index=False):
        atoms = [graphs[name].GetAtomWithIdx(int(k)) for k in pair]
        symbols = [atom.GetSymbol() for atom in atoms]
        if of_class not in ("O-Si", "H-O") or "O" not in symbols:
            found.append("")
            continue
        oxygen = symbols.index("O")
        other = [n.GetSymbol() for n in atoms[oxygen].GetNeighbors()
                 if n.GetIdx() != atoms[1 - oxygen].GetIdx()]  # fmt: skip
        found.append(f"{symbols[1 - oxygen]}-O(-{other[0]})" if len(other) == 1 else "")
    return pd.Series(found, index=bonds.index)


def difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    first_of: Groups,
    second_of: Groups,
    *,
    same_models: bool = False,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean of `first` minus mean of `second`: bonds of two sets of structures, of any unit.

    first (n, k), second (m, l): rows are bonds, columns models; first_of (n,), second_of (m,): the
    structure of each bond. The interval is over structures of both sets and over seeds, over seeds
    alone where one set has a single structure; what a seed does to both cancels with `same_models`,
    whose columns then belong together.
    """
    options = {"n_resamples": n_resamples, "seed": seed}
    own = intervals.estimate(first.mean(axis=1).to_numpy(), np.asarray(first_of), **options)
    other = intervals.estimate(second.mean(axis=1).to_numpy(), np.asarray(second_of), **options)
    value, n = own["value"] - other["value"], own["n"] + other["n"]
    if None in (own["low"], own["high"], other["low"], other["high"]):  # a single structure
        found = Estimate(value=value, low=value, high=value, n=n)
    else:
        below = np.hypot(own["value"] - own["low"], other["high"] - other["value"])
        above = np.hypot(own["high"] - own["value"], other["value"] - other["low"])
        found = Estimate(value=value, low=value - below, high=value + above, n=n)
    of_seeds, minus = first.mean().to_numpy(), second.mean().to_numpy()
    if same_models:
        return intervals.with_seed_spread(found, of_seeds - minus)
    return intervals.with_seed_spread(intervals.with_seed_spread(found, of_seeds), minus)


def beyond(difference: Estimate, spread: float) -> Estimate:
    """By how much the size of a difference exceeds a spread, of the same unit; both may be zero.

    Negative where the two are closer than that. Raises E3DError for a difference without interval.
    """
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        raise E3DError(
            "a difference without an interval does not say whether it is beyond a spread"
        )
    least = 0.0 if low < 0 < high else min(abs(low), abs(high))
    return Estimate(value=abs(difference["value"]) - spread, low=least - spread,
                    high=max(abs(low), abs(high)) - spread, n=difference["n"])  # fmt: skip
