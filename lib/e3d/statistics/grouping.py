"""Rows grouped by molecule: weights, cross-validation folds and bootstrap draws of whole groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from sklearn.model_selection import GroupKFold

from e3d.errors import E3DError

#: Labels, and numbers, one per row.
Groups: TypeAlias = Sequence[Any] | np.ndarray | pd.Series
Numbers: TypeAlias = Sequence[float | int] | np.ndarray | pd.Series


def rows_by_group(groups: Groups) -> list[Int[np.ndarray, " _"]]:
    """Row indices of each distinct group, groups in sorted order.

    groups: (n,) labels, one per row. Raises E3DError when there are no rows or a label is missing.
    """
    labels = pd.Series(np.asarray(groups))
    if labels.empty or labels.isna().any():
        raise E3DError(
            f"expected one group label per row, got {int(labels.isna().sum())} missing among "
            f"{len(labels)} rows; drop rows without a molecule first"
        )
    return [np.sort(rows) for rows in labels.groupby(labels, sort=True).indices.values()]


def bond_weights(molecules: Groups) -> Float[np.ndarray, " n"]:
    """Weight of each bond, 1 / (number of bonds of its molecule): every molecule has weight 1."""
    names = pd.Series(np.asarray(molecules))
    return 1 / names.groupby(names).transform("size").to_numpy(dtype=float)


def codes(labels: Groups) -> Int[np.ndarray, " n"]:
    """Labels as integers from 0, numbered in sorted order."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)


def molecule_folds(
    molecules: Groups, n_folds: int, *, seed: int | None = None
) -> Iterator[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]]:
    """Training and test rows of a cross-validation in which no molecule is in both.

    molecules: (n,) labels; seed: of a random assignment of molecules to folds; by default the folds
    have as equal numbers of rows as possible. Raises E3DError for fewer molecules than folds.
    """
    labels = codes(molecules)
    if (n_molecules := len(np.unique(labels))) < n_folds:
        raise E3DError(
            f"expected at least {n_folds} molecules, one per fold, got {n_molecules}; take more "
            "molecules or fewer folds"
        )
    folds = GroupKFold(n_folds, shuffle=seed is not None, random_state=seed)
    yield from folds.split(np.empty((len(labels), 0)), groups=labels)


def resampled_masses(
    masses: csr_array, *, n_resamples: int, seed: int
) -> Float[np.ndarray, "n_resamples cells"]:
    """Total masses of bootstrap resamples of the molecules (rows of `masses`).

    Draws depend on the seed and the number of molecules alone, so that estimates can be paired.
    """
    return _multiplicities(masses.shape[0], n_resamples, seed) @ masses


@lru_cache(maxsize=2)  # the same draws serve all models and bin widths
def _multiplicities(n: int, n_resamples: int, seed: int) -> Float[np.ndarray, "n_resamples n"]:
    """How often each of n molecules is drawn, in each resample of n draws."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(float)
