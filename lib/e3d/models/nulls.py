"""The null models that every claim is compared with: their fit to one set of labels, their files.

`additive` assigns one energy to every bond class (`e3d.models.additive`), `pair` is the best sum of
pair potentials (`e3d.models.pair`), `untrained` the edge energies of a network with random weights
times one factor. A fourth null, `shuffled`, is a network trained on permuted labels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from e3d import files
from e3d.chemistry.bonding import elements_of
from e3d.data.molecule import Molecule
from e3d.data.split import select
from e3d.models.additive import Additive, fit_additive, scale_factor
from e3d.models.fitted import read_fitted
from e3d.models.pair import PairPotential, fit_pair
from e3d.units import KCAL_PER_MOL_PER_EV


class FittedNulls(NamedTuple):
    """The nulls of one set of labels.

    untrained: scale factor by name of the untrained run; atomic_energies: μ in eV by element
    symbol, the zero of the binding energies that `additive` and `pair` were fitted to.
    """

    additive: Additive
    pair: PairPotential
    untrained: dict[str, float]
    atomic_energies: dict[str, float]


def fit_nulls(
    molecules: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    knots: np.ndarray,
    energy_weight: float,
    penalties: Sequence[float],
) -> FittedNulls:
    """Fit `additive` and `pair` to the labels of the training fold; no network is needed.

    atomic_energies: μ in eV by element symbol; the rest as for `fit_pair`. Raises E3DError as
    `fit_additive` and `fit_pair` do.
    """
    training = list(select(molecules, "train"))
    validation = list(select(molecules, "validation"))
    return FittedNulls(
        fit_additive(training, atomic_energies),
        fit_pair(training, validation, atomic_energies,
                 knots=knots, energy_weight=energy_weight, penalties=penalties),
        {},
        dict(atomic_energies),
    )  # fmt: skip


def scale_factors(sums: pd.DataFrame) -> dict[str, float]:
    """Factor of each untrained network that fits its Σε to the labels of the training fold.

    sums: rows of the molecule table of one data set, with columns run, fold, label_eV (binding
    energy) and model_eV (Σε). Raises E3DError as `scale_factor` does.
    """
    seen = sums[(sums["fold"] == "train") & sums["run"].str.startswith("untrained-")]
    return {
        str(run): scale_factor(rows["label_eV"].to_numpy(), rows["model_eV"].to_numpy())
        for run, rows in seen.groupby("run")
    }


def pair_energies(table: pd.DataFrame, pair: PairPotential) -> np.ndarray:
    """ε_ij = φ_ab(r_ij) in eV, negative when bound, of every bond of a bond table."""
    energies = pd.Series(np.nan, index=table.index)
    for name, bonds in table.groupby("class"):
        energies[bonds.index] = pair(*elements_of(str(name)), bonds["length_A"].to_numpy(float))
    return energies.to_numpy()


def pair_bdes(table: pd.DataFrame, pair: PairPotential) -> np.ndarray:
    """−ε_ij of the pair null in kcal/mol, positive when bound, of every bond of a bond table."""
    return pair_energies(table, pair) * -KCAL_PER_MOL_PER_EV


def write_nulls(folder: str | Path, nulls: FittedNulls) -> None:
    """Write `additive.json`, `pair.json` and `atomic_energies.json` to a folder.

    Energies in eV, knots in Å, in full precision: `read_nulls` returns the same numbers.
    """
    additive, pair = nulls.additive, nulls.pair
    contents = {
        "additive": {
            "energies_eV": _nan_as_none(additive.energies), "std_eV": _nan_as_none(additive.std),
            "n_molecules": additive.n_molecules, "rmse_eV_per_bond": additive.rmse,
        },
        "pair": {
            "knots_A": pair.knots.tolist(), "penalty": pair.penalty,
            "coefficients_eV": {"-".join(k): c.tolist() for k, c in pair.coefficients.items()},
        },
        "atomic_energies": nulls.atomic_energies,
    }  # fmt: skip
    for name, content in contents.items():
        _write(Path(folder) / f"{name}.json", content)


def write_scale_factors(folder: str | Path, factors: Mapping[str, float]) -> None:
    """Write `untrained.json` beside what `write_nulls` writes."""
    _write(Path(folder) / "untrained.json", factors)


def _write(path: Path, content: Any) -> None:
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def _nan_as_none(energies: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in energies.items()}


def read_nulls(folder: str | Path) -> FittedNulls:
    """The nulls that `write_nulls` and `write_scale_factors` have written, number for number.

    Raises E3DError when a file is missing or damaged.
    """
    folder = Path(folder)
    return FittedNulls(
        read_additive(folder / "additive.json"),
        read_pair(folder / "pair.json"),
        read_fitted(folder / "untrained.json", _numbers, stage="nulls"),
        read_fitted(folder / "atomic_energies.json", _numbers, stage="nulls"),
    )


def read_additive(path: str | Path) -> Additive:
    """The additive null alone, from its `additive.json`. Raises E3DError as `read_nulls` does."""
    return read_fitted(Path(path), _additive, stage="nulls")


def read_pair(path: str | Path) -> PairPotential:
    """The pair null alone, from its `pair.json`. Raises E3DError as `read_nulls` does."""
    return read_fitted(Path(path), _pair, stage="nulls")


def _numbers(content: Any) -> dict[str, float]:
    numbers = {str(name): float(value) for name, value in content.items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a number is not finite")
    return numbers


def _additive(content: Any) -> Additive:
    energies, std = (
        {str(name): math.nan if value is None else float(value) for name, value in part.items()}
        for part in (content["energies_eV"], content["std_eV"])
    )
    counts = {str(name): int(count) for name, count in content["n_molecules"].items()}
    if not energies.keys() == std.keys() == counts.keys():
        raise ValueError("energies, errors and numbers of molecules differ in their classes")
    return Additive(energies, std, counts, float(content["rmse_eV_per_bond"]))


def _pair(content: Any) -> PairPotential:
    knots = np.array(content["knots_A"], dtype=float)
    coefficients = {}
    for name, values in content["coefficients_eV"].items():
        first, second = name.split("-")
        coefficients[first, second] = np.array(values, dtype=float)
    if knots.ndim != 1 or not (np.diff(knots) > 0).all():
        raise ValueError("the knots do not increase")
    for pair, values in coefficients.items():
        if values.shape != (len(knots) - 1,) or not np.isfinite(values).all():
            raise ValueError(f"expected {len(knots) - 1} finite coefficients of {'-'.join(pair)}")
    return PairPotential(knots, coefficients, float(content["penalty"]))
