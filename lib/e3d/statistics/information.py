"""Information about bond orders given the elements: conditional mutual information in bits.

Elements are inputs of every model, so only information within an element pair counts; and bond
lengths contain most of it, so every value is to be compared with that of the length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from e3d.statistics import intervals
from e3d.statistics.entropy import entropy, masses_by_molecule, quantile_bins
from e3d.statistics.grouping import Groups, bond_weights, codes, resampled_masses


def conditional_information(
    masses: Float[np.ndarray, "*samples strata bins orders"],
) -> Float[np.ndarray, "*samples"]:
    """I(bin; order | stratum) = H(s,b) + H(s,o) − H(s) − H(s,b,o) in bits, of joint masses."""
    masses = np.asarray(masses, dtype=float)
    lead = masses.shape[:-3]
    strata, bins = masses.sum(axis=(-1, -2)), masses.sum(axis=-1).reshape(*lead, -1)
    orders = masses.sum(axis=-2).reshape(*lead, -1)
    cells = masses.reshape(*lead, -1)
    return np.asarray(entropy(bins) + entropy(orders) - entropy(strata) - entropy(cells))


@dataclass(frozen=True)
class Information:
    """I(x; order | stratum) in bits, from the plug-in estimate I over n bonds.

    value: H (I − m) / (H − m), the estimate adjusted for chance, with H the ceiling and m the mean
    of the permutation null: 0 for an x independent of the order, H for one that determines it.
    ceiling: H(order | stratum). null (n_permutations,): I with permuted orders. sample
    (n_resamples,): I of resampled molecules, times H / (H − m).
    Reference: Vinh, Epps and Bailey, J. Mach. Learn. Res. 11, 2837 (2010).
    """

    value: float
    plug_in: float
    ceiling: float
    null: Float[np.ndarray, " n_permutations"] = field(repr=False)
    sample: Float[np.ndarray, " n_resamples"] = field(repr=False)
    n: int

    def estimate(self) -> intervals.Estimate:
        """Adjusted value with its 95 % interval over molecules."""
        return intervals.interval(self.value, self.sample, self.n, centred=True)


def order_information(
    bins: Int[np.ndarray, " n"],
    orders: Groups,
    strata: Groups,
    molecules: Groups,
    *,
    n_permutations: int = 100,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Information:
    """Information of a binned quantity about the bond order, given the stratum (element pair).

    The null permutes orders among blocks within each stratum. A block is the bonds of one molecule,
    stratum and order: these are often equivalent by symmetry, so that permuting single bonds would
    underestimate the bias. All arrays (n,), one entry per bond.
    """
    x, y, s = codes(bins), codes(orders), codes(strata)
    shape = (int(s.max()) + 1, int(x.max()) + 1, int(y.max()) + 1)
    masses = masses_by_molecule(
        molecules, np.ravel_multi_index((s, x, y), shape), int(np.prod(shape))
    )
    resampled = resampled_masses(masses, n_resamples=n_resamples, seed=seed)
    total = masses.sum(axis=0).reshape(shape)
    plug_in = float(conditional_information(total))
    ceiling = float(entropy(total.sum(axis=1).ravel()) - entropy(total.sum(axis=(1, 2))))
    weights = bond_weights(molecules)
    permutations = permuted_orders(y, s, molecules, n_permutations=n_permutations, seed=seed)
    null = np.array(
        [conditional_information(_joint(s, x, p, weights, shape)) for p in permutations]
    )
    # Where the null reaches the ceiling, the sample is too small for an estimate: 0.
    room = ceiling - null.mean()
    scale = ceiling / room if room > 1e-9 else 0.0
    sample = scale * conditional_information(resampled.reshape(-1, *shape))
    value = float(scale * (plug_in - null.mean()))
    return Information(value, plug_in, ceiling, null, sample, len(x))


def _joint(
    s: np.ndarray, x: np.ndarray, y: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    cells = np.ravel_multi_index((s, x, y), shape)
    return np.bincount(cells, weights, minlength=int(np.prod(shape))).reshape(shape)


def permuted_orders(
    orders: Groups, strata: Groups, molecules: Groups, *, n_permutations: int, seed: int = 0
) -> list[np.ndarray]:
    """Orders (n,) permuted within strata, in blocks of one molecule, stratum and order."""
    rows = pd.DataFrame({"stratum": codes(strata), "molecule": codes(molecules)})
    rows["order"] = np.asarray(orders)
    block_of_row = rows.groupby(["stratum", "molecule", "order"], sort=True).ngroup().to_numpy()
    blocks = rows.assign(block=block_of_row).drop_duplicates("block").sort_values("block")
    labels, stratum = blocks["order"].to_numpy(), blocks["stratum"].to_numpy()
    rng = np.random.default_rng(seed)
    # Blocks are sorted by stratum; sorting by (stratum, random key) shuffles each stratum in place.
    return [
        labels[np.lexsort((rng.random(len(labels)), stratum))][block_of_row]
        for _ in range(n_permutations)
    ]


def mean_information(parts: Sequence[Information]) -> Information:
    """Average over models of the same bonds, with common draws of molecules; seeds stay fixed."""
    return Information(
        value=float(np.mean([part.value for part in parts])),
        plug_in=float(np.mean([part.plug_in for part in parts])),
        ceiling=parts[0].ceiling,
        null=np.mean([part.null for part in parts], axis=0),
        sample=np.mean([part.sample for part in parts], axis=0),
        n=parts[0].n,
    )


def difference(first: Information, second: Information) -> intervals.Estimate:
    """`first` minus `second` in bits, with a paired interval; both of the same bonds and seed."""
    return intervals.interval(
        first.value - second.value, first.sample - second.sample, first.n, centred=True
    )


def of_sources(
    table: pd.DataFrame,
    sources: Mapping[str, Sequence[str]],
    *,
    n_bins: int,
    target: str = "order",
    given: str = "pair",
    **options: int,
) -> dict[str, Information]:
    """I(source; target | given) in bits of several sources, in `n_bins` bins of equal mass each.

    table: one row per bond, with a column `molecule` and those named `target` and `given`; sources:
    name → columns of one model each, whose information is averaged; options: n_permutations,
    n_resamples and seed, as for `order_information`.
    """
    found = {}
    for name, columns in sources.items():
        parts = [
            order_information(
                quantile_bins(
                    table[column], n_bins, strata=table[given],
                    weights=bond_weights(table["molecule"]),
                ),
                table[target], table[given], table["molecule"], **options,
            )
            for column in columns
        ]  # fmt: skip
        found[name] = mean_information(parts)
    return found
