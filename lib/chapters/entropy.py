"""Information of bond energies about bond orders and bond strengths, beside that of null models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from e3d.chemistry.bonding import pair_and_order
from e3d.models.nulls import FittedNulls, pair_energies
from e3d.statistics import beyond_length, information, intervals, ranks
from e3d.statistics.grouping import bond_weights, codes
from e3d.statistics.intervals import Estimate

#: Columns of the table of results, in their order.
COLUMNS = ["source", "quantity", "bin_width_eV", "bins", "bits", "low", "high", "n"]


def with_null_models(table: pd.DataFrame, nulls: FittedNulls) -> pd.DataFrame:
    """A bond table with what its analysis needs besides.

    Columns `pair` and `order` of its class; `weight`, 1 for each molecule, shared by its bonds;
    `phi`, ε of the pair potential, and `scaled:<run>`, ε of each untrained network times its scale
    factor, in eV, negative when bound.
    """
    pair, order = pair_and_order(table["class"])
    scaled = {f"scaled:{run}": c * table[f"bare:{run}"] for run, c in nulls.untrained.items()}
    return table.assign(
        pair=pair, order=order, weight=bond_weights(table["molecule"]),
        phi=pair_energies(table, nulls.pair), **scaled,
    )  # fmt: skip


def over_models(
    found: Mapping[str, Estimate],
    single: Mapping[str, float],
    sources: Mapping[str, Sequence[str]],
) -> dict[str, Estimate]:
    """Estimates by source, widened by the spread of the values of the models of each.

    found: over molecules alone; single: the same quantity of each column; sources: name → columns
    of one model each. A source of one column has no spread.
    """
    return {
        name: intervals.with_seed_spread(estimate, [single[c] for c in sources[name]])
        for name, estimate in found.items()
    }


def difference_over_models(
    difference: Estimate, single: Mapping[str, float], first: Sequence[str], second: Sequence[str]
) -> Estimate:
    """A difference between two sources, widened by the spread of the models of both."""
    for columns in (first, second):
        difference = intervals.with_seed_spread(difference, [single[c] for c in columns])
    return difference


def information_by_pair(
    bonds: pd.DataFrame,
    sources: Mapping[str, Sequence[str]],
    *,
    n_bins: int,
    min_molecules: int = 50,
    n_permutations: int = 100,
) -> pd.DataFrame:
    """Order information in bits within each element pair that has bonds of several orders.

    bonds: a bond table with `pair` and `order`; sources as for `information.of_sources`. One row
    per pair in at least `min_molecules` molecules, the most frequent first: number of bonds,
    orders, the information that specifies them (ceiling), and that of each source. A molecule's
    weight is shared by its bonds of that pair alone.
    """
    rows = {}
    for pair, part in bonds.groupby("pair"):
        orders = sorted(part["order"].unique())
        if len(orders) > 1 and part["molecule"].nunique() >= min_molecules:
            found = information.of_sources(
                part, sources, n_bins=n_bins, n_permutations=n_permutations, n_resamples=2
            )
            rows[pair] = {
                "bonds": len(part),
                "orders": " ".join(orders),
                "ceiling": next(iter(found.values())).ceiling,
                **{name: told.value for name, told in found.items()},
            }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair")
    table = table.reindex(columns=["bonds", "orders", "ceiling", *sources])
    return table.sort_values("bonds", ascending=False)


def beside_wiberg(
    bonds: pd.DataFrame,
    residuals: Mapping[str, Float[np.ndarray, "n_runs n"]],
    wiberg: pd.DataFrame,
) -> pd.DataFrame:
    """Bonds whose Wiberg order is known, with what the bond length leaves of it and of ε.

    bonds: a bond table of n bonds; residuals: `beyond_length.length_residuals` of the models of
    each source, ε in eV; wiberg: molecule, i, j and wiberg. Columns `wiberg`, the residual of the
    bond order, and `<source> <k>`, −residual of the k-th model in eV: positive where the bond is
    stronger than its length says. Bonds of classes too small for a regression are left out.
    """
    columns = {
        f"{name} {k}": -values
        for name, models in residuals.items()
        for k, values in enumerate(models)
    }
    sample = bonds.assign(**columns).merge(wiberg, on=["molecule", "i", "j"])
    sample["wiberg"] = beyond_length.length_residuals(sample, ["wiberg"])[0]
    return sample.dropna(subset=["wiberg", *columns])


def wiberg_correlation(
    sample: pd.DataFrame, source: str, *, n_resamples: int = 200, seed: int = 0
) -> Estimate:
    """Rank correlation of the residuals of a source with those of Wiberg orders within classes.

    sample: as of `beside_wiberg`; mean over classes and models, its interval over molecules and
    models.
    """
    columns, classes = _models(sample, source), codes(sample["class"])
    each = [
        ranks.within_class_spearman(sample["wiberg"], sample[c].to_numpy(), classes)
        for c in columns
    ]
    return intervals.estimate(
        np.column_stack([classes, sample[["wiberg", *columns]]]),
        sample["molecule"],
        statistic=lambda v: ranks.within_class_spearman(v[:, 1], v[:, 2:], v[:, 0]),
        of_seeds=each,
        n_resamples=n_resamples,
        seed=seed,
    )


def wiberg_correlation_by_class(sample: pd.DataFrame, source: str) -> pd.Series:
    """`wiberg_correlation` of each class by itself; index class."""
    columns = _models(sample, source)
    return pd.Series({
        name: ranks.within_class_spearman(part["wiberg"], part[columns].to_numpy(), part["class"])
        for name, part in sample.groupby("class")
    })  # fmt: skip


def _models(sample: pd.DataFrame, source: str) -> list[str]:
    return [c for c in sample if c.rpartition(" ")[0] == source]


def result_table(
    order: Mapping[str, Estimate], sweep: pd.DataFrame, by_bins: pd.DataFrame, *, n_bins: int
) -> pd.DataFrame:
    """Entropies and order information of all sources, in one long table with `COLUMNS`, in bits.

    order: order information by source, in `n_bins` bins per element pair; sweep: as of
    `entropy.sweep`, whose interval is that of the Miller–Madow estimate; by_bins: order
    information with other n_bins: source, n_bins and bits.
    """
    known = pd.DataFrame(order).T.rename_axis("source").reset_index()
    known = known.assign(quantity="order_information", bins=n_bins).rename(
        columns={"value": "bits"}
    )
    entropies = sweep.melt(
        ["source", "bin_width_eV", "low", "high"],
        ["plug_in", "miller_madow", "differential"],
        var_name="quantity",
        value_name="bits",
    )
    entropies.loc[entropies["quantity"] != "miller_madow", ["low", "high"]] = np.nan
    finer = by_bins.rename(columns={"n_bins": "bins"}).assign(quantity="order_information_sweep")
    table = pd.concat([known, entropies, finer])[COLUMNS]
    types = {"bits": float, "low": float, "high": float, "bins": "Int64", "n": "Int64"}
    return table.astype(types)
