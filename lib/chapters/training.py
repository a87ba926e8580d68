"""How well the trained models predict, what their training depended on, what more data would bring.

A run is a checkpoint folder; its kind is its name without the seed, `finetuned` of `finetuned-s0`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import yaml

from e3d.data.split import HeldOut
from e3d.decomposition.maps import ensemble_of
from e3d.statistics import power_laws
from e3d.training import evaluation

#: Settings that the trials vary, one at a time.
FACTORS = (
    "optimizer", "learning_rate", "energy_weight", "batch_size", "steps", "n_scalar_features",
    "n_tensor_features", "l_max", "n_layers", "cutoff_A",
)  # fmt: skip
#: Validation errors in a history (eV/atom and eV/Å) and their headings in thousandths of that unit.
VALIDATION = {
    "conformations_energy_mae": "conformations meV/atom",
    "conformations_forces_mae": "conformations meV/Å",
    "molecules_energy_mae": "molecules meV/atom",
    "molecules_forces_mae": "molecules meV/Å",
}
#: A factor of more data beyond which a power law says nothing.
FAR = 1e4
#: Errors per conformation by run and kind of held-out conformations, see `evaluation.residuals`.
Residuals: TypeAlias = Mapping[tuple[str, HeldOut], pd.DataFrame]


class Run(NamedTuple):
    """Settings of a training, and its history with one row per validation."""

    settings: dict[str, Any]
    history: pd.DataFrame


class Growth(NamedTuple):
    """Runs that differ in the amount of one thing: `more` of it, in the order of `sizes`.

    kind: of the runs, as in the aims.
    """

    more: str
    kind: str
    runs: list[str]
    sizes: list[int]


def read_run(folder: str | Path) -> Run:
    """The training of a checkpoint folder."""
    settings = yaml.safe_load((Path(folder) / "model.yaml").read_text())["training"]
    return Run(settings, pd.read_csv(Path(folder) / "history.csv"))


def validation_curves(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Validation errors along training: kind, run, step, and `VALIDATION` in meV/atom and meV/Å."""
    curves = pd.concat(
        [r.history.dropna().assign(run=name, kind=ensemble_of(name)) for name, r in runs.items()],
        ignore_index=True,
    )[["kind", "run", "step", *VALIDATION]]
    curves[list(VALIDATION)] *= 1000
    return curves


def tuning_table(trials: Sequence[Run]) -> pd.DataFrame:
    """Validation errors at the end of each trial, by how its settings differ from the first one.

    Index: the changed `FACTORS` with their values, `base` for the first. Columns: the headings of
    `VALIDATION`, in meV/atom and meV/Å.
    """
    base = trials[0].settings
    changed = [
        ", ".join(f"{key} {run.settings[key]}" for key in FACTORS if run.settings[key] != base[key])
        for run in trials
    ]
    last = [1000 * run.history[list(VALIDATION)].dropna().iloc[-1] for run in trials]
    index = pd.Index([name or "base" for name in changed], name="trial")
    return pd.DataFrame(last).rename(columns=VALIDATION).set_axis(index, axis=0)


def error_table(residuals: Residuals, runs: Mapping[str, Run]) -> pd.DataFrame:
    """Mean absolute test errors with intervals over molecules, a row per run, test set and error.

    Columns: run, kind, dataset (names of the files that it was trained on), held_out, error (a key
    of `evaluation.ERRORS`), value, low, high, n (conformations), n_molecules.
    """
    rows = []
    for (name, held_out), table in residuals.items():
        settings = runs[name].settings
        paths = [settings["dataset"], *settings.get("more_datasets", [])]
        identity = {
            "run": name,
            "kind": ensemble_of(name),
            "dataset": " + ".join(Path(path).stem for path in paths),
            "held_out": held_out,
        }
        rows += [
            {**identity, "error": error, **found, "n_molecules": table["molecule"].nunique()}
            for error, found in evaluation.errors(table).items()
        ]
    return pd.DataFrame(rows)


def errors_by_molecule(residuals: Residuals, runs: Sequence[str]) -> pd.Series:
    """Mean absolute energy error of held-out molecules in meV/atom, over conformations and runs."""
    tables = pd.concat([residuals[run, "molecules"] for run in runs])
    return tables.groupby("molecule")["energy_mae_meV_per_atom"].mean()


def growth_table(growths: Sequence[Growth], residuals: Residuals) -> pd.DataFrame:
    """Test errors against the amount of data or steps, with the exponent of error ∝ size⁻ˣ.

    Columns: more, held_out, unit, n (the size), error, kind, exponent_value, exponent_low,
    exponent_high; x is positive where errors fall, its interval is over test molecules.
    """
    rows = []
    for growth in growths:
        for held_out in ("conformations", "molecules"):
            tables = [residuals[run, held_out] for run in growth.runs]
            for error, unit in evaluation.ERRORS.items():
                found = np.stack([table[error] for table in tables], axis=1)
                exponent = power_laws.power_law(
                    found[..., None], growth.sizes, tables[0]["molecule"]
                )
                law = {
                    "exponent_value": exponent["value"],
                    "exponent_low": exponent["low"],
                    "exponent_high": exponent["high"],
                }
                rows += [
                    {"more": growth.more, "held_out": held_out, "unit": unit, "n": n,
                     "error": value, "kind": growth.kind, **law}
                    for n, value in zip(growth.sizes, found.mean(axis=0), strict=True)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def against_aims(
    means: Mapping[tuple[str, str, str], float],
    aims: Mapping[str, Sequence[float | int | None]],
    growth: pd.DataFrame,
) -> pd.DataFrame:
    """Whether each aim is met, and how much more data would meet it.

    means: mean error over seeds by kind, held_out and error; aims: by `<kind> <held_out>`, a limit
    for each of `evaluation.ERRORS`, None for no aim; growth: as of `growth_table`. Columns: test,
    aim, reached, met (yes or no), needed (see `more_needed`).
    """
    rows = []
    for name, limits in aims.items():
        kind, held_out = name.split()
        for (error, unit), limit in zip(evaluation.ERRORS.items(), limits, strict=True):
            if limit is None:
                continue
            value = means[kind, held_out, error]
            reached = round(value, 1)
            row = {"test": f"{name}, {unit}", "aim": limit, "reached": reached}
            if value <= limit:
                rows.append(row | {"met": "yes", "needed": "met"})
                continue
            law = growth.query("kind == @kind and held_out == @held_out and unit == @unit").iloc[-1]
            needed = more_needed(
                reached / limit, law["exponent_low"], law["exponent_high"], law["more"]
            )
            rows.append(row | {"met": "no", "needed": needed})
    return pd.DataFrame(rows)


def more_needed(excess: float, low: float, high: float, more: str) -> str:
    """By which factor to grow what `more` names, to lower an error ∝ size⁻ˣ by `excess` > 1.

    low, high: the interval of x. "At least" a factor where x may be so small that more than `FAR`
    times as much were needed; "no gain seen" where even the largest x asks for that.
    """
    best = excess ** (1 / high) if high > 0 else np.inf
    worst = excess ** (1 / low) if low > 0 else np.inf
    if best > FAR:
        return "no gain seen"
    much = f"{best:.1f} to {worst:.1f}" if worst <= FAR else f"at least {best:.0f}"
    return f"{much} × the {more}"
