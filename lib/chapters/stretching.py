"""Energy curves of stretched bonds: how far a model follows broken-symmetry DFT.

A curve is the rise of an energy over its value at the equilibrium length of the stretched bond, in
kcal/mol, positive where the molecule is less bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import torch
from ase import Atoms
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nequip.nn.embedding import PolynomialCutoff

from e3d.chemistry.bonding import bond_lengths, bond_pairs, from_mapped_smiles
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import bond_energies, decompose
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.models.pair import PairPotential
from e3d.notebook import plots
from e3d.statistics.grouping import Numbers
from e3d.units import KCAL_PER_MOL_PER_EV

#: What identifies a point of a curve, and the reference energy there.
KEYS = ["name", "smiles", "class", "relaxed", "length_A", "equilibrium_A", "energy_eV",
        "spin_square"]  # fmt: skip
#: A curve starts from its point nearest the equilibrium length, which may be off by this fraction.
NEAR_EQUILIBRIUM = 0.02


def read_curves(path: str | Path) -> tuple[list[Atoms], pd.DataFrame]:
    """Images of all curves of a file of `e3d.labels.stretching`, and one row for each.

    Columns: `KEYS` (energy_eV by broken-symmetry DFT) and stretch, r over the equilibrium length.
    """
    images = list(ase.io.iread(path, index=":", format="extxyz"))
    curves = pd.DataFrame([{key: image.info[key] for key in KEYS} for image in images])
    return images, curves.assign(stretch=curves["length_A"] / curves["equilibrium_A"])


def model_energies(
    model: Model, images: Sequence[Atoms]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Total energy, and ε of the stretched bond (negative when bound), of every image in eV."""
    totals, edges = [], []
    for image, found in zip(images, decompose(model, images), strict=True):
        totals.append(found.energy)
        edges.append(bond_energies(found, np.array([[image.info["i"], image.info["j"]]]))[0])
    return np.array(totals), np.array(edges)


