"""The table of the study: its checkpoint folders, their settings and cost, their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chapters.runs import Measured
from e3d.bde.references import KINDS
from e3d.errors import E3DError
from e3d.models.allegro import load_model
from e3d.models.checkpoint import read_metadata
from e3d.statistics import ranks

#: Settings of a run, and what it cost, that the table of the study repeats.
SETTINGS = ["family", "seed", "n_conformations", "per_molecule", "cutoff_A", "l_max",
            "n_scalar_features", "trainable_shifts", "n_weights", "cpu_seconds"]  # fmt: skip


def family_and_seed(run: str) -> tuple[str, int]:
    """What runs that differ in nothing but the seed have in common, and that seed.

    `n10000` and 12 of `n10000-s12`; a name without seed is a family by itself, of seed 0.
    """
    family, found, seed = run.rpartition("-s")
    return (family, int(seed)) if found and seed.isdigit() else (run, 0)


def checkpoint_folders(parents: Iterable[str | Path]) -> dict[str, Path]:
    """Checkpoint folders inside of several folders by name, sorted by family and seed.

    So the first runs of a family are those of its first seeds, wherever they lie. Raises E3DError
    where two have the same name: tables know runs by their names alone.
    """
    found: dict[str, Path] = {}
    for folder in (path.parent for parent in parents for path in Path(parent).glob("*/model.yaml")):
        if folder.name in found:
            raise E3DError(
                f"two runs are called {folder.name}: {found[folder.name]} and {folder}; "
                "rename one of them"
            )
        found[folder.name] = folder
    return {name: found[name] for name in sorted(found, key=family_and_seed)}


def settings_table(checkpoints: Sequence[str | Path]) -> pd.DataFrame:
    """One row per checkpoint folder: settings and cost of its training, number of its weights."""
    rows: list[Mapping[str, Any]] = []
    for checkpoint in map(Path, checkpoints):
        metadata = read_metadata(checkpoint)
        rows.append(
            {"run": checkpoint.name}
            | metadata["training"]
            | metadata.get("cost", {})
            | {"n_weights": _n_weights(checkpoint)}
        )
    return pd.DataFrame(rows).set_index("run")


def study_table(
    models: Mapping[str, tuple[str, int | None]],
    measured: Measured,
    reactions: pd.DataFrame,
    settings: pd.DataFrame,
) -> pd.DataFrame:
    """One row per model, index model: its run and step, results on the benchmark, and `SETTINGS`.

    models: (checkpoint folder, step or None) by name; reactions: as of `reaction_bdes`, all with a
    D_e; settings: as of `settings_table`, with a family. Mean absolute errors; of emergent BDEs in
    kcal/mol the mean absolute and the mean signed deviation (BDE − D_e), Spearman's rank
    correlation, and the slope of least squares against D_e; information in bits. A model without
    step stands at the last of its run.
    """
    names, reference = list(models), reactions[KINDS["De"]]
    runs = pd.Series([name.partition("@")[0] for name in names], index=names)
    steps = pd.Series([step for _, step in models.values()], index=names, dtype="Int64")
    deviation = reactions[names].sub(reference, axis=0)
    means = measured.errors.filter(regex="^(energy|forces):").mean()
    table = pd.DataFrame({
        "run": runs,
        "step": steps.fillna(runs.map(settings["steps"])).astype(int),
        "energy_mae_meV_per_atom": [means[f"energy:{name}"] for name in names],
        "forces_mae_meV_per_A": [means[f"forces:{name}"] for name in names],
        "bde_mae_kcal_per_mol": deviation.abs().mean(),
        "bde_deviation_kcal_per_mol": deviation.mean(),
        "bde_spearman": [ranks.spearman(reactions[name], reference) for name in names],
        "bde_slope": [np.polyfit(reference, reactions[name], 1)[0] for name in names],
    })  # fmt: skip
    table = table.join(measured.information).join(settings[SETTINGS], on="run")
    return table.rename_axis("model")


def _n_weights(checkpoint: Path) -> int:
    module = load_model(checkpoint, device="cpu").module
    return sum(weights.numel() for weights in module.parameters())
