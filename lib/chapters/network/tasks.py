"""Tasks that probes are fitted to, the same at every place of several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from chapters.network import probes
from chapters.network.features import ENERGY, Sample, bond_features
from e3d.models.allegro import Model
from e3d.statistics.grouping import Groups, codes, resampled_masses
from e3d.statistics.intervals import Estimate, interval, with_seed_spread

#: How a target is altered: not at all, by environment (`probes.control_task`), within strata.
ITSELF, CONTROL, SHUFFLED = "itself", "control", "shuffled"


@dataclass(frozen=True)
class ProbeTask:
    """A quantity to be predicted for bonds of a sample.

    table: one row per bond, or per group of equivalent bonds, with smiles, environment and, under
    the names `target` and `given`, what is asked (numbers or labels) and what is given; rows (m,):
    bonds of the sample; unit (m,): the row of `table` that each belongs to, whose features are the
    mean over its bonds. n_knots: of the curves by which a single number (r, ε) may predict it;
    n_repeats and clip: as for `probes.regress`.
    """

    name: str
    sample: str
    table: pd.DataFrame
    target: str
    given: str
    rows: Int[np.ndarray, " m"]
    unit: Int[np.ndarray, " m"]
    n_knots: int = 8
    n_repeats: int = 1
    clip: bool = True


class ProbeResiduals(NamedTuple):
    """What a probe leaves of a task: `lost` and `whole` of `probes.Probed`, and its prediction.

    Of labels, both are sums over their indicators (1 for the label that it is, 0 for others).
    molecules (n,): SMILES of the molecule that each row of the task belongs to.
    """

    lost: Float[np.ndarray, " n"]
    whole: Float[np.ndarray, " n"]
    prediction: Float[np.ndarray, "n n_columns"]
    molecules: np.ndarray

    @property
    def explained(self) -> float:
        """Fraction of the variance explained, see `probes.explained_fraction`."""
        return probes.explained_fraction(self.lost, self.whole)


def bond_task(
    name: str,
    sample: str,
    bonds: pd.DataFrame,
    target: str,
    given: str,
    *,
    kind: Sequence[str],
    min_molecules: int,
) -> ProbeTask:
    """A task on bonds one by one, of kinds in enough molecules, where the target is not constant.

    bonds: of the sample, in its order; kind: columns whose values, together, are a kind of bond.
    """
    often = bonds.groupby(list(kind))["molecule"].transform("nunique") >= min_molecules
    table = bonds[often]
    table = table[table.groupby(given)[target].transform("nunique") > 1]
    rows, units = table.index.to_numpy(), np.arange(len(table))
    return ProbeTask(name, sample, table.reset_index(drop=True), target, given, rows, units)


def of_bonds(task: ProbeTask, values: np.ndarray) -> np.ndarray:
    """Rows of a sample's bonds, averaged over those of each row of the task's table."""
    return pd.DataFrame(values[task.rows]).groupby(task.unit).mean().to_numpy()


def scalar(task: ProbeTask, values: np.ndarray) -> np.ndarray:
    """One number (n,) per row of a task as columns for a probe, see `probes.curves`."""
    return probes.curves(values, task.table[task.given], task.n_knots)


def fit_probe(task: ProbeTask, columns: np.ndarray) -> dict[str, ProbeResiduals]:
    """What a probe of columns (n, n_columns) leaves of a task, as it is and altered."""
    target, given = task.table[task.target], task.table[task.given]
    molecules = task.table["smiles"].to_numpy()
    asked = {
        ITSELF: target,
        CONTROL: probes.control_task(target, task.table["environment"], given),
        SHUFFLED: probes.shuffled(target, given, np.random.default_rng(0)),
    }
    targets = [_numbers(values) for values in asked.values()]
    probed = probes.regress(
        columns, np.hstack(targets), given, molecules,
        n_repeats=task.n_repeats, clip=task.clip,
    )  # fmt: skip
    ends = np.cumsum([part.shape[1] for part in targets])[:-1]
    parts = zip(*(np.split(values, ends, axis=1) for values in probed), strict=True)
    return {
        name: ProbeResiduals(lost.sum(axis=1), whole.sum(axis=1), prediction, molecules)
        for name, (prediction, lost, whole) in zip(asked, parts, strict=True)
    }


def _numbers(values: Groups) -> np.ndarray:
    """Numbers as one column, labels as one indicator each, in sorted order."""
    column = pd.Series(np.asarray(values))
    table = column.to_frame() if pd.api.types.is_numeric_dtype(column) else pd.get_dummies(column)
    return table.to_numpy(dtype=float)


def probe_network(
    model: Model, samples: Mapping[str, Sample], tasks: Sequence[ProbeTask]
) -> tuple[dict[tuple[str, str, str], ProbeResiduals], dict[str, dict[str, np.ndarray]]]:
    """Put tasks to every place in a network.

    samples by the names that tasks have for them. Returns what is left by task, alteration of the
    target and place; and the features by sample and place, as `features.bond_features`.
    """
    features = {name: bond_features(model, sample) for name, sample in samples.items()}
    left = {}
    for task in tasks:
        for place, values in features[task.sample].items():
            columns = of_bonds(task, values)
            columns = scalar(task, columns[:, 0]) if place == ENERGY else columns
            for target, found in fit_probe(task, columns).items():
                left[task.name, target, place] = found
    return left, features


def explained_share(
    networks: Sequence[ProbeResiduals],
    *,
    minus: Sequence[ProbeResiduals] = (),
    paired: bool = False,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean over networks of the share of variance that their probes explain, or its excess.

    networks: what probes of each independent network leave of one task; minus: of others, or of a
    single null model without a seed, whose mean share is subtracted. The interval is over
    molecules, the same for all, joined with the spread over the networks of either side, or with
    that of the differences where they are `paired` (one network in two places, or two that begin
    from the same weights). Probes are not fitted anew.
    """
    # shares are ratios of sums, so the sums over molecules are all that a resample needs
    all_ = [*networks, *minus]
    both = np.column_stack([one.lost for one in all_] + [one.whole for one in all_])
    sums = pd.DataFrame(both).groupby(codes(networks[0].molecules)).sum().to_numpy()

    def gains(totals: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        lost, whole = np.split(totals, 2, axis=1)
        sides = np.split(1 - lost / whole, [len(networks)], axis=1)[: 2 if len(minus) else 1]
        means = [side.mean(axis=1) for side in sides]
        return means[0] - sum(means[1:]), [side[0] for side in sides]

    value, sides = gains(sums.sum(axis=0, keepdims=True))
    sample, _ = gains(resampled_masses(csr_array(sums), n_resamples=n_resamples, seed=seed))
    found = interval(float(value[0]), sample, len(both))
    for side in [sides[0] - sides[1]] if paired else sides:
        found = with_seed_spread(found, side)
    if found["high"] is not None and not len(minus):
        found["high"] = min(found["high"], 1.0)
    return found
