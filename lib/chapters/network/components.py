"""Principal components of bond features, and which factors their variance is due to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from chapters.network import probes
from chapters.network.features import neighbours

#: What the variance of features is attributed to, one after the other.
FACTORS = ("elements", "order", "length", "neighbours", "rest")


class Components(NamedTuple):
    """Principal components of features: `explained`, the share of the variance along each, and
    `shares` of `FACTORS` in the variance along each of them; `whole`: in all the variance."""

    explained: Float[np.ndarray, " n_features"]
    shares: Float[np.ndarray, "n_features n_factors"]
    whole: Float[np.ndarray, " n_factors"]

    @property
    def dimensions(self) -> float:
        """Participation ratio (Σλ)² / Σλ² of the variances λ: how many components matter."""
        return float(1 / (self.explained**2).sum())

    def share(self, factor: str) -> float:
        """Share of one of `FACTORS` in all the variance."""
        return float(self.whole[FACTORS.index(factor)])


def principal_components(
    features: Float[np.ndarray, "n n_features"], table: pd.DataFrame
) -> Components:
    """Components of the features of bonds, in the scale of the network, and what is behind them.

    By least squares, cumulatively: what is between element pairs; then between orders; then follows
    the length, another curve in each class; then the `neighbours`; and the rest. Corrected for the
    number of parameters (adjusted R²), so a share can be slightly negative. table as of `Sample`,
    with several times more bonds than these parameters.
    """
    centred = features - features.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    along = centred @ directions.T
    designs = [
        np.ones((len(table), 1)), pd.get_dummies(table["pair"]).to_numpy(dtype=float),
        pd.get_dummies(table["class"]).to_numpy(dtype=float),
        probes.curves(table["length_A"], table["class"], 3), neighbours(table["environment"]),
    ]  # fmt: skip
    unexplained = []
    for k in range(1, len(designs) + 1):
        left, values, _ = np.linalg.svd(np.hstack(designs[:k]), full_matrices=False)
        left = left[:, values > 1e-9 * values[0]]
        residuals = along - left @ (left.T @ along)
        unexplained.append((residuals**2).sum(axis=0) / (len(table) - left.shape[1]))
    parts = -np.diff([*unexplained, np.zeros_like(singular)], axis=0)  # by cause and component
    return Components(
        explained=singular**2 / (singular**2).sum(),
        shares=(parts / np.maximum(unexplained[0], np.finfo(float).tiny)).T,
        whole=parts.sum(axis=1) / unexplained[0].sum(),
    )


def mean_components(networks: Sequence[Components], n_components: int = 3) -> pd.DataFrame:
    """Means over networks, one row for each of the first components and one for all variance.

    Columns: component ("1", "2", …, "all"), explained, and the share of each of `FACTORS`.
    """
    rows = [
        {"component": str(k + 1), "explained": np.mean([one.explained[k] for one in networks])}
        | dict(zip(FACTORS, np.mean([one.shares[k] for one in networks], axis=0), strict=True))
        for k in range(n_components)
    ]
    whole = np.mean([one.whole for one in networks], axis=0)
    rows.append({"component": "all", "explained": 1.0} | dict(zip(FACTORS, whole, strict=True)))
    return pd.DataFrame(rows)
