"""Barriers, reaction energies and bond energies of models along labelled reaction paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from chapters.reactions.labelled_paths import LabelledPath
from e3d.chemistry.xtb import single_point
from e3d.decomposition.edges import Decomposition, bond_energies, decompose
from e3d.models.allegro import Model
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE, KCAL_PER_MOL_PER_EV

#: Energy differences that are read from a labelled path.
QUANTITIES = ("forward", "reverse", "reaction")
#: Å; a bond longer by this has 1/e of the order (Pauling 1947, doi:10.1021/ja01195a024).
PAULING = 0.71 / float(np.log(10))


def barrier_table(
    paths: Sequence[LabelledPath], energies: Mapping[str, Sequence[np.ndarray]]
) -> pd.DataFrame:
    """Barriers and reaction energies in kcal/mol, one row per path and quantity.

    energies: of every model, by its name, the energies (M,) in eV of the frames of each path,
    relative to any zero. The quantities: forward, E(saddle) − E(reactant); reverse, E(saddle) −
    E(product); reaction, E(product) − E(reactant). Columns: reaction, title, kind, formula,
    quantity, and one per model.
    """
    rows = []
    for k, one in enumerate(paths):
        reaction, saddle = one.reaction, one.path.saddle
        identity = {"reaction": reaction.name, "title": reaction.title, "kind": reaction.kind,
                    "formula": reaction.formula}  # fmt: skip
        for quantity, (upper, lower) in zip(
            QUANTITIES, ((saddle, 0), (saddle, -1), (-1, 0)), strict=True
        ):
            values = {
                name: KCAL_PER_MOL_PER_EV * float(of[k][upper] - of[k][lower])
                for name, of in energies.items()
            }
            rows.append(identity | {"quantity": quantity} | values)
    return pd.DataFrame(rows)


def energy_profiles(
    paths: Sequence[LabelledPath],
    energies: Mapping[str, Sequence[np.ndarray]],
    members: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Energies along every path relative to the reactant, one row per frame, in kcal/mol.

    energies as for `barrier_table`; members: by column, the models whose mean it is. Columns:
    these, reaction, coordinate, and of each `<column> low` and `<column> high`, the range of its
    models.
    """
    tables = []
    for k, one in enumerate(paths):
        found = {
            name: KCAL_PER_MOL_PER_EV
            * np.stack([energies[m][k] - energies[m][k][0] for m in models])
            for name, models in members.items()
        }
        mean = pd.DataFrame({name: values.mean(axis=0) for name, values in found.items()})
        mean = mean.assign(reaction=one.reaction.name, coordinate=one.path.coordinate)
        ends = {f"{name} low": values.min(axis=0) for name, values in found.items()}
        ends |= {f"{name} high": values.max(axis=0) for name, values in found.items()}
        tables.append(mean.assign(**ends))
    return pd.concat(tables)


def mean_barriers(
    paths: Sequence[LabelledPath], energies: Sequence[np.ndarray]
) -> list[Float[np.ndarray, " n"]]:
    """The `mean` null: for each path (M,) in eV, a mean barrier at the saddle point, else zero.

    energies: (M,) in eV for each path. The mean is over the forward and reverse barriers of all
    other reactions of the same kind but of another composition; NaN where there are none.
    """
    both = np.array([
        [e[one.path.saddle] - e[0], e[one.path.saddle] - e[-1]]
        for one, e in zip(paths, energies, strict=True)
    ])  # fmt: skip
    found = []
    for one, own in zip(paths, energies, strict=True):
        others = [
            other.reaction.kind == one.reaction.kind
            and other.reaction.formula != one.reaction.formula
            for other in paths
        ]
        level = np.zeros(len(own))
        level[one.path.saddle] = both[others].mean() if any(others) else np.nan
        found.append(level)
    return found


def gfn2_energies(paths: Sequence[LabelledPath]) -> list[Float[np.ndarray, " n"]]:
    """GFN2-xTB energies (M,) in eV of the frames of each path."""
    return [
        EV_PER_HARTREE
        * np.array([
            single_point(one.labels.atomic_numbers, r / ANGSTROM_PER_BOHR).energy
            for r in one.labels.positions
        ])
        for one in paths
    ]  # fmt: skip


def decompositions(model: Model, paths: Sequence[LabelledPath]) -> list[list[Decomposition]]:
    """Decompositions by a model of the frames of each path."""
    found = decompose(model, [frame for one in paths for frame in one.frames()])
    return [[next(found) for _ in one.path.coordinate] for one in paths]


def bond_energies_along_path(
    frames: Sequence[Decomposition], pairs: Int[np.ndarray, "n_pairs 2"]
) -> Float[np.ndarray, "n n_pairs"]:
    """Bond energies ε in eV of pairs of atoms along a path, negative when bound."""
    return np.array([bond_energies(frame, pairs) for frame in frames])


def pauling_orders(lengths: Float[np.ndarray, "n n_pairs"]) -> Float[np.ndarray, "n n_pairs"]:
    """Pauling's bond orders of distances r in Å, exp(−r/`PAULING`), up to a common factor."""
    return np.exp(-lengths / PAULING)


def order_crossing(
    coordinate: Float[np.ndarray, " n"],
    breaking: Float[np.ndarray, " n"],
    forming: Float[np.ndarray, " n"],
) -> float:
    """Coordinate of a path where the forming bond overtakes the breaking one.

    breaking and forming: any measure of the strength of these bonds. Interpolated linearly; the
    last crossing where there are several, NaN where there is none.
    """
    lead = forming - breaking
    crossed = np.flatnonzero((lead[:-1] < 0) & (lead[1:] >= 0))
    if not len(crossed):
        return float("nan")
    k = int(crossed[-1])
    share = lead[k] / (lead[k] - lead[k + 1])
    return float(coordinate[k] + share * (coordinate[k + 1] - coordinate[k]))
