"""One benchmark for many models: errors on held-out molecules, and bond energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms

from e3d.bde.references import Source, bare_tautology
from e3d.chemistry import bonding
from e3d.chemistry.bonding import canonical_smiles, elements_of
from e3d.data.dataset import read_molecules
from e3d.data.molecule import Molecule
from e3d.data.split import fold
from e3d.decomposition import tables
from e3d.models.allegro import Model, load_model, untrained
from e3d.parallel import map_ordered
from e3d.statistics import beyond_length, entropy, grouping, information
from e3d.training.evaluation import predict
from e3d.units import KCAL_PER_MOL_PER_EV

#: Models that a process evaluates at a time, so that their molecules are prepared once.
CHUNK = 6
#: Order information: bins of equal mass per element pair, and permutations of its null.
N_BINS, N_PERMUTATIONS = 16, 20
#: Bin width of the entropy, in eV.
BIN_WIDTH = 0.1


@dataclass(frozen=True)
class Benchmark:
    """What every model is evaluated on.

    dataset: labels in the SPICE schema. Errors are of one conformation of each of `n_test`
    molecules of the test fold, drawn with `seed` (0: of all); bond energies are those of the
    relaxed geometries of the whole test fold, and of the molecules `parents` (SMILES) of any fold.
    """

    dataset: str
    n_test: int = 0
    parents: tuple[str, ...] = ()
    seed: int = 0


class Measured(NamedTuple):
    """Results of models on a benchmark.

    errors: one row per test conformation (molecule, smiles), absolute errors `energy:<run>`
    (meV/atom) and `forces:<run>` (meV/Å, mean over components); bonds: a bond table as of
    `tables.edge_tables`; information: as of `order_information_table`, one row per run.
    """

    errors: pd.DataFrame
    bonds: pd.DataFrame
    information: pd.DataFrame


class _TestMolecules(NamedTuple):
    """Molecules that bond energies are read from; those, one conformation each, for errors."""

    of_bonds: list[Molecule]
    of_errors: list[Molecule]


@lru_cache(maxsize=2)
def _test_molecules(benchmark: Benchmark) -> _TestMolecules:
    wanted = {canonical_smiles(smiles) for smiles in benchmark.parents}
    found, _ = read_molecules(benchmark.dataset)
    unseen = [m for m in found if fold(m.canonical_smiles) == "test"]
    rng = np.random.default_rng(benchmark.seed)
    chosen = sorted(rng.permutation(len(unseen))[: benchmark.n_test or len(unseen)])
    tests = [unseen[k].select(rng.integers(len(unseen[k]), size=1)) for k in chosen]
    held = {m.name for m in unseen}
    parents = [m for m in found if m.canonical_smiles in wanted and m.name not in held]
    return _TestMolecules(unseen + parents, tests)


def run_name(checkpoint: str | Path, step: int | None = None) -> str:
    """Name of a model: that of its folder, with `@<step>` for weights kept during training.

    Step 0 are the random weights that its training began with.
    """
    return Path(checkpoint).name + ("" if step is None else f"@{step}")


def _measure(benchmark: Benchmark, runs: Sequence[tuple[str, int | None]]) -> Measured:
    molecules, tests = _test_molecules(benchmark)
    frames = [Atoms(m.atomic_numbers, m.positions[0]) for m in tests]
    sizes = np.array([len(frame) for frame in frames])
    labels = np.array([m.energies[0] for m in tests])
    errors = pd.DataFrame({"molecule": [m.name for m in tests],
                           "smiles": [m.canonical_smiles for m in tests]})  # fmt: skip
    models = {}
    for checkpoint, step in runs:
        name = run_name(checkpoint, step)
        models[name] = model = _load(checkpoint, step)
        energies, forces = predict(model, frames)
        errors[f"energy:{name}"] = 1000 * np.abs(energies - labels) / sizes
        errors[f"forces:{name}"] = [
            1000 * np.abs(found - m.forces[0]).mean()
            for found, m in zip(forces, tests, strict=True)
        ]
    bonds = tables.bond_table(models, molecules)
    return Measured(errors, bonds, order_information_table(bonds, list(models)))


def _load(checkpoint: str, step: int | None) -> Model:
    if step != 0:
        return load_model(checkpoint, step=step, device="cpu")
    model = load_model(checkpoint, device="cpu")
    return untrained(model, seed=model.metadata["architecture"]["seed"])


def order_information_table(bonds: pd.DataFrame, runs: Sequence[str]) -> pd.DataFrame:
    """Information of each run's bond energies about bond orders, on the test fold; index run.

    order_bits: I(ε; order | pair), adjusted for chance; beyond_length_bits: gain of a classifier of
    orders from ε in addition to the bond length, cross-validated over molecules; entropy_bits:
    Miller–Madow entropy of ε in bins of `BIN_WIDTH` eV. The row `length` has the order information
    of the bond length. All in bits.
    """
    unseen = bonds[bonds["fold"] == "test"].reset_index(drop=True)
    unseen["pair"], unseen["order"] = bonding.pair_and_order(unseen["class"])
    columns = {run: [f"bare:{run}"] for run in runs} | {"length": ["length_A"]}
    found = information.of_sources(
        unseen, columns, n_bins=N_BINS, n_permutations=N_PERMUTATIONS, n_resamples=2
    )
    weights = grouping.bond_weights(unseen["molecule"])
    energies = {run: columns[run] for run in runs}
    _, gains = beyond_length.gains_over_length(unseen, energies)
    rows = {"length": {"order_bits": found["length"].value}}
    for run in runs:
        entropies = entropy.binned_entropy(
            unseen[f"bare:{run}"], unseen["molecule"], BIN_WIDTH, n_resamples=2
        )
        rows[run] = {
            "order_bits": found[run].value,
            "beyond_length_bits": float(np.average(gains[run], weights=weights)),
            "entropy_bits": entropies["miller_madow"]["value"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


def reaction_bdes(
    bonds: pd.DataFrame, reactions: pd.DataFrame, runs: Sequence[str]
) -> pd.DataFrame:
    """Emergent BDE (−ε, kcal/mol) of each reaction by each run, the median over equivalent bonds.

    reactions as of `references.reaction_table`. One row per reaction whose parent is among the
    bonds and has more than two atoms, columns of `reactions` and one per run.
    """
    elements = frozenset(symbol for name in bonds["class"].unique() for symbol in elements_of(name))
    source = Source("benchmark", bonds, elements, headline=True)
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
    benchmark: Benchmark,
    *,
    n_workers: int | None = None,
    progress: bool = True,
) -> Measured:
    """Evaluate models, given as (checkpoint folder, step or None), on a benchmark.

    Raises E3DError as `load_model` and `edge_tables` do.
    """
    chunks = [runs[k : k + CHUNK] for k in range(0, len(runs), CHUNK)]
    parts = map_ordered(
        partial(_measure, benchmark), chunks, unit="chunk", n_workers=n_workers, progress=progress
    )
    errors, bonds, informations = zip(*parts, strict=True)
    every = pd.concat(informations)  # each with a row of the length
    return Measured(
        _side_by_side(errors), _side_by_side(bonds), every[~every.index.duplicated(keep="last")]
    )


def _side_by_side(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same rows joined: common columns once, then the columns of each run."""
    shared = [column for column in parts[0] if ":" not in column]
    return pd.concat([parts[0][shared], *(part.drop(columns=shared) for part in parts)], axis=1)
