"""When does a bond break? The edge energy as an order parameter beside bond length and bond order.

Every measure is relative to the relaxed start of its trajectory. The criteria were declared in
advance. A bond is broken by its length when it is longer than `STRETCH` times the relaxed length,
by its edge energy when more than the fraction `GONE` of ε is lost, and by its bond order when the
Wiberg order is below `ORDER`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int

from chapters.dynamics.simulation import MAX_STRETCH
from chapters.dynamics.trajectories import Record
from e3d import parallel
from e3d.chemistry.bonding import bond_lengths
from e3d.decomposition.edges import bond_energies, decompose, pair_energies
from e3d.decomposition.tables import ModelSpec
from e3d.models.allegro import Model
from e3d.models.pair import PairPotential
from e3d.statistics.grouping import Groups

#: Threshold of each measure; `GONE` applies to the lost fraction of ε of any model.
STRETCH, GONE, ORDER = MAX_STRETCH, 0.5, 0.5


class Energies(NamedTuple):
    """Energies of a model along a trajectory of F frames.

    gone (F, n_bonds): lost fraction of the edge energy, 1 − ε/ε(start), 0 at the start and 1 once
    nothing is left; total (F,): total energy relative to the start, in eV.
    """

    gone: Float[np.ndarray, "n_frames n_bonds"]
    total: Float[np.ndarray, " n_frames"]


def edge_energies_along(model: Model, records: Sequence[Record]) -> list[Energies]:
    """Edge energies of the bonds of the start along every record."""
    parts = decompose(model, chain.from_iterable(record.structures() for record in records))
    found = []
    for record in records:
        frames = [next(parts) for _ in record.times]
        energies = np.array([bond_energies(frame, record.bonds) for frame in frames])
        total = np.array([frame.energy for frame in frames])
        found.append(Energies(1 - energies / energies[0], total - total[0]))
    return found


def edge_energies_by_model(
    specs: Mapping[str, ModelSpec], records: Sequence[Record], *, progress: bool = False
) -> dict[str, list[Energies]]:
    """`edge_energies_along` of several models, by the names of their runs, in parallel."""
    work = partial(_along_spec, records=list(records))
    found = parallel.map_ordered(work, list(specs.values()), unit="model", progress=progress)
    return dict(zip(specs, found, strict=True))


def _along_spec(spec: ModelSpec, records: Sequence[Record]) -> list[Energies]:
    return edge_energies_along(spec.load(), records)


def bound_pairs_along(
    model: Model, record: Record, *, below_eV: float | int
) -> tuple[Int[np.ndarray, "n_pairs 2"], Float[np.ndarray, "n_frames n_pairs"]]:
    """Pairs of atoms that are ever bound along a record, and their ε in eV.

    First the bonds of the start, then other pairs with ε below `below_eV` in any frame.
    """
    frames = list(decompose(model, record.structures()))
    paths = [pair_energies(frame) for frame in frames]
    bonds = [tuple(bond) for bond in record.bonds.tolist()]
    strong = {
        tuple(pair) for path in paths for pair in path.pairs[path.energies < below_eV].tolist()
    }
    pairs = np.array([*bonds, *sorted(strong - set(bonds))])
    return pairs, np.array([bond_energies(frame, pairs) for frame in frames])


def dense_from(record: Record) -> float:
    """Time in fs from which on every frame was stored; earlier ones are sparse."""
    gaps = np.diff(record.times)
    sparse = np.flatnonzero(gaps > 2 * gaps.min(initial=np.inf))
    return float(record.times[sparse[-1] + 1]) if len(sparse) else float(record.times[0])


def pair_energies_along(
    potential: PairPotential, records: Sequence[Record]
) -> list[Float[np.ndarray, "_ _"]]:
    """Lost fraction of φ of the pair null, as `Energies.gone`, along every record."""
    found = []
    for record in records:
        lengths = np.maximum(bond_lengths(record.positions, record.bonds), potential.knots[0])
        symbols = [[chemical_symbols[record.atomic_numbers[k]] for k in b] for b in record.bonds]
        values = np.column_stack(
            [potential(a, b, lengths[:, k]) for k, (a, b) in enumerate(symbols)]
        )
        found.append(1 - values / values[0])
    return found


def frame_table(
    records: Sequence[Record], gone: Mapping[str, Sequence[Float[np.ndarray, "_ _"]]]
) -> pd.DataFrame:
    """One row per frame and bond of records with bond orders.

    gone: lost fractions of bond energies along every record, by measure. Columns: trajectory (index
    in `records`), molecule, driver, temperature_K, fold, bond, class, time_fs, stretch (r over the
    relaxed length), elongation_A (r minus the relaxed length), order and cold_order (Wiberg), and
    one per measure.
    """
    tables = []
    for k, record in enumerate(records):
        lengths = bond_lengths(record.positions.astype(float), record.bonds)
        n_frames, n_bonds = lengths.shape
        columns = {
            "trajectory": k,
            "molecule": record.molecule,
            "driver": record.driver,
            "temperature_K": record.temperature_K,
            "fold": record.fold,
            "bond": np.tile(np.arange(n_bonds), n_frames),
            "class": np.tile(np.array(record.classes), n_frames),
            "time_fs": np.repeat(record.times.astype(float), n_bonds),
            "stretch": (lengths / lengths[0]).ravel(),
            "elongation_A": (lengths - lengths[0]).ravel(),
            "order": np.asarray(record.orders, dtype=float).ravel(),
            "cold_order": np.asarray(record.cold_orders, dtype=float).ravel(),
        }
        columns |= {name: np.asarray(values[k]).ravel() for name, values in gone.items()}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def time_beyond(
    times: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    threshold: float,
    *,
    rising: bool,
) -> float:
    """Time from which on values stay beyond a threshold, interpolated between frames.

    rising: whether beyond means above. NaN where the last value is not beyond the threshold, or a
    value beside the crossing is not known.
    """
    beyond = values > threshold if rising else values < threshold
    if not beyond[-1]:
        return float("nan")
    if beyond.all():
        return float(times[0])
    k = int(np.flatnonzero(~beyond)[-1])
    step = values[k + 1] - values[k]
    return float(times[k] + (times[k + 1] - times[k]) * (threshold - values[k]) / step)


def breaking_events(
    frames: pd.DataFrame, measures: Sequence[str], *, gone: float = GONE
) -> pd.DataFrame:
    """One row per bond that is broken, by its length, at the end of a trajectory.

    frames: as of `frame_table`; measures: its columns of lost fractions, whose threshold is `gone`.
    Columns: those that identify the bond, and for stretch, order and each measure the time in fs
    from which on its criterion is met, NaN where it is not met at the end.
    """
    criteria = {"stretch": (STRETCH, True), "order": (ORDER, False)}
    criteria |= dict.fromkeys(measures, (gone, True))
    keys = ["trajectory", "molecule", "driver", "temperature_K", "fold", "bond", "class"]
    rows = []
    for names, path in frames.groupby(keys, sort=False):
        if path["stretch"].iloc[-1] <= STRETCH:
            continue
        times = path["time_fs"].to_numpy()
        row = dict(zip(keys, names, strict=True))
        for column, (threshold, rising) in criteria.items():
            row[column] = time_beyond(times, path[column].to_numpy(), threshold, rising=rising)
        rows.append(row)
    return pd.DataFrame(rows, columns=[*keys, *criteria])


def calls_by_others(
    broken: Bool[np.ndarray, " n"], score: Float[np.ndarray, " n"], groups: Groups
) -> Bool[np.ndarray, " n"]:
    """Which rows reach the threshold that is best for the rows of all other groups.

    The best threshold has the largest sum of sensitivity and specificity (Youden's index).
    """
    names, calls = np.asarray(groups), np.zeros(len(score), dtype=bool)
    for own, others in _left_out(names):
        order = np.argsort(-score[others])
        hits = broken[others][order]
        index = np.cumsum(hits) / max(hits.sum(), 1) - np.cumsum(~hits) / max((~hits).sum(), 1)
        calls[own] = score[own] >= score[others][order][np.argmax(index)]
    return calls


def _left_out(names: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for name in np.unique(names):
        yield np.flatnonzero(names == name), np.flatnonzero(names != name)
