"""What the chapters found, claim by claim, and whether a choice of the study would change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from e3d.bde import references
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.notebook.prose import filled
from e3d.statistics import intervals, rounding
from e3d.statistics.intervals import Estimate

COLUMNS = ["part", "claim", "answer", "found", "null", "verdict", "chapter", "title", "decided by",
           "value", "low", "high", "ahead", "ahead low", "ahead high"]  # fmt: skip
#: How the deviation of a family of runs compares with that of the null.
WORDINGS = {"more": "worse", "less": "better", "same": "no difference"}
#: Colour, marker and filling of an answer in the figure of claims.
ANSWERS = {
    "yes": ("#0173b2", "o", True),
    "no": ("#d55e00", "s", True),
    "open": ("#7f7f7f", "o", False),
}


class Claim(NamedTuple):
    """A claim, and the one metric that decides it.

    claim: a sentence; title: a few words for the figure; found, null: templates of the number and
    of what the best null model reaches; chapter: notebook without `.ipynb`; decided_by: key of the
    metric whose interval has to lie above `limit`, or below it where `holds` says so; verdict:
    template of the words of the chapter.
    """

    claim: str
    title: str
    found: str
    null: str
    chapter: str
    decided_by: str
    verdict: str
    holds: str = "above"
    limit: float = 0.0


def verdict_texts(verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Verdicts by `chapter/name`, as the templates of claims call them."""
    return {
        f"{chapter}/{name}": text
        for chapter, found in verdicts.items()
        for name, text in found.items()
    }


def claim_table(
    parts: Mapping[str, Iterable[Claim]], *sources: Mapping[str, Any], **values: Any
) -> pd.DataFrame:
    """One row per claim, columns `COLUMNS`.

    parts: claims by heading. sources, values: metrics and verdicts, from which templates are
    filled as by `e3d.notebook.prose.filled`, which raises E3DError for what is in none of them.
    `answer` is yes, no or open, see `answer`; `ahead` is by how far the deciding metric lies on the
    side of the claim, in units of half its interval, so that the interval is two wide.
    """
    known = {key: value for source in reversed(sources) for key, value in source.items()}
    rows = []
    for part, claims in parts.items():
        for one in claims:
            if one.decided_by not in known:
                raise E3DError(f"no metric {one.decided_by!r} decides the claim {one.claim!r}; "
                               "was it renamed?")  # fmt: skip
            found = known[one.decided_by]
            texts = [
                filled(text, *sources, **values) for text in (one.found, one.null, one.verdict)
            ]
            rows.append([part, one.claim, answer(one, found), *texts, one.chapter, one.title,
                         one.decided_by, found["value"], found["low"], found["high"],
                         *_ahead(one, found)])  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def answer(claim: Claim, found: Estimate) -> str:
    """What the interval of the deciding metric says of a claim: yes, no or open.

    Raises E3DError for a claim that holds neither above nor below its limit.
    """
    words = {"above": ("yes", "no"), "below": ("no", "yes")}
    if claim.holds not in words:
        raise E3DError(f"a claim holds 'above' or 'below' a limit, not {claim.holds!r}")
    more, less = words[claim.holds]
    return rounding.compared_with(found, claim.limit, more=more, less=less, same="open")


def _ahead(claim: Claim, found: Estimate) -> tuple[float, float, float]:
    """Distance of value, lower and upper end from the limit, along the claim, in half intervals."""
    low, high = found["low"], found["high"]
    if low is None or high is None or high == low:
        raise E3DError(f"{claim.decided_by} has no interval, so it can decide no claim")
    sign, half = (1 if claim.holds == "above" else -1), (high - low) / 2
    value, *ends = (sign * (x - claim.limit) / half for x in (found["value"], low, high))
    return value, min(ends), max(ends)


def as_markdown(claims: pd.DataFrame) -> str:
    """The claims of one part as a table in Markdown: claim, answer, number, null, chapter."""
    shown = pd.DataFrame({
        "claim": claims["claim"], "answer": "**" + claims["answer"] + "**",
        "found": claims["found"], "null model": claims["null"],
        "chapter": [f"[{name[:2]}]({name}.ipynb)" for name in claims["chapter"]],
    })  # fmt: skip
    return str(shown.to_markdown(index=False))


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
