"""The table of claims, the comparison with a null model, and what is said of choices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import labelled

from chapters import synthesis
from e3d.bde import references
from e3d.data.writing import write_dataset
from e3d.errors import E3DError

METRICS = {
    "bde.accuracy_de": {"value": 0.789, "low": 0.751, "high": 0.824, "n": 34},
    "gain": {"value": 0.2, "low": 0.1, "high": 0.3, "n": 34},
    "level": {"value": 3.0, "low": None, "high": None, "n": 1},
}
CLAIM = synthesis.Claim("A is so.", "so", "{bde.accuracy_de:.2f}", "{best} 0.8", "04_bde", "gain",
                        "{bde/accuracy}; {entropy/order}")  # fmt: skip
WORDS = synthesis.verdict_texts({"bde": {"accuracy": "no"}, "entropy": {"order": "less"}})
#: Reactions with Dₑ of 100 and 110 kcal/mol; the null is off by 4 in both.
ROWS = pd.DataFrame({
    "smiles": ["C", "CC"], references.KINDS["De"]: [100.0, 110.0], "additive": [104.0, 106.0],
    "above": [110.0, 120.0], "below": [90.0, 100.0], "exact": [100.0, 110.0],
    "split": [100.0, 118.0],
})  # fmt: skip


def test_a_claim_quotes_verdicts_and_numbers_with_their_intervals() -> None:
    table = synthesis.claim_table({"Part": [CLAIM]}, METRICS, WORDS, best="pair")
    assert list(table.columns) == synthesis.COLUMNS
    row = table.iloc[0]
    assert row[["part", "answer", "found", "null", "verdict"]].tolist() == [
        "Part", "yes", "0.79\u00a0±\u00a00.04", "pair 0.8", "no; less",
    ]  # fmt: skip
    assert row[["ahead", "ahead low", "ahead high"]].tolist() == pytest.approx([2, 1, 3])
    text = synthesis.as_markdown(table)
    assert "**yes**" in text
    assert "[04](04_bde.ipynb)" in text


@pytest.mark.parametrize(
    ("holds", "limit", "answer", "ahead"),
    [("above", 0.0, "yes", 2), ("above", 0.25, "open", -0.5), ("above", 0.5, "no", -3),
     ("below", 0.5, "yes", 3), ("below", 0.0, "no", -2)],
)  # fmt: skip
def test_the_interval_decides_a_claim(holds: str, limit: float, answer: str, ahead: float) -> None:
    claim = CLAIM._replace(holds=holds, limit=limit)
    row = synthesis.claim_table({"": [claim]}, METRICS, WORDS, best="").iloc[0]
    assert row["answer"] == answer
    assert row["ahead"] == pytest.approx(ahead)
    assert row["ahead low"] < row["ahead"] < row["ahead high"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"verdict": "{bde/renamed}"}, r"no value for \{bde/renamed"),
     ({"decided_by": "renamed"}, "no metric 'renamed' decides the claim 'A is so.'"),
     ({"decided_by": "level"}, "level has no interval"),
     ({"holds": "beside"}, "not 'beside'")],
)  # fmt: skip
def test_a_claim_that_nothing_decides_is_an_error(change: dict[str, str], message: str) -> None:
    with pytest.raises(E3DError, match=message):
        synthesis.claim_table({"": [CLAIM._replace(**change)]}, METRICS, WORDS, best="")


def test_every_model_is_scored_by_itself() -> None:
    """Errors of opposite sign would cancel in a mean over models."""
    found = synthesis.against_null(ROWS, ["above", "below"], n_resamples=50)
    assert found["seeds"] == 2
    assert found["deviation"] == pytest.approx(10)
    assert found["value"] == pytest.approx(6)
    assert found["n"] == 2
    assert found["against additive"] == "worse"


@pytest.mark.parametrize(("model", "wording"), [("exact", "better"), ("split", "no difference")])
def test_the_wording_is_what_the_interval_supports(model: str, wording: str) -> None:
    found = synthesis.against_null(ROWS, [model], n_resamples=200)
    assert found["against additive"] == wording


def test_the_spread_between_seeds_widens_the_interval() -> None:
    alone = synthesis.against_null(ROWS, ["above"], n_resamples=50)
    assert (alone["low"], alone["high"]) == (6, 6), "the same in both molecules"
    together = synthesis.against_null(ROWS, ["above", "exact"], n_resamples=50)
    assert together["low"] < together["value"] < together["high"]
    assert together["against additive"] == "no difference"


def test_a_choice_matters_if_it_changes_the_word() -> None:
    same = pd.Series({"n100": "worse", "gauge": "worse"})
    assert synthesis.robustness_text(same) == (
        "no choice that was tried changes the verdict against the additive null"
    )
    mixed = pd.Series({"n100": "worse", "gauge": "no difference", "width-8": "worse"})
    assert synthesis.robustness_text(mixed) == (
        "the verdict against the additive null depends on the choice: "
        "no difference for gauge; worse for n100, width-8"
    )


def test_labels_are_counted_over_data_sets(tmp_path: Path) -> None:
    water, methane = labelled("O"), labelled("C")
    twice = replace(
        methane, positions=np.repeat(methane.positions, 2, axis=0), energies=np.zeros(2),
        forces=np.repeat(methane.forces, 2, axis=0), formation_energies=np.zeros(2),
        temperatures=np.array([0, 300]),
    )  # fmt: skip
    paths = [tmp_path / "water.h5", tmp_path / "both.h5"]
    for path, molecules in zip(paths, ([water], [water, twice]), strict=True):
        write_dataset(path, molecules, level_of_theory="none", provenance="a test",
                      atomic_energies={"H": 0.0, "C": 0.0, "O": 0.0})  # fmt: skip
    assert synthesis.label_counts(paths) == (3, 4)
