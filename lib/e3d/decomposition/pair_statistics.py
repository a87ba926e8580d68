"""Statistics of pair energies that add up: the E3D map, and moments by bond class and separation.

ε_ij = E_ij + E_ji in eV, negative when bound. Only pairs within the cutoff of the model count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from e3d.data.left_out import LeftOut

_BINS = [("pair", object), ("length_A", float), ("energy_eV", float), ("count", int)]
_MOMENTS = [("count", int), ("mean_eV", float), ("m2_eV2", float)]
_CLASSES, _SEPARATIONS = [("class", object), *_MOMENTS], [("apart", object), *_MOMENTS]


def _empty(columns: list[tuple[str, type]]) -> pd.DataFrame:
    return pd.DataFrame(np.empty(0, columns))


@dataclass(frozen=True)
class PairStatistics:
    """Statistics of the pair energies ε of any number of conformations; two of them add up.

    map: the E3D map, one row per occupied bin; columns pair (elements in alphabetical order),
    length_A and energy_eV (centre of the bin; ε is negative when bound) and count. Only occupied
    bins are kept, so that one energy far from all others costs nothing.

    by_class, by_separation: moments of ε per bond class (`class`), and per number of bonds between
    the two atoms (`apart`, one of `APART_COLUMNS`); columns count (pairs), mean_eV, and m2_eV2, the
    sum of squared deviations from the mean: the variance is m2_eV2 / count.

    sum_rule_error: the largest, in eV per atom. left_out: what was passed over, and why.
    """

    map: pd.DataFrame = field(default_factory=partial(_empty, _BINS))
    by_class: pd.DataFrame = field(default_factory=partial(_empty, _CLASSES))
    by_separation: pd.DataFrame = field(default_factory=partial(_empty, _SEPARATIONS))
    n_molecules: int = 0
    n_conformations: int = 0
    sum_rule_error: float = 0.0
    left_out: LeftOut = field(default_factory=LeftOut)

    @classmethod
    def of_pairs(
        cls, pairs: pd.DataFrame, *, length_step: float, energy_step: float
    ) -> PairStatistics:
        """Statistics of single pairs, columns pair, class, apart, length_A and energy_eV.

        length_step in Å, energy_step in eV: widths of the bins, of which one begins at zero.
        """
        if not len(pairs):
            return cls()
        lengths, energies = (
            pairs[name].to_numpy(dtype=float) for name in ("length_A", "energy_eV")
        )
        bins = _histogram(
            pair=pairs["pair"],
            length_A=(np.floor(lengths / length_step) + 0.5) * length_step,
            energy_eV=(np.floor(energies / energy_step) + 0.5) * energy_step,
        )
        moments = {by: _moments(pairs[by], energies, by) for by in ("class", "apart")}
        return cls(bins, moments["class"], moments["apart"])

    def __add__(self, other: PairStatistics) -> PairStatistics:
        return PairStatistics(
            map=_counted(pd.concat([self.map, other.map])),
            by_class=pooled(pd.concat([self.by_class, other.by_class]), "class"),
            by_separation=pooled(pd.concat([self.by_separation, other.by_separation]), "apart"),
            n_molecules=self.n_molecules + other.n_molecules,
            n_conformations=self.n_conformations + other.n_conformations,
            sum_rule_error=max(self.sum_rule_error, other.sum_rule_error),
            left_out=self.left_out + other.left_out,
        )


def _histogram(**columns: pd.Series | np.ndarray) -> pd.DataFrame:
    """Rows that occur in columns (n,), in lexicographic order, and how often each: `count`.

    As a `groupby` does, but of numbers alone, which is several times faster than of text.
    """
    codes, values = zip(
        *(pd.factorize(column, sort=True) for column in columns.values()), strict=True
    )
    shape = tuple(map(len, values))
    cells, count = np.unique(np.ravel_multi_index(codes, shape), return_counts=True)
    places = np.unravel_index(cells, shape)
    found = {
        name: np.asarray(own)[place]
        for name, own, place in zip(columns, values, places, strict=True)
    }
    return pd.DataFrame(found | {"count": count})


def _moments(labels: pd.Series, energies: np.ndarray, by: str) -> pd.DataFrame:
    """Moments of energies (n,) in eV by label, as `pooled` has them; None is no label."""
    numbers, names = pd.factorize(labels, sort=True)
    known, values = numbers[numbers >= 0], energies[numbers >= 0]
    count = np.bincount(known, minlength=len(names))
    mean = np.bincount(known, values, minlength=len(names)) / count
    m2 = np.bincount(known, (values - mean[known]) ** 2, minlength=len(names))
    columns = {by: np.asarray(names, dtype=object), "count": count, "mean_eV": mean, "m2_eV2": m2}
    return pd.DataFrame(columns)


def pooled(parts: pd.DataFrame, by: str) -> pd.DataFrame:
    """Moments of the union of samples from those of each: rows with the same `by` become one.

        n = Σ n_k    m = Σ n_k m_k / n    M = Σ [M_k + n_k (m_k − m)²]

    Columns: `by`, count n, mean_eV m, m2_eV2 M. Unlike Σε², M loses no digits to a large mean.
    Reference: Chan, Golub and LeVeque, Am. Stat. 37, 242 (1983).
    """
    count = parts.groupby(by)["count"].sum()
    mean = (parts["count"] * parts["mean_eV"]).groupby(parts[by]).sum() / count
    deviations = parts["count"] * (parts["mean_eV"] - parts[by].map(mean)) ** 2
    m2 = (parts["m2_eV2"] + deviations).groupby(parts[by]).sum()
    return pd.DataFrame({"count": count, "mean_eV": mean, "m2_eV2": m2}).reset_index()


def _counted(bins: pd.DataFrame) -> pd.DataFrame:
    """The sum of histograms; the centres of equal bins are equal to the last bit."""
    return bins.groupby(["pair", "length_A", "energy_eV"])["count"].sum().reset_index()
