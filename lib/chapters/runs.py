"""Many models on one bench: errors on molecules that none of them saw, and their bond energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms

from e3d.bde.references import Source, bare_tautology
from e3d.chemistry import bonding
from e3d.chemistry.bonding import canonical_smiles, elements_of
from e3d.data.dataset import Molecule, read_molecules
from e3d.data.split import fold
from e3d.decomposition import tables
from e3d.models.allegro import Model, load_model, read_metadata, untrained
from e3d.parallel import map_ordered
from e3d.statistics import beyond_length, entropy, grouping, information
from e3d.training.evaluation import predict
from e3d.units import KCAL_PER_MOL_PER_EV

#: Models that a process measures at a time, so that their molecules are prepared once.
CHUNK = 6
#: Order information: bins of equal mass per element pair, permutations that chance is read from.
N_BINS, N_PERMUTATIONS = 16, 20
#: Bins of the entropy, in eV.
BIN_WIDTH = 0.1


@dataclass(frozen=True)
class Bench:
    """What every model is measured on.

    dataset: labels in the SPICE schema; of its test fold, one conformation of each of `n_test`
    molecules drawn with `seed` (0: of all) gives the errors. Bond energies are read at the relaxed
    geometries of the whole test fold, and of the molecules `parents` (SMILES) of any fold.
    """

    dataset: str
    n_test: int = 0
    parents: tuple[str, ...] = ()
    seed: int = 0


class Measured(NamedTuple):
    """errors: one row per test conformation (molecule, smiles), columns `energy:<run>` (meV/atom)
    and `forces:<run>` (meV/Å, mean over components), both absolute; bonds: a bond table as of
    `tables.edge_tables`; knowledge: as of `knowledge`, one row per run."""

    errors: pd.DataFrame
    bonds: pd.DataFrame
    order_information_table: pd.DataFrame


class _Material(NamedTuple):
    molecules: list[Molecule]
    tests: list[Molecule]


@lru_cache(maxsize=2)
def _material(bench: Bench) -> _Material:
    wanted = {canonical_smiles(smiles) for smiles in bench.parents}
    found, _ = read_molecules(bench.dataset)
    unseen = [m for m in found if fold(m.canonical_smiles) == "test"]
    rng = np.random.default_rng(bench.seed)
    chosen = sorted(rng.permutation(len(unseen))[: bench.n_test or len(unseen)])
    tests = [unseen[k].select(rng.integers(len(unseen[k]), size=1)) for k in chosen]
    held = {m.name for m in unseen}
    parents = [m for m in found if m.canonical_smiles in wanted and m.name not in held]
    return _Material(unseen + parents, tests)


def run_name(checkpoint: str | Path, step: int | None = None) -> str:
    """Name of a model: that of its folder, with `@<step>` for weights kept on the way.

    Step 0 stands for the random weights that its training began with.
    """
    return Path(checkpoint).name + ("" if step is None else f"@{step}")


def _measure(bench: Bench, runs: Sequence[tuple[str, int | None]]) -> Measured:
    material = _material(bench)
    frames = [Atoms(m.atomic_numbers, m.positions[0]) for m in material.tests]
    sizes = np.array([len(frame) for frame in frames])
    labels = np.array([m.energies[0] for m in material.tests])
    errors = pd.DataFrame({"molecule": [m.name for m in material.tests],
                           "smiles": [m.canonical_smiles for m in material.tests]})  # fmt: skip
    models = {}
    for checkpoint, step in runs:
        name = run_name(checkpoint, step)
        models[name] = model = _load(checkpoint, step)
        energies, forces = predict(model, frames)
        errors[f"energy:{name}"] = 1000 * np.abs(energies - labels) / sizes
        errors[f"forces:{name}"] = [
            1000 * np.abs(found - m.forces[0]).mean()
            for found, m in zip(forces, material.tests, strict=True)
        ]
    bonds = tables.bond_table(models, material.molecules)
    return Measured(errors, bonds, order_information_table(bonds, list(models)))


def _load(checkpoint: str, step: int | None) -> Model:
    if step != 0:
        return load_model(checkpoint, step=step, device="cpu")
    model = load_model(checkpoint, device="cpu")
    return untrained(model, seed=model.metadata["architecture"]["seed"])


def order_information_table(bonds: pd.DataFrame, runs: Sequence[str]) -> pd.DataFrame:
    """What each run's bond energies know, on the bonds of the test fold; index run.

    order_bits: I(ε; order | pair), adjusted for chance; beyond_length_bits: what a classifier of
    orders that is given the bond length gains from ε, on molecules that it was not fitted to;
    entropy_bits: Miller–Madow entropy of ε in bins of `BIN_WIDTH` eV. The row `length` has the
    order information of the bond length.
    """
    unseen = bonds[bonds["fold"] == "test"].reset_index(drop=True)
    unseen["pair"], unseen["order"] = bonding.pair_and_order(unseen["class"])
    columns = {run: [f"bare:{run}"] for run in runs} | {"length": ["length_A"]}
    told = information.of_sources(
        unseen, columns, n_bins=N_BINS, n_permutations=N_PERMUTATIONS, n_resamples=2
    )
    weights = grouping.bond_weights(unseen["molecule"])
    energies = {run: columns[run] for run in runs}
    _, gains = beyond_length.gains_over_length(unseen, energies)
    rows = {"length": {"order_bits": told["length"].value}}
    for run in runs:
        found = entropy.binned_entropy(
            unseen[f"bare:{run}"], unseen["molecule"], BIN_WIDTH, n_resamples=2
        )
        rows[run] = {
            "order_bits": told[run].value,
            "beyond_length_bits": float(np.average(gains[run], weights=weights)),
            "entropy_bits": found["miller_madow"]["value"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


def reaction_bdes(
    bonds: pd.DataFrame, reactions: pd.DataFrame, runs: Sequence[str]
) -> pd.DataFrame:
    """Emergent BDE of each reaction by each run, kcal/mol: the median over equivalent bonds.

    reactions as of `references.reaction_table`. One row per reaction whose parent is among the
    bonds and has more than two atoms, columns of `reactions` and one per run.
    """
    elements = frozenset(symbol for name in bonds["class"].unique() for symbol in elements_of(name))
    source = Source("bench", bonds, elements, headline=True)
    columns = [f"bare:{run}" for run in runs]
    rows = []
    for reaction in reactions.to_dict("records"):
        found = source.bonds(reaction["smiles"], reaction["class"])
        if len(found) and not bare_tautology(reaction["smiles"]):
            energies = -KCAL_PER_MOL_PER_EV * found[columns].median()
            rows.append(reaction | dict(zip(runs, energies, strict=True)))
    return pd.DataFrame(rows)


def measure(
    runs: Sequence[tuple[str, int | None]],
    bench: Bench,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> Measured:
    """Measure models, given as (checkpoint folder, step or None), on a bench.

    Raises E3DError as `load_model` and `edge_tables` do.
    """
    chunks = [runs[k : k + CHUNK] for k in range(0, len(runs), CHUNK)]
    parts = map_ordered(
        partial(_measure, bench), chunks, unit="chunk", n_workers=n_workers, progress=progress
    )
    errors, bonds, known = zip(*parts, strict=True)
    told = pd.concat(known)
    return Measured(
        _side_by_side(errors), _side_by_side(bonds), told[~told.index.duplicated(keep="last")]
    )


def _side_by_side(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same rows: what they share once, then the columns of each run."""
    shared = [column for column in parts[0] if ":" not in column]
    return pd.concat([parts[0][shared], *(part.drop(columns=shared) for part in parts)], axis=1)


def settings_table(checkpoints: Sequence[str | Path]) -> pd.DataFrame:
    """One row per checkpoint folder: its training settings, what it cost, its number of weights."""
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


def _n_weights(checkpoint: Path) -> int:
    module = load_model(checkpoint, device="cpu").module
    return sum(weights.numel() for weights in module.parameters())
