"""Paired comparison: one statistic of several sources on the same rows and resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.errors import E3DError
from e3d.statistics.grouping import Groups, Numbers, codes
from e3d.statistics.intervals import (
    UNBOUNDED,
    Estimate,
    bootstrap_distribution,
    interval,
    with_seed_spread,
    within,
)


@dataclass(frozen=True)
class Comparison:
    """A statistic of every source, on the same resamples of groups of the same n rows.

    values: the statistic by source; samples: its bootstrap distributions, (n_resamples,) each;
    of_seeds: for sources that are means over independently seeded models, the statistic of each of
    these; limits: the smallest and largest values that the statistic can take.
    """

    values: dict[str, float]
    samples: dict[str, Float[np.ndarray, " n_resamples"]] = field(repr=False)
    of_seeds: dict[str, list[float]]
    n: int
    limits: tuple[float, float] = UNBOUNDED

    def of(self, source: str) -> Estimate:
        """The statistic of a source, its interval widened by the spread between its seeds."""
        found = interval(self.values[source], self.samples[source], self.n)
        return within(with_seed_spread(found, self.of_seeds.get(source, [])), self.limits)

    def all(self) -> dict[str, Estimate]:
        """`of` every source."""
        return {source: self.of(source) for source in self.values}

    def gain(self, source: str, over: str, *, same_models: bool = False) -> Estimate:
        """The statistic of one source minus that of another, paired by resample.

        The interval is widened by the spread between the seeds of both. same_models: the two are
        means over the same models, in the same order, read in two ways, so that what a seed does to
        both cancels; otherwise the models of the two sides are independent.

        Raises E3DError for `same_models` where the two have unlike numbers of them.
        """
        ahead = self.values[source] - self.values[over]
        found = interval(ahead, self.samples[source] - self.samples[over], self.n)
        own, other = (np.array(self.of_seeds.get(name, [])) for name in (source, over))
        if not same_models:
            return with_seed_spread(with_seed_spread(found, own), other)
        if len(own) != len(other):
            raise E3DError(
                f"{source} is a mean over {len(own)} models and {over} over {len(other)}, so they "
                "are not the same models; compare them as independent"
            )
        return with_seed_spread(found, own - other)


def compare(
    sources: Mapping[str, Numbers] | pd.DataFrame,
    *given: Groups,
    statistic: Callable[..., float],
    groups: Groups,
    seeds: Mapping[str, pd.DataFrame | Float[np.ndarray, "n k"]] | None = None,
    limits: tuple[float, float] = UNBOUNDED,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """`statistic(values, *given)` of every source, bootstrapped over groups with common draws.

    sources: (n,) values by name, or a table of them, any unit; given: arrays (n,) that the
    statistic also takes, such as references and classes (labels are replaced by codes); groups:
    (n,) labels of rows that are drawn together, usually molecules; seeds: for sources that are
    means over k independently seeded models, the values (n, k) of these; limits as for `estimate`.
    """
    columns = [np.asarray(part) if _numeric(part) else codes(part) for part in given]

    def of(values: Numbers) -> Callable[[np.ndarray], float]:
        numbers = np.asarray(values, dtype=float)
        return lambda rows: float(statistic(numbers[rows], *(part[rows] for part in columns)))

    everything = np.arange(len(groups))
    return Comparison(
        values={name: of(values)(everything) for name, values in sources.items()},
        samples={
            name: bootstrap_distribution(of(values), groups, n_resamples=n_resamples, seed=seed)
            for name, values in sources.items()
        },
        of_seeds={
            name: [of(column)(everything) for column in np.asarray(values, dtype=float).T]
            for name, values in (seeds or {}).items()
        },
        n=len(groups),
        limits=limits,
    )


def _numeric(part: Groups) -> bool:
    return bool(pd.api.types.is_numeric_dtype(np.asarray(part).dtype))
