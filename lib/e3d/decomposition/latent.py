"""Bonds in the last layer of a network: how far a bond is from those of training.

What the last layer holds of an edge is compared with what it held of the bonds that the network was
trained on: the Mahalanobis distance from the mean of the same two elements, with one covariance
within all such pairs. A distance beyond the threshold says that the surroundings of a bond are
unlike those of training; one below it does not say that the value is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from e3d.decomposition.features import Edges

#: Share of held-out molecules that lie below a threshold with all their bonds.
QUANTILE = 0.95
#: Smallest variance of a feature that counts, relative to the largest; others are noise.
_FLOOR = 1e-6


@dataclass(frozen=True)
class Latent:
    """Bonds of the training molecules in the last layer of one model.

    means: feature vector by the elements of centre and neighbour, (d,); whitening (d, k): rotates
    and scales deviations from a mean to unit variance; threshold: distance that `QUANTILE` of the
    held-out molecules stay below.
    """

    means: dict[str, Float[np.ndarray, " d"]]
    whitening: Float[np.ndarray, "d k"]
    threshold: float


def last_layer(
    found: Edges, bonds: Int[np.ndarray, "n_bonds 2"]
) -> Float[np.ndarray, "n_bonds 2 d"]:
    """Features of the last layer for both directions of bonds; NaN beyond the cutoff.

    Of the edges between the same two atoms, images of each other in a crystal, the last is taken.
    """
    names = sorted(name for name in found.features if name.startswith("layer "))
    features = found.features[names[-1]]
    n_atoms = len(found.decomposition.atomic_numbers)
    place = np.full((n_atoms, n_atoms), -1)
    place[found.edge_index[0], found.edge_index[1]] = np.arange(found.edge_index.shape[1])
    at = np.stack([place[tuple(bonds.T)], place[tuple(bonds.T[::-1])]], axis=1)
    return np.where((at < 0)[..., None], np.nan, features[at])


def fit_latent(
    features: Sequence[Float[np.ndarray, "_ 2 d"]],
    pairs: Sequence[Sequence[tuple[str, str]]],
    held_out: Sequence[Float[np.ndarray, "_ 2 d"]],
    held_out_pairs: Sequence[Sequence[tuple[str, str]]],
) -> Latent:
    """Means, common covariance and threshold, from the bonds of molecules.

    features: of the bonds of each molecule, both directions; pairs: of each direction the elements
    of centre and neighbour, joined.
    """
    names = np.array([name for molecule in pairs for both in molecule for name in both])
    rows = np.concatenate([one.reshape(-1, one.shape[-1]) for one in features])
    means = {str(name): rows[names == name].mean(axis=0) for name in np.unique(names)}
    deviations = rows - np.stack([means[name] for name in names])
    values, vectors = np.linalg.eigh(np.cov(deviations.T))
    kept = values > _FLOOR * values[-1]
    latent = Latent(means, vectors[:, kept] / np.sqrt(values[kept]), np.inf)
    largest = np.array([
        distances(latent, one, names_).max()
        for one, names_ in zip(held_out, held_out_pairs, strict=True)
    ])  # fmt: skip
    threshold = float(np.quantile(largest[np.isfinite(largest)], QUANTILE))
    return Latent(latent.means, latent.whitening, threshold)


def distances(
    latent: Latent, features: Float[np.ndarray, "n 2 d"], pairs: Sequence[tuple[str, str]]
) -> Float[np.ndarray, " n"]:
    """Mahalanobis distance of each bond, the larger of its two directions.

    Infinite for a pair of elements that no bond of the training had, and beyond the cutoff.
    """
    unknown = np.full(features.shape[-1], np.inf)
    means = np.stack([[latent.means.get(name, unknown) for name in both] for both in pairs])
    with np.errstate(invalid="ignore"):
        found = np.linalg.norm((features - means) @ latent.whitening, axis=-1).max(axis=1)
    return np.where(np.isfinite(found), found, np.inf)


def directed_pairs(
    numbers: Int[np.ndarray, " n_atoms"], bonds: Int[np.ndarray, "n_bonds 2"]
) -> list[tuple[str, str]]:
    """Of both directions of every bond, the elements of centre and neighbour: ("C-H", "H-C")."""
    symbols = [chemical_symbols[z] for z in numbers]
    return [(f"{symbols[i]}-{symbols[j]}", f"{symbols[j]}-{symbols[i]}") for i, j in bonds.tolist()]
