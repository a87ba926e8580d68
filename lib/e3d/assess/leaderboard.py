"""One table of many models: a row for each model, and for each null model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from e3d.assess.assessment import assess
from e3d.assess.cache import FOLDER
from e3d.assess.standard import Standard

#: Columns: name → test, quantity, kind of energy.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "accuracy_de": ("reference reactions", "accuracy", "bare"),
    "accuracy_de_dressed": ("reference reactions", "accuracy", "dressed"),
    "fragment_mae_kcal_per_mol": ("fragment BDEs", "mean absolute deviation", "bare"),
    "within_class_spearman": ("fragment BDEs", "rank correlation within classes", "bare"),
    "vertical_accuracy_across": ("vertical dissociation", "accuracy", "across the cut"),
    "atomisation_mae_kcal_per_mol": (
        "atomisation energies, held-out molecules", "mean absolute deviation", "zero of its own",
    ),
    "force_mae_meV_per_A": (
        "conformations of held-out molecules", "mean absolute force error", "",
    ),
    "excess_kcal_per_mol": (
        "excess over the bound", "mean absolute deviation less bound", "bare",
    ),
    "excess_dressed_kcal_per_mol": (
        "excess over the bound", "mean absolute deviation less bound", "dressed",
    ),
    "entropy_bits": ("distribution of ε", "entropy H(ε), bins of 0.1 eV", "bare"),
    "order_bits": ("distribution of ε", "information about the bond order", "bare"),
    "off_bonds_percent": ("distribution of ε", "share of the binding energy off bonds", "bare"),
    "icc": ("agreement of seeds", "intraclass correlation within classes", "bare"),
}  # fmt: skip


def leaderboard(
    models: Mapping[str, Sequence[str | Path]],
    *,
    cache: str | Path = FOLDER,
    standard: Standard | None = None,
    n_resamples: int = 500,
    trust: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """One row per model and null model, the most accurate against D_e first.

    models: name → checkpoints of its seeds, each model assessed by itself, on all molecules that it
    knows; null models are those of the first model, whose elements they share. Columns: model,
    null, n_seeds, `COLUMNS`, of each also `<column>_n`, the number of rows, and `<column>_low` and
    `<column>_high`, its 95 % interval. Raises E3DError as `assess` does.
    """
    rows: list[dict[str, Any]] = []
    for k, (name, paths) in enumerate(models.items()):
        report = assess(paths, cache=cache, standard=standard, n_resamples=n_resamples,
                        trust=trust, progress=progress).report  # fmt: skip
        own = [model["name"] for model in report["models"]]
        rows += [
            {"model": name if len(own) == 1 else f"{name}: {member}", "null": False,
             "n_seeds": len(model["paths"])} | row_of(report, member)
            for member, model in zip(own, report["models"], strict=True)
        ]  # fmt: skip
        if k == 0:
            present = {source for test in report["tests"] for source in test["values"]}
            rows += [
                {"model": null, "null": True, "n_seeds": 0} | row_of(report, null)
                for null in sorted(present - set(own))
            ]
    table = pd.DataFrame(rows)
    return table.sort_values("accuracy_de", ascending=False, ignore_index=True, na_position="last")


def row_of(report: Mapping[str, Any], source: str) -> dict[str, float | int | None]:
    """The `COLUMNS` of one source of a report; None where it has no value."""
    found = {
        (test["test"], test["quantity"], test["kind"]): test["values"].get(source)
        for test in report["tests"]
    }
    row: dict[str, float | int | None] = {}
    for column, key in COLUMNS.items():
        value = found.get(key)
        row[column] = value["value"] if value else None
        row[f"{column}_n"] = value["n"] if value else 0
        row[f"{column}_low"], row[f"{column}_high"] = (
            (value["low"], value["high"]) if value else (None, None)
        )
    return row
