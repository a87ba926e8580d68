"""Trainings followed from random weights to their end: what one sees of each at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from chapters.network.features import Sample, bond_features
from e3d.decomposition.edges import decompose, pair_energies_of_all
from e3d.models.allegro import Model, load_model, untrained
from e3d.models.checkpoint import read_metadata
from e3d.notebook import plots

#: Bins of a map: lengths in Å, pair energies in eV.
LENGTHS_A, ENERGIES_EV = np.arange(0.8, 4.05, 0.05), np.arange(-12.0, 4.0, 0.2)


@dataclass(frozen=True)
class View:
    """What one sees of a model: counts of pairs by length and ε, (n_lengths, n_energies); features
    of bonds in the last layer, (n_bonds, d)."""

    counts: Float[np.ndarray, "n_lengths n_energies"]
    features: Float[np.ndarray, "n_bonds d"]


def stations(checkpoint: str | Path) -> list[int | None]:
    """Steps at which weights of a training are known: 0, the random weights that it began with;
    those that were kept; None, its end."""
    kept = read_metadata(Path(checkpoint))["training"]["snapshots"]
    return [0, *map(int, kept), None]


def model_at(checkpoint: str | Path, step: int | None) -> Model:
    """The model of a training at one of its `stations`. Raises E3DError as `load_model` does."""
    if step != 0:
        return load_model(checkpoint, step=step, device="cpu")
    model = load_model(checkpoint, device="cpu")
    return untrained(model, seed=model.metadata["architecture"]["seed"])


def view(model: Model, sample: Sample) -> View:
    """What one sees of a model on the structures and bonds of a sample.

    Raises E3DError as `decompose` and `bond_features` do.
    """
    pairs = pair_energies_of_all(list(decompose(model, sample.structures)))
    energies = np.clip(pairs.energies, ENERGIES_EV[0], ENERGIES_EV[-1])  # none is lost
    counts, *_ = np.histogram2d(pairs.lengths, energies, bins=(LENGTHS_A, ENERGIES_EV))
    found = bond_features(model, sample)
    last = sorted(name for name in found if name.startswith("layer "))[-1]
    return View(counts, found[last])


def components(views: Sequence[View]) -> list[Float[np.ndarray, "n_bonds 2"]]:
    """Features of each view along the two principal components of the last of them, scaled to a
    standard deviation of one there, so that one sees how the bonds move to where they end."""
    fitted = PCA(2).fit(views[-1].features)
    scale = np.sqrt(fitted.explained_variance_)
    return [fitted.transform(one.features) / scale for one in views]


def strong_pairs(seen: View, *, least_eV: float = 1.0) -> float:
    """Share of the pairs of a map whose ε is at least so far from zero."""
    centres = (ENERGIES_EV[1:] + ENERGIES_EV[:-1]) / 2
    return float(seen.counts[:, np.abs(centres) >= least_eV].sum() / seen.counts.sum())


def same_elements(seen: View, table: pd.DataFrame, *, n_folds: int = 5) -> float:
    """Share of bonds whose elements are those of the nearest bond of other molecules, in the
    features of the last layer. `table` is that of the `Sample`."""
    nearest = KNeighborsClassifier(n_neighbors=1)
    scores = cross_val_score(nearest, seen.features, table["pair"], groups=table["molecule"],
                             cv=GroupKFold(n_folds))  # fmt: skip
    return float(scores.mean())


def frames(
    views: Mapping[str, Sequence[View]], sample: Sample, said: Mapping[str, Sequence[str]]
) -> list[Figure]:
    """One figure for each station: maps above, last layer below, one column for each training.

    views: of each training, as many of each; said: what stands above the column at each station.
    """
    along = {name: components(own) for name, own in views.items()}
    most = max(one.counts.max() for own in views.values() for one in own)
    return [_frame(k, views, along, sample.table, most, said)
            for k in range(len(next(iter(views.values()))))]  # fmt: skip


def _frame(
    k: int,
    views: Mapping[str, Sequence[View]],
    along: Mapping[str, Sequence[np.ndarray]],
    table: pd.DataFrame,
    most: float,
    said: Mapping[str, Sequence[str]],
) -> Figure:
    fig, axes = plots.figure(150, 120, rows=2, columns=len(views), sharex="row", sharey="row",
                             squeeze=False)  # fmt: skip
    for (upper, lower), name in zip(axes.T, views, strict=True):
        upper.pcolormesh(LENGTHS_A, ENERGIES_EV, views[name][k].counts.T + 1e-9, cmap="cividis",
                         norm=LogNorm(vmin=1, vmax=most), rasterized=True)  # fmt: skip
        upper.axhline(0, color="0.4", lw=0.6)
        upper.set_title(f"{name}\n{said[name][k]}", fontsize="small")
        upper.set_xlabel("distance (Å)")
        lower.set_xlabel("first component of the last layer")
        for place, (pair, own) in enumerate(table.groupby("pair")):
            lower.plot(*along[name][k][own.index].T, ".", ms=3, alpha=0.7, label=pair,
                       color=plots.colour_of(str(pair), place))  # fmt: skip
        lower.set(xlim=(-4, 4), ylim=(-4, 4))
        for ax in (upper, lower):
            ax.grid(visible=False)
    axes[0, 0].set_ylabel("ε (eV)")
    axes[1, 0].set_ylabel("second component")
    fig.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6,
               fontsize="small", markerscale=3)  # fmt: skip
    return fig
