"""Agreement of edge energies with a teacher, class by class, and its mean over classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from chapters.teacher.tables import TRUE
from e3d.errors import E3DError
from e3d.statistics.grouping import rows_by_group
from e3d.statistics.intervals import Estimate, interval, with_seed_spread, within

#: What is compared within each class: rank correlation with, and slope of least squares against,
#: the true energies.
KINDS = ("spearman", "slope")


@dataclass(frozen=True)
class Recovery:
    """Agreement of columns with the true energies within each class, and over resamples.

    columns: the k columns; classes: the c classes, with their numbers of bonds; values (2, c, k)
    and sample (n_resamples, 2, c, k) over resampled molecules: of each of `KINDS`; n: bonds.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    n_bonds: Float[np.ndarray, " c"]
    values: Float[np.ndarray, "2 c k"]
    sample: Float[np.ndarray, "n_resamples 2 c k"] = field(repr=False)

    def by_class(self, columns: Sequence[str], kind: str = "spearman") -> pd.Series:
        """Agreement in each class, averaged over columns (models of one kind); index class."""
        found = self.values[KINDS.index(kind)][:, self._places(columns)].mean(axis=1)
        return pd.Series(found, index=list(self.classes))

    def mean(
        self,
        columns: Sequence[str],
        *,
        of: Bool[np.ndarray, " c"] | None = None,
        kind: str = "spearman",
        by_bond: bool = False,
    ) -> Estimate:
        """Mean over classes (those `of`) and columns, with its interval over molecules and seeds.

        by_bond: classes count by their numbers of bonds, otherwise equally.
        """
        each, sample = self._means(columns, of, kind, by_bond)
        found = with_seed_spread(interval(float(each.mean()), sample, self._n(of)), each)
        return within(found, (-1.0, 1.0)) if kind == "spearman" else found

    def gain(
        self,
        columns: Sequence[str],
        over: Sequence[str],
        *,
        of: Bool[np.ndarray, " c"] | None = None,
        kind: str = "spearman",
        by_bond: bool = False,
        same_seeds: bool = False,
    ) -> Estimate:
        """`mean` of some columns less that of others, paired by resample.

        same_seeds: column by column the models of the two sides began from the same weights.
        """
        (own, sample), (other, other_sample) = (
            self._means(side, of, kind, by_bond) for side in (columns, over)
        )
        value = float(own.mean() - other.mean())
        found = interval(value, sample - other_sample, self._n(of))
        if same_seeds:
            return with_seed_spread(found, own - other)
        return with_seed_spread(with_seed_spread(found, own), other)

    def _means(
        self, columns: Sequence[str], of: np.ndarray | None, kind: str, by_bond: bool
    ) -> tuple[Float[np.ndarray, " n_columns"], Float[np.ndarray, " n_resamples"]]:
        """Weighted mean over classes of each column, and of all columns in each resample."""
        chosen = np.ones(len(self.classes), dtype=bool) if of is None else of
        weights = (self.n_bonds if by_bond else np.ones(len(self.classes)))[chosen]
        places, k = self._places(columns), KINDS.index(kind)
        own = self.values[k][np.ix_(np.flatnonzero(chosen), np.array(places))]
        sample = self.sample[:, k][:, chosen][:, :, places].mean(axis=2)
        # a class that no drawn molecule has is left out of that resample
        known = np.where(np.isnan(sample), 0.0, weights)
        return weights @ own / weights.sum(), np.nansum(sample * known, axis=1) / known.sum(axis=1)

    def _places(self, columns: Sequence[str]) -> list[int]:
        return [self.columns.index(column) for column in columns]

    def _n(self, of: np.ndarray | None) -> int:
        return int(self.n_bonds.sum() if of is None else self.n_bonds[of].sum())


def recovery(
    bonds: pd.DataFrame, columns: Sequence[str], *, n_resamples: int = 500, seed: int = 0
) -> Recovery:
    """`Recovery` of columns of a bond table with `TRUE`; molecules are drawn whole.

    Raises E3DError where a value is missing.
    """
    table = bonds[[TRUE, *columns]].to_numpy(dtype=float)
    if not np.isfinite(table).all():
        raise E3DError(f"expected finite values of {', '.join(columns)}; drop small classes first")
    names, class_of = np.unique(bonds["class"].to_numpy(dtype=str), return_inverse=True)
    members = rows_by_group(bonds["molecule"])
    rng = np.random.default_rng(seed)
    sample = [
        _agreement(table, class_of, len(names), np.concatenate([members[k] for k in drawn]))
        for drawn in rng.integers(len(members), size=(n_resamples, len(members)))
    ]
    whole = _agreement(table, class_of, len(names), np.arange(len(table)))
    sizes = np.bincount(class_of).astype(float)
    return Recovery(tuple(columns), tuple(names.tolist()), sizes, whole, np.array(sample))


def _agreement(
    table: Float[np.ndarray, "n k1"], class_of: np.ndarray, n_classes: int, rows: np.ndarray
) -> Float[np.ndarray, "2 c k"]:
    """`KINDS` of every column but the first against the first, by class; NaN without variation."""
    found = np.full((len(KINDS), n_classes, table.shape[1] - 1), np.nan)
    labels = class_of[rows]
    for c in range(n_classes):
        own = table[rows[labels == c]]
        if len(own) > 2:
            ranks = rankdata(own, axis=0)
            found[0, c] = _moments(ranks, correlation=True)
            found[1, c] = _moments(own, correlation=False)
    return found


def _moments(own: np.ndarray, *, correlation: bool) -> Float[np.ndarray, " k"]:
    """Correlation of the columns with the first, or their slopes of least squares against it."""
    centred = own - own.mean(axis=0)
    truth, others = centred[:, 0], centred[:, 1:]
    square = float(truth @ truth)
    norm = (
        np.sqrt(square * (others**2).sum(axis=0))
        if correlation
        else np.full(others.shape[1], square)
    )
    return (truth @ others) / np.where(norm > 0, norm, np.nan)
