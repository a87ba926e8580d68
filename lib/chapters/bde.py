"""Bond dissociation energies: agreement of seeds, and other fits of the pair null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from e3d.bde.references import Source
from e3d.bde.scores import runs_of
from e3d.models.nulls import pair_bdes
from e3d.models.pair import PairPotential
from e3d.statistics.intervals import CONFIDENCE, Estimate
from e3d.statistics.variance import intraclass_correlation

#: Headings of columns of the class table and of the matched table, all in kcal/mol.
HEADINGS = {
    "emergent_kcal_per_mol": "emergent",
    "dressed_kcal_per_mol": "dressed",
    "seed_std_kcal_per_mol": "std over seeds",
    "reference_de_kcal_per_mol": "Dₑ",
    "reference_bde298_kcal_per_mol": "BDE298",
    "reference_mean_de_kcal_per_mol": "mean Dₑ",
    "reference_h_mean_kcal_per_mol": "mean H298",
}


def identifiability(
    bonds: pd.DataFrame, ensemble: str, *, n_resamples: int = 500, seed: int = 0
) -> Estimate:
    """Intraclass correlation of the seeds of an ensemble within bond classes, at most 1.

    bonds: a bond table with columns molecule, class and `bare:<run>` (ε in eV, any zero). The rows
    compared are the medians over the bonds of each class in each molecule; the interval is over
    molecules. Raises E3DError when the table has no run of the ensemble.
    """
    columns = [f"bare:{run}" for run in runs_of(bonds, ensemble)]
    rows = bonds.groupby(["molecule", "class"])[columns].median().reset_index()
    return intraclass_correlation(
        rows[columns].to_numpy(), rows["class"], rows["molecule"],
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip


def seed_spread(spreads: pd.Series, n_seeds: int) -> Estimate:
    """Median over classes of the standard deviation over seeds, in its unit.

    spreads: (n_classes,) standard deviations over the same n_seeds ≥ 2 models. A seed shifts all
    classes together, so many classes do not tell more of it than one: the interval is that of a
    single standard deviation s of ν + 1 normal draws, s·√(ν/χ²) with χ² at the quantiles of ν
    degrees of freedom.
    """
    middle, freedom = float(spreads.median()), n_seeds - 1
    tails = [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]
    low, high = middle * np.sqrt(freedom / stats.chi2.ppf(tails, freedom))
    return {"value": middle, "low": float(low), "high": float(high), "n": len(spreads)}


def with_pair_null(sources: Sequence[Source], fitted: PairPotential) -> list[Source]:
    """The sources of headline values with the BDEs of another pair null.

    Their column `pair` becomes −φ(r) in kcal/mol, positive when bound; NaN for element pairs that
    were not fitted.
    """
    return [
        replace(source, scored=source.scored.assign(pair=pair_bdes(source.scored, fitted)))
        for source in sources
        if source.headline
    ]
