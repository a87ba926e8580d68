"""Errors of the runs of the study on the same test rows, to be followed over the amount of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.bde import references
from e3d.errors import E3DError
from e3d.statistics import power_laws
from e3d.statistics.intervals import Estimate
from e3d.statistics.power_laws import ErrorArray, Plateau
from e3d.units import KCAL_PER_MOL_PER_EV

#: What is followed, with its unit.
QUANTITIES = {
    "energy": "energy MAE (meV/atom)",
    "forces": "force MAE (meV/Å)",
    "bde": "BDE MAE from Dₑ (kcal/mol)",
    "distance": "ε, from converged (kcal/mol)",
}


@dataclass(frozen=True)
class StudyErrors:
    """Absolute errors of every run of the study, in the units of `QUANTITIES`.

    runs: one row per run at the end of training, index run, with family and seed; conformations,
    bonds (of the test fold) and reactions: as chapter 06 files them.
    """

    runs: pd.DataFrame
    conformations: pd.DataFrame
    bonds: pd.DataFrame
    reactions: pd.DataFrame

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Runs of each family, which differ in nothing but the seed."""
        return {str(name): list(rows.index) for name, rows in self.runs.groupby("family")}

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers of conformations of the families `n<size>`, which are alike otherwise."""
        return sorted(int(name[1:]) for name in self.families if name[1:].isdigit())

    def groups(self, quantity: str) -> pd.Series:
        """What rows are drawn together by in a bootstrap: the molecule."""
        if quantity == "bde":
            return self.reactions["smiles"]
        return (self.bonds if quantity == "distance" else self.conformations)["molecule"]

    def of_run(self, quantity: str, run: str) -> Float[np.ndarray, " n"]:
        """Errors on the test conformations (energy, forces), reactions (bde) or bonds (distance).

        The distance of bond energies is that from the mean of the models of the largest size, of
        other seeds only, so that no model is compared with itself. Raises E3DError for a run that
        was not measured.
        """
        if run not in self.runs.index or quantity not in QUANTITIES:
            raise E3DError(f"no errors of {quantity} of a run {run!r}; is it in the study table?")
        if quantity == "bde":
            reference = self.reactions[references.KINDS["De"]]
            return (self.reactions[run] - reference).abs().to_numpy()
        if quantity == "distance":
            best = self.families[f"n{self.sizes[-1]}"]
            seeds = self.runs["seed"]
            others = [f"bare:{other}" for other in best if seeds[other] != seeds[run]]
            converged = self.bonds[others].mean(axis=1)
            return KCAL_PER_MOL_PER_EV * (self.bonds[f"bare:{run}"] - converged).abs().to_numpy()
        return self.conformations[f"{quantity}:{run}"].to_numpy()

    def of_runs(self, quantity: str, runs: Sequence[str]) -> Float[np.ndarray, "n s"]:
        """`of_run` of several runs, side by side."""
        return np.stack([self.of_run(quantity, run) for run in runs], axis=-1)

    def of_families(self, quantity: str, families: Sequence[str], n_seeds: int) -> ErrorArray:
        """Errors (n rows, k families, s seeds), of the first `n_seeds` runs of each family."""
        parts = [self.of_runs(quantity, self.families[name][:n_seeds]) for name in families]
        return np.stack(parts, axis=1)

    def ratio(
        self,
        quantity: str,
        runs: Sequence[str],
        others: Sequence[str],
        *,
        paired: bool,
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> Estimate:
        """Mean error of some runs over that of others, see `power_laws.ratio`.

        paired: compare the seeds that both have, which begin from the same weights.
        """
        if paired:
            sides = [{self.runs.loc[run, "seed"]: run for run in side} for side in (runs, others)]
            shared = sorted(sides[0].keys() & sides[1].keys())
            runs, others = ([side[s] for s in shared] for side in sides)
        return power_laws.ratio(
            self.of_runs(quantity, runs), self.of_runs(quantity, others), self.groups(quantity),
            paired=paired, n_resamples=n_resamples, seed=seed,
        )  # fmt: skip


def read_errors(study_table: str | Path, study_dir: str | Path) -> StudyErrors:
    """Errors from the tables of chapter 06: all runs at their end, and what they were tested on."""
    study = pd.read_csv(study_table)
    tables = [pd.read_csv(Path(study_dir) / f"{name}.csv")
              for name in ("errors", "bonds", "reactions")]  # fmt: skip
    errors, bonds, reactions = tables
    return StudyErrors(
        study[study["model"] == study["run"]].set_index("run"),
        errors,
        bonds[bonds["fold"] == "test"].reset_index(drop=True),
        reactions,
    )


def plateau_text(plateau: Plateau, sizes: Sequence[int], subject: str = "it") -> str:
    """Where an error, the subject, stops falling; sizes: those that it was measured at."""
    worse, good = plateau
    if worse == sizes[-2]:
        return f"{subject} still falls at the largest sizes"
    begin = (
        f"{subject} is worse than at the largest size until {worse:,.0f} conformations"
        if worse
        else f"{subject} is shown to be worse than at the largest size at none"
    )
    if good:
        return f"{begin} and as good from {good:,.0f} on"
    return f"{begin}, and from where on it is as good is not decided"
