"""What the chapters found, claim by claim, and whether a choice of the study would change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from e3d.bde import references
from e3d.data.dataset import Dataset
from e3d.notebook.prose import filled
from e3d.statistics import intervals, rounding

COLUMNS = ["claim", "verdict", "number", "best null", "chapter", "figure"]
#: How the deviation of a family of runs compares with that of the null.
WORDINGS = {"more": "worse", "less": "better", "same": "no difference"}


def verdict_texts(verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Verdicts by `chapter/name`, as the templates of `claim_table` call them."""
    return {
        f"{chapter}/{name}": text
        for chapter, found in verdicts.items()
        for name, text in found.items()
    }


def claim_table(
    claims: Iterable[Sequence[str]], *sources: Mapping[str, Any], **values: Any
) -> pd.DataFrame:
    """One row per claim, columns `COLUMNS`.

    claims: claim, verdict, number, best null, notebook without `.ipynb`, title of the figure.
    Verdict, number and best null are templates, filled from metrics, verdicts and values as by
    `e3d.notebook.prose.filled`, which raises E3DError for what is in none of them.
    """
    rows = []
    for claim, verdict, number, best_null, chapter, figure in claims:
        texts = [filled(text, *sources, **values) for text in (verdict, number, best_null)]
        rows.append([claim, *texts, chapter, figure])
    return pd.DataFrame(rows, columns=COLUMNS)


def against_null(
    rows: pd.DataFrame,
    models: Sequence[str],
    *,
    null: str = "additive",
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Mean absolute deviation from Dₑ of models that differ in their seed, less that of a null.

    rows: reactions, with columns `smiles`, the reference Dₑ, one per model and the null, all in
    kcal/mol. Each model is scored by itself, so that averaging over seeds cannot help. The interval
    is over molecules, joined with the spread over seeds; positive: further from Dₑ than the null.

    Returns `seeds`, `deviation` (kcal/mol), the estimate of the difference, and `against <null>`.
    """
    reference = rows[references.KINDS["De"]]
    deviations = rows[list(models)].sub(reference, axis=0).abs()
    deviation = deviations.mean(axis=1)
    of_null = (rows[null] - reference).abs()
    gap = intervals.estimate(
        deviation - of_null, rows["smiles"], of_seeds=deviations.mean() - of_null.mean(),
        n_resamples=n_resamples, seed=seed,
    )  # fmt: skip
    return {
        "seeds": len(models),
        "deviation": deviation.mean(),
        **gap,
        f"against {null}": rounding.compared_with_zero(gap, **WORDINGS),
    }


def robustness_text(outcomes: pd.Series, null: str = "additive") -> str:
    """Whether the verdict against a null is the same for all families of runs, in words.

    outcomes: a wording by family. The most frequent wording comes last.
    """
    counts = outcomes.value_counts()
    if len(counts) == 1:
        return f"no choice that was tried changes the verdict against the {null} null"
    of = {word: ", ".join(outcomes.index[outcomes == word]) for word in counts.index}
    listed = "; ".join(f"{word} for {of[word]}" for word in [*counts.index[1:], counts.index[0]])
    return f"the verdict against the {null} null depends on the choice: {listed}"


def label_counts(paths: Iterable[str | Path]) -> tuple[int, int]:
    """Molecules and conformations of data sets that models can be trained on."""
    sizes: list[int] = []
    for path in paths:
        with Dataset(path) as dataset:
            sizes += [len(molecule) for molecule in dataset.usable()]
    return len(sizes), sum(sizes)
