"""The bonds that break and form along reaction paths: their energies beside their bond orders.

Energies are −ε, positive when bound. A *share* divides what breaks, or forms, by its value at the
end of the path where it is a bond, so that strong and weak bonds compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from chapters.reactions import barriers
from chapters.reactions.labelled_paths import LabelledPath
from e3d.chemistry.bonding import bond_lengths
from e3d.chemistry.xtb import single_point
from e3d.decomposition.edges import Decomposition
from e3d.models.pair import PairPotential
from e3d.units import ANGSTROM_PER_BOHR, KCAL_PER_MOL_PER_EV

#: Column of the reference: Wiberg bond orders of GFN2-xTB at the same geometries.
ORDER = "Wiberg order"


def bond_tracks(
    paths: Sequence[LabelledPath],
    decomposed: Mapping[str, Sequence[Sequence[Decomposition]]],
    potential: PairPotential,
    scales: Mapping[str, float],
) -> pd.DataFrame:
    """One row for each changing bond and frame of every path.

    decomposed: by model, the frames of every path; scales: factor on the energies of a model, 1
    where it has none. Columns: −ε in eV of each model, of the pair potential (`pair`), Pauling's
    bond order by length (`length`, up to a factor), `ORDER`, reaction, formula, role (breaking or
    forming), bond and coordinate.
    """
    tables = []
    for k, one in enumerate(paths):
        for role, bonds in zip(("breaking", "forming"), one.reaction.changed_bonds(), strict=True):
            if not bonds:
                continue
            pairs = np.array(bonds)
            columns = {
                name: -scales.get(name, 1.0) * barriers.bond_energies_along_path(frames[k], pairs)
                for name, frames in decomposed.items()
            } | _measures_of_length(one, pairs, potential)
            tables += [
                pd.DataFrame({name: values[:, m] for name, values in columns.items()}).assign(
                    reaction=one.reaction.name, formula=one.reaction.formula, role=role,
                    bond=str(bond), coordinate=one.path.coordinate,
                )
                for m, bond in enumerate(bonds)
            ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _measures_of_length(
    one: LabelledPath, pairs: Int[np.ndarray, "n_pairs 2"], potential: PairPotential
) -> dict[str, Float[np.ndarray, "n n_pairs"]]:
    """−φ in eV, Pauling's and Wiberg's bond orders: (frames, pairs) each."""
    lengths = bond_lengths(one.labels.positions, pairs)
    symbols = one.labels.symbols
    phi = [potential(symbols[i], symbols[j], lengths[:, m]) for m, (i, j) in enumerate(pairs)]
    orders = [
        single_point(one.labels.atomic_numbers, frame / ANGSTROM_PER_BOHR).orders[tuple(pairs.T)]
        for frame in one.labels.positions
    ]
    return {"pair": -np.stack(phi, axis=1), "length": barriers.pauling_orders(lengths),
            ORDER: np.stack(orders)}  # fmt: skip


def order_correlations(tracks: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Pearson's correlation with the bond order along the path, mean over the bonds of a reaction.

    Columns: reaction, formula and `columns`. An energy that does not change follows nothing: 0.
    """
    by_bond = tracks.groupby(["reaction", "formula", "role", "bond"])[[*columns, ORDER]]
    found = by_bond.apply(lambda rows: rows[list(columns)].corrwith(rows[ORDER]))
    return found.groupby(["reaction", "formula"]).mean().reset_index().fillna(0.0)


def role_sums(
    tracks: pd.DataFrame, column: str
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """What breaks and what forms along one path, each summed over its bonds."""
    sums = tracks.groupby(["role", "coordinate"])[column].sum()
    return sums.loc["breaking"].to_numpy(), sums.loc["forming"].to_numpy()


def crossings(
    tracks: pd.DataFrame, paths: Sequence[LabelledPath], columns: Sequence[str]
) -> pd.DataFrame:
    """Where forming overtakes breaking, one row per reaction in which bonds break and form.

    Columns: reaction, formula, saddle (coordinate of the saddle point), middle (of the path), and
    for each of `columns` the coordinate of `barriers.order_crossing`, as `<column>`, and that of
    shares, as `<column>, share`; NaN where nothing overtakes.
    """
    rows = []
    for one in paths:
        own = tracks[tracks["reaction"] == one.reaction.name]
        if own["role"].nunique() < 2:
            continue
        x = one.path.coordinate
        row: dict[str, object] = {"reaction": one.reaction.name, "formula": one.reaction.formula,
                                  "saddle": float(x[one.path.saddle]), "middle": 0.5}  # fmt: skip
        for column in columns:
            breaking, forming = role_sums(own, column)
            row[column] = barriers.order_crossing(x, breaking, forming)
            row[f"{column}, share"] = barriers.order_crossing(
                x, breaking / breaking[0], forming / forming[-1]
            )
        rows.append(row)
    return pd.DataFrame(rows)


def balance_at_saddle(
    tracks: pd.DataFrame,
    paths: Sequence[LabelledPath],
    column: str,
    energies: Sequence[Sequence[np.ndarray]],
) -> pd.DataFrame:
    """What edges contribute to the barrier, one row per reaction as of `crossings`, in kcal/mol.

        barrier = lost − gained + others

    lost, gained: by how much −ε (`column`, eV) of what breaks has fallen, and of what forms has
    risen, from the reactant to the saddle point; others: the weakening of all other edges;
    barrier: mean over the models, whose energies of the frames of every path are given in eV.
    """
    rows = []
    for k, one in enumerate(paths):
        own, top = tracks[tracks["reaction"] == one.reaction.name], one.path.saddle
        if own["role"].nunique() < 2:
            continue
        breaking, forming = role_sums(own, column)
        lost, gained = breaking[0] - breaking[top], forming[top] - forming[0]
        barrier = np.mean([model[k][top] - model[k][0] for model in energies])
        rows.append((one.reaction.name, one.reaction.formula, lost, gained, barrier))
    table = pd.DataFrame(rows, columns=["reaction", "formula", "lost", "gained", "barrier"])
    numbers = KCAL_PER_MOL_PER_EV * table[["lost", "gained", "barrier"]]
    others = numbers["barrier"] - numbers["lost"] + numbers["gained"]
    return table[["reaction", "formula"]].join(numbers.assign(others=others))
