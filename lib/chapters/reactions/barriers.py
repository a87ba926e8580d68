"""What models make of reaction paths: barriers, energies of reaction, and edges along the way."""

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

#: What a labelled path is asked for.
QUANTITIES = ("forward", "reverse", "reaction")
#: Å; by so much longer, a bond has 1/e of the order (Pauling 1947, doi:10.1021/ja01195a024).
PAULING = 0.71 / float(np.log(10))


def barrier_table(
    paths: Sequence[LabelledPath], energies: Mapping[str, Sequence[np.ndarray]]
) -> pd.DataFrame:
    """Barriers and reaction energies, one row for each of `QUANTITIES` of each path, kcal/mol.

    energies: by name of the model, for each path the energies (M,) of its frames in eV, with any
    zero. forward: E(saddle) − E(reactant); reverse: E(saddle) − E(product); reaction: E(product) −
    E(reactant). Columns: reaction, title, kind, formula, quantity, and one per model.
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


def mean_barriers(
    paths: Sequence[LabelledPath], energies: Sequence[np.ndarray]
) -> list[Float[np.ndarray, " n"]]:
    """The `mean` null: (M,) in eV, the mean barrier at the saddle point and zero elsewhere.

    The mean of forward and reverse barriers by `energies`, (M,) in eV for each path, over all
    reactions of the same kind and of other compositions. NaN where there is none.
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
    """Energies of GFN2-xTB in eV of every frame of every path."""
    return [
        EV_PER_HARTREE
        * np.array([
            single_point(one.labels.atomic_numbers, r / ANGSTROM_PER_BOHR).energy
            for r in one.labels.positions
        ])
        for one in paths
    ]  # fmt: skip


def decompositions(model: Model, paths: Sequence[LabelledPath]) -> list[list[Decomposition]]:
    """The frames of every path, decomposed by a model."""
    found = decompose(model, [frame for one in paths for frame in one.frames()])
    return [[next(found) for _ in one.path.coordinate] for one in paths]


def bond_energies_along_path(
    frames: Sequence[Decomposition], pairs: Int[np.ndarray, "n_pairs 2"]
) -> Float[np.ndarray, "n n_pairs"]:
    """Bond energies ε in eV of chosen pairs along a path, negative when bound."""
    return np.array([bond_energies(frame, pairs) for frame in frames])


def pauling_orders(lengths: Float[np.ndarray, "n n_pairs"]) -> Float[np.ndarray, "n n_pairs"]:
    """What distances r in Å say of the order of a bond, exp(−r/`PAULING`), up to a factor."""
    return np.exp(-lengths / PAULING)


def order_crossing(
    coordinate: Float[np.ndarray, " n"],
    breaking: Float[np.ndarray, " n"],
    forming: Float[np.ndarray, " n"],
) -> float:
    """Where along a path what forms overtakes what breaks, by linear interpolation.

    The last such place; NaN where there is none.
    """
    lead = forming - breaking
    crossed = np.flatnonzero((lead[:-1] < 0) & (lead[1:] >= 0))
    if not len(crossed):
        return float("nan")
    k = int(crossed[-1])
    share = lead[k] / (lead[k] - lead[k + 1])
    return float(coordinate[k] + share * (coordinate[k + 1] - coordinate[k]))
