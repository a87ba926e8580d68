"""How well, and how early, a measure tells that a bond breaks: agreement with the bond order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from e3d.statistics import intervals
from e3d.statistics.intervals import Estimate


def auc(score: Float[np.ndarray, " n"], broken: Bool[np.ndarray, " n"]) -> float:
    """Area under the ROC curve: chance that a broken bond scores higher than one that is not.

    Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747. NaN where only one kind is given.
    """
    if broken.all() or not broken.any():
        return float("nan")
    return float(roc_auc_score(broken, score))


def kappa(one: Bool[np.ndarray, " n"], other: Bool[np.ndarray, " n"]) -> float:
    """Cohen's kappa of two classifications: 1, they agree; 0, no more than by chance.

    Cohen 1960, doi:10.1177/001316446002000104. NaN where both say the same of every row.
    """
    if len(np.unique(np.concatenate([one, other]))) < 2:
        return float("nan")
    return float(cohen_kappa_score(one, other))


def median_lead(
    events: pd.DataFrame,
    column: str,
    before: str,
    *,
    seeds: Sequence[str] = (),
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Median over breaking bonds of how much sooner one criterion is met than another, in fs.

    events: as of `bond_breaking.breaking_events`; column, before: of its times. Positive: `column`
    is sooner. Bonds for which either is not met do not count. The interval is over molecules, and
    joined with the spread over the columns `seeds` of independently seeded models.
    """
    leads = (events[before] - events[column]).dropna()
    return intervals.estimate(
        leads, events.loc[leads.index, "molecule"], statistic=np.median,
        of_seeds=[(events[before] - events[name]).median() for name in seeds],
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip


def growth_with_stretch(frames: Float[np.ndarray, "n 2"], *, beyond: float, up_to: float) -> float:
    """Mean deviation of frames with a bond stretched far, less that of frames without any.

    frames: the largest relative stretch and the deviation (any unit) of each; far is beyond
    `beyond`, near `up_to`. NaN where there is no frame of either kind.
    """
    stretch, deviation = frames.T
    far, near = stretch > beyond, stretch <= up_to
    if not (far.any() and near.any()):
        return float("nan")
    return float(deviation[far].mean() - deviation[near].mean())
