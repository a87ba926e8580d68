"""How far edge energies are from known bond dissociation energies, told with every molecule.

One small file, made from the tables of the chapters, holds what `e3d bonds` says of the shipped
ensemble beside its numbers: error and slope on the project's own tests, the values of each bond
class, and reference values of single bonds. Energies in kcal/mol, positive for a bound pair.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.bde.known import COLUMNS, ranks_of_bonds
from e3d.bde.references import KINDS, class_bonds
from e3d.bde.scores import MIN_MOLECULES, molecule_medians
from e3d.chemistry import bonding
from e3d.decomposition.latent import QUANTILE
from e3d.errors import E3DError
from e3d.statistics import intervals, rounding

#: The tests, by the kind of reference: how they are called.
LITERATURE, FRAGMENTS = "literature Dₑ", "fragment BDE by DFT"
#: Of fragment BDEs, the bonds that leave no radical of training.
UNSEEN = f"{FRAGMENTS}, neither radical trained on"
#: Recorded elsewhere, larger molecules.
BSE49 = "BSE49, larger molecules, geometries of its own"


def calibration(
    matched: pd.DataFrame,
    within: pd.DataFrame,
    bonds: pd.DataFrame,
    *,
    models: Mapping[str, str],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """What `results/calibration.json` holds, of the ensemble that the tables are about.

    matched: as of `references.matched_table`; within: smiles, class, fragments, emergent, dressed
    and fragment_bde_kcal_per_mol, one row per bond; bonds: as of `scores.score_bonds`; models:
    `fingerprint` of each model by its name, by which it is known again.

    `tests`: by test, of `bare` and `dressed`: bias (mean of value minus reference) and mean
    absolute error with intervals over molecules, slope of the value against the reference, and the
    mean absolute error after one linear calibration that leaves the molecule out; `classes`: the
    bias of each class with at least `MIN_MOLECULES` molecules. `classes`: sorted values of the
    molecules of a class. `references`: bonds with a known value.

    Raises E3DError for a table without a row to compare.
    """
    literature = matched[matched["headline"] & matched[KINDS["De"]].notna()].rename(
        columns={f"{name}_kcal_per_mol": name for name in COLUMNS.values()}
    )
    literature = literature.drop_duplicates(["smiles", "class"])
    options = {"n_resamples": n_resamples, "seed": seed}
    medians = molecule_medians(bonds, list(COLUMNS.values())).reset_index()
    return rounding.rounded({
        "models": dict(models),
        "tests": {
            LITERATURE: _test(literature, KINDS["De"], **options),
            FRAGMENTS: _test(within, "fragment_bde_kcal_per_mol", **options),
        },
        "classes": {
            name: {key: sorted(rows[column].tolist()) for key, column in COLUMNS.items()}
            for name, rows in medians.groupby("class")
        },
        "references": [*_literature(matched), *_fragments(within)],
    })  # fmt: skip


def _test(table: pd.DataFrame, reference: str, **options: Any) -> dict[str, Any]:
    """Errors of bare and dressed values against one column of reference values."""
    if table.empty:
        raise E3DError(f"no bond with {reference} to compare with; was the table filtered?")
    found: dict[str, Any] = {}
    known, molecules = table[reference].to_numpy(float), table["smiles"].to_numpy()
    for key, column in COLUMNS.items():
        values = table[column].to_numpy(float)
        errors = values - known
        found[key] = {
            "bias": intervals.estimate(errors, molecules, **options),
            "mae": intervals.estimate(np.abs(errors), molecules, **options),
            "slope": intervals.estimate(
                np.column_stack([known, values]), molecules, statistic=_slope, **options
            ),
            "mae_calibrated": float(np.abs(calibrated(values, known, molecules) - known).mean()),
            "classes": {
                name: {"bias": float(rows[column].sub(rows[reference]).mean()),
                       "mae": float(rows[column].sub(rows[reference]).abs().mean()),
                       "n_molecules": int(rows["smiles"].nunique())}
                for name, rows in table.groupby("class")
                if rows["smiles"].nunique() >= MIN_MOLECULES
            },
        }  # fmt: skip
    return found


def fragment_calibration(
    own: pd.DataFrame,
    further: Mapping[str, Mapping[str, Any]],
    *,
    models: Mapping[str, str],
    radicals: Collection[str],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """What `results/calibration.json` holds under `fragments`, of the models that break bonds.

    own: smiles, seen (whether a radical was trained on), and `value`, `spread` (over the models),
    `reference` and `null` in kcal/mol, one row per bond, values as `e3d bonds --fragments` gives
    them; further: tests recorded elsewhere, each with the intervals `mae` and `null_mae`; models:
    as of `calibration`; radicals: canonical SMILES of those trained on.

    `tests`: of all own bonds, bias, mean absolute error, slope and that of the null, `null_mae`; of
    those that leave no radical of training, without the slope; and the further ones.
    `spread_kcal_per_mol`: what `QUANTILE` of the own bonds stay below.

    Raises E3DError when there are no own bonds, or none of the second kind.
    """
    options: dict[str, Any] = {"n_resamples": n_resamples, "seed": seed}
    tests = {FRAGMENTS: _fragment_test(own, **options)}
    points = own[["reference", "value"]].to_numpy(float)
    slope = intervals.estimate(points, own["smiles"].to_numpy(), statistic=_slope, **options)
    tests[FRAGMENTS]["slope"] = slope
    tests[UNSEEN] = _fragment_test(own[~own["seen"]], **options)
    return rounding.rounded({
        "models": dict(models), "radicals": sorted(radicals),
        "spread_kcal_per_mol": float(np.quantile(own["spread"], QUANTILE)),
        "tests": tests | {name: dict(found) for name, found in further.items()},
    })  # fmt: skip


def _fragment_test(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    if table.empty:
        raise E3DError("no bond with a fragment BDE to compare with; was the table filtered?")
    molecules = table["smiles"].to_numpy()
    errors, of_null = table["value"] - table["reference"], table["null"] - table["reference"]
    return {
        name: intervals.estimate(values.to_numpy(float), molecules, **options)
        for name, values in (("bias", errors), ("mae", errors.abs()), ("null_mae", of_null.abs()))
    }


def _slope(rows: Float[np.ndarray, "n 2"]) -> float:
    """Slope of the second column against the first; NaN where the first does not vary."""
    if np.ptp(rows[:, 0]) == 0:
        return float("nan")
    return float(np.polyfit(rows[:, 0], rows[:, 1], 1)[0])


def calibrated(
    values: Float[np.ndarray, " n"], known: Float[np.ndarray, " n"], molecules: np.ndarray
) -> Float[np.ndarray, " n"]:
    """Values on the straight line that maps those of all other molecules to what is known."""
    result = np.empty(len(values))
    for name in np.unique(molecules):
        own = molecules == name
        result[own] = np.polyval(np.polyfit(values[~own], known[~own], 1), values[own])
    return result


def _literature(matched: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Literature values of bonds; classes with several kinds of bonds are left out."""
    columns = {column: kind for kind, column in KINDS.items() if kind in ("De", "BDE298")}
    for row in matched.to_dict("records"):
        values = {kind: row[c] for c, kind in columns.items() if not np.isnan(row[c])}
        ranks = class_bonds(row["smiles"], row["class"])
        if values and len(ranks) == 1:
            yield {"smiles": row["smiles"], "class": row["class"], "ranks": sorted(*ranks),
                   "of": row["reaction"], "values": values}  # fmt: skip


def _fragments(within: pd.DataFrame) -> Iterable[dict[str, Any]]:
    from e3d.labels.fragments import dissociations

    for (smiles, name), rows in within.groupby(["smiles", "class"]):
        ranks = ranks_of_bonds(bonding.parse_smiles(smiles))
        for bond in dissociations(smiles, [name]):
            parts = " + ".join(bond.fragments)
            for value in rows.loc[rows["fragments"] == parts, "fragment_bde_kcal_per_mol"]:
                yield {"smiles": smiles, "class": name,
                       "ranks": sorted(ranks[bond.i, bond.j]),
                       "of": f"{smiles} -> {parts}", "values": {"DFT": float(value)}}  # fmt: skip


def write(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a calibration as JSON, one line for each reference and class."""
    from e3d import files

    with files.replacing(path) as new:
        new.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