def pair_potential_energies(
    potential: PairPotential, images: Sequence[Atoms]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Σφ over all pairs of atoms, and φ of the stretched bond, of every image in eV."""
    totals, edges = [], []
    for image in images:
        lengths = image.get_all_distances()
        pairs = np.column_stack(np.triu_indices(len(image), 1)).tolist()
        totals.append(sum(_phi(potential, image, i, j, lengths[i, j]) for i, j in pairs))
        i, j = image.info["i"], image.info["j"]
        edges.append(_phi(potential, image, i, j, image.get_distance(i, j)))
    return np.array(totals), np.array(edges)


def _phi(potential: PairPotential, image: Atoms, i: int, j: int, length: float) -> float:
    return float(potential(image.symbols[i], image.symbols[j], np.asarray(length)))


def equilibrium_points(curves: pd.DataFrame) -> pd.DataFrame:
    """The row of each curve nearest its equilibrium length, by `name`.

    Raises E3DError where that is further off than `NEAR_EQUILIBRIUM`.
    """
    off = (curves["stretch"] - 1).abs()
    nearest = off.groupby(curves["name"]).idxmin()
    if (off[nearest] > NEAR_EQUILIBRIUM).any():
        worst = curves.loc[off[nearest].idxmax(), "name"]
        raise E3DError(f"curve {worst!r} has no point at its equilibrium length; label one there")
    return curves.loc[nearest].set_index("name")


def rises(curves: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Energies less those at equilibrium of the same curve, in kcal/mol; columns in eV."""
    start = equilibrium_points(curves).loc[curves["name"], list(columns)]
    return KCAL_PER_MOL_PER_EV * (curves[list(columns)] - start.to_numpy())


def cutoff_envelope(
    lengths: Numbers, *, cutoff_A: float, exponent: float | int
) -> Float[np.ndarray, " n"]:
    """nequip's polynomial envelope u(r/r_c), with which every edge ends: 1 at r = 0, 0 beyond r_c.

    lengths in Å; exponent: `polynomial_cutoff_p` of the model.
    """
    scaled = np.minimum(np.asarray(lengths, dtype=float) / cutoff_A, 1.0)
    return np.asarray(PolynomialCutoff(exponent)(torch.tensor(scaled)))


def envelope_rises(
    curves: pd.DataFrame, edges: Sequence[str], *, cutoff_A: float, exponent: float | int
) -> pd.Series:
    """Rise of an edge with the right depth and no shape but the envelope's, in kcal/mol.

    ε(r_e) · [u(r)/u(r_e) − 1], with ε(r_e) the mean over the columns `edges` (eV, one per model) at
    equilibrium and u of `cutoff_envelope`.
    """
    start = equilibrium_points(curves)
    options = {"cutoff_A": cutoff_A, "exponent": exponent}
    at_start = start["length_A"].loc[curves["name"]].to_numpy()
    share = cutoff_envelope(curves["length_A"], **options) / cutoff_envelope(at_start, **options)
    depth = start[list(edges)].mean(axis=1).loc[curves["name"]].to_numpy()
    return pd.Series(KCAL_PER_MOL_PER_EV * (share - 1) * depth, index=curves.index)


def longest_bonds(molecules: Iterable[Molecule]) -> pd.Series:
    """The largest bonded distance in Å among all conformations, by bond class."""
    found: dict[str, float] = {}
    for entry in molecules:
        pairs = bond_pairs(from_mapped_smiles(entry.smiles))
        longest = bond_lengths(entry.positions, pairs).max(axis=0)
        for name, length in zip(entry.bond_classes, longest.tolist(), strict=True):
            found[name] = max(found.get(name, 0.0), length)
    return pd.Series(found, dtype=float)


def deviations(curves: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Mean absolute deviation from the column DFT over the points of each curve, by `name`."""
    off = curves[list(columns)].sub(curves["DFT"], axis=0).abs()
    return off.groupby(curves["name"]).mean()


def reach(curve: pd.DataFrame, column: str, tolerance: float) -> float:
    """Length, over the equilibrium one, up to which a rise stays within a tolerance of DFT.

    curve: points of one curve with stretch, DFT and `column`; tolerance in the unit of these.
    Interpolated from equilibrium outwards; the last length where the tolerance is never exceeded.
    """
    rows = curve[curve["stretch"] > 1 - NEAR_EQUILIBRIUM].sort_values("stretch")
    x, off = rows["stretch"].to_numpy(), (rows[column] - rows["DFT"]).abs().to_numpy()
    beyond = np.flatnonzero(off > tolerance)
    if not len(beyond):
        return float(x[-1])
    k = beyond[0]
    weight = (tolerance - off[k - 1]) / (off[k] - off[k - 1])
    return float(x[k - 1] + weight * (x[k] - x[k - 1]))


def reaches(curves: pd.DataFrame, columns: Iterable[str], tolerance: float) -> pd.DataFrame:
    """`reach` of every column, one row per bond class in the order of the curves."""
    own = dict(list(curves.groupby("class", sort=False)))
    return pd.DataFrame({
        column: {kind: reach(rows, column, tolerance) for kind, rows in own.items()}
        for column in columns
    })  # fmt: skip


def curve_panels(
    curves: pd.DataFrame, runs: Sequence[str], styles: Mapping[str, tuple[str, str]]
) -> Figure:
    """Rises of the bonds over their length, one panel per curve, in kcal/mol and Å.

    styles: colour and line style of each column that is drawn besides DFT; where there are columns
    <column>:<run> of the independently seeded `runs`, their range is shaded. Grey: lengths up to
    `longest_A`.
    """
    by_class = list(curves.groupby("class", sort=False))
    n_rows = -(-len(by_class) // 3)
    fig, axes = plots.figure(170, 36 * n_rows + 12, rows=n_rows, columns=3, squeeze=False)
    for ax, (name, rows) in zip(axes.flat, by_class, strict=False):
        _draw_curve(ax, rows, runs, styles)
        ax.set_title(name, fontsize="small")
    for ax in axes.flat[len(by_class) :]:
        ax.set_visible(False)
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    fig.supxlabel("r (Å)", fontsize="small")
    fig.supylabel("rise over the energy at equilibrium (kcal/mol)", fontsize="small")
    return fig


def _draw_curve(
    ax: Axes, rows: pd.DataFrame, runs: Sequence[str], styles: Mapping[str, tuple[str, str]]
) -> None:
    x = rows["length_A"]
    ax.axvspan(x.min(), rows["longest_A"].iloc[0], color="0.93", label="lengths in training")
    ax.plot(x, rows["DFT"], "k-", lw=1.5, label="DFT")
    for column, (colour, style) in styles.items():
        ax.plot(x, rows[column], style, color=colour, label=column)
        if members := [name for run in runs if (name := f"{column}:{run}") in rows]:
            low, high = rows[members].min(axis=1), rows[members].max(axis=1)
            ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
    top = 1.5 * rows["DFT"].iloc[-1]
    ax.set(ylim=(-0.15 * top, top))
