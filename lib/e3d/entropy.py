"""Shannon entropy of edge energies in bits, and what they know about bond orders.

Every molecule has weight 1, shared equally by its bonds. Probabilities are kept as masses per
molecule, so that a bootstrap over molecules is one matrix product, multiplicities · masses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.special import entr

from e3d import statistics
from e3d.errors import E3DError
from e3d.statistics import Labels, Numbers

_CLASS = re.compile(r"([A-Z][a-z]?)([-=#:~])([A-Z][a-z]?)")


def bond_weights(molecules: Labels) -> Float[np.ndarray, " n"]:
    """Weight of each bond, 1 / (number of bonds of its molecule): every molecule sums to 1."""
    names = pd.Series(np.asarray(molecules))
    return 1 / names.groupby(names).transform("size").to_numpy(dtype=float)


def pair_and_order(classes: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Element pairs ("CO") and orders ("=") of bond classes ("C=O"), each (n,).

    Raises E3DError for a text that is not a bond class.
    """
    matches = [_CLASS.fullmatch(str(name)) for name in classes]
    if None in matches:
        wrong = list(classes)[matches.index(None)]
        raise E3DError(f"expected a bond class such as 'C=O', got {wrong!r}")
    parts = [match.groups() for match in matches if match]
    return np.array([a + b for a, _, b in parts]), np.array([order for _, order, _ in parts])


def codes(labels: Labels) -> Int[np.ndarray, " n"]:
    """Labels as integers from 0, in sorted order."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)


def energy_bins(energies: Numbers, width: float, origin: float = 0.0) -> Int[np.ndarray, " n"]:
    """Integer bin of each energy: ⌊(ε − origin) / Δε⌋, both in eV; the bins of a halved width are
    nested in those of the whole. Raises E3DError when the width or an energy is not usable.
    """
    energies = np.asarray(energies, dtype=float)
    n_wrong = int((~np.isfinite(energies)).sum())
    if not width > 0 or n_wrong:
        raise E3DError(
            f"expected a bin width above 0 eV and finite energies, got {width} and {n_wrong} "
            "energies that are not finite; was a class missing from the fit of a null?"
        )
    return np.floor((energies - origin) / width).astype(np.int64)


def quantile_bins(
    values: Numbers,
    n_bins: int,
    *,
    strata: Labels | None = None,
    weights: Numbers | None = None,
) -> Int[np.ndarray, " n"]:
    """Bin 0 … n_bins − 1 of each value, all bins of a stratum holding the same mass.

    Only ranks matter, so neither unit nor scale do: ε, r and any monotone function of them meet on
    equal terms. Equal values share a bin.
    """
    table = pd.DataFrame({"value": np.asarray(values, dtype=float)})
    table["stratum"] = 0 if strata is None else np.asarray(strata)
    table["weight"] = 1.0 if weights is None else np.asarray(weights)
    mass = table.groupby(["stratum", "value"])["weight"].sum()  # sorted by value within a stratum
    below = mass.groupby(level="stratum").cumsum() - mass / 2
    share = below / mass.groupby(level="stratum").transform("sum")
    bins = np.minimum((share * n_bins).astype(int), n_bins - 1).rename("bin")
    return table.join(bins, on=["stratum", "value"])["bin"].to_numpy(dtype=np.int64)


def entropy(masses: Labels) -> Float[np.ndarray, ...]:
    """Plug-in entropy −Σ p log₂ p in bits; masses (…, n_cells), p = mass / sum over cells."""
    masses = np.asarray(masses, dtype=float)
    return np.asarray(entr(masses / masses.sum(axis=-1, keepdims=True)).sum(axis=-1) / np.log(2))


def miller_madow(masses: Numbers, weights: Numbers) -> float:
    """Entropy in bits plus the Miller–Madow term (K − 1) / (2 N ln 2), K the occupied cells.

    N is Kish's effective number of samples (Σw)² / Σw² of the weights. Bonds of one molecule count
    as independent, so the correction is a lower bound.
    """
    effective = np.sum(weights) ** 2 / np.sum(np.square(weights))
    return float(entropy(masses)) + (np.count_nonzero(masses) - 1) / (2 * effective * np.log(2))


def differential_entropy(bits: float, width: float) -> float:
    """h = H + log₂ Δε in bits, for ε in eV: what remains of H as bins are made finer."""
    return bits + float(np.log2(width))


def conditional_information(
    masses: Float[np.ndarray, "*samples strata bins orders"],
) -> Float[np.ndarray, "*samples"]:
    """I(bin; order | stratum) in bits: H(s,b) + H(s,o) − H(s) − H(s,b,o) of joint masses."""
    masses = np.asarray(masses, dtype=float)
    lead = masses.shape[:-3]
    strata, bins = masses.sum(axis=(-1, -2)), masses.sum(axis=-1).reshape(*lead, -1)
    orders = masses.sum(axis=-2).reshape(*lead, -1)
    cells = masses.reshape(*lead, -1)
    return np.asarray(entropy(bins) + entropy(orders) - entropy(strata) - entropy(cells))


def masses_by_molecule(molecules: Labels, cells: Int[np.ndarray, " n"], n_cells: int) -> csr_array:
    """Mass of each molecule in each cell, sparse (n_molecules, n_cells); every row sums to 1."""
    rows = codes(molecules)
    return csr_array((bond_weights(molecules), (rows, cells)), shape=(int(rows.max()) + 1, n_cells))


def resampled_masses(
    masses: csr_array, *, n_resamples: int, seed: int
) -> Float[np.ndarray, "n_resamples cells"]:
    """Total masses of resamples of the molecules; the same draws for the same seed and number."""
    n = masses.shape[0]
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return drawn.astype(float) @ masses


def binned_entropy(
    energies: Numbers,
    molecules: Labels,
    width: float,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, statistics.Estimate]:
    """Entropy H(ε) in bits of bond energies in eV, bins of `width` eV, each molecule weight 1.

    `plug_in`, `miller_madow` and `differential` (h, from Miller–Madow), each with a 95 % interval
    over molecules.
    """
    bins = codes(energy_bins(energies, width))
    masses = masses_by_molecule(molecules, bins, int(bins.max()) + 1)
    sample = entropy(resampled_masses(masses, n_resamples=n_resamples, seed=seed))
    total = masses.sum(axis=0)
    corrected = miller_madow(total, bond_weights(molecules))
    values = {
        "plug_in": float(entropy(total)),
        "miller_madow": corrected,
        "differential": differential_entropy(corrected, width),
    }
    return {
        name: statistics.interval(value, sample, len(bins), centred=True)
        for name, value in values.items()
    }


@dataclass(frozen=True)
class Information:
    """I(x; order | stratum) in bits, from a plug-in estimate I over n bonds.

    value: H (I − m) / (H − m), the estimate adjusted for chance, with H the ceiling and m the mean
    of the permutation null: 0 for what knows nothing, H for what determines the order.
    ceiling: H(order | stratum). null (n_permutations,): I with permuted orders. sample
    (n_resamples,): I over resampled molecules, times H / (H − m).
    Reference: Vinh, Epps and Bailey, J. Mach. Learn. Res. 11, 2837 (2010).
    """

    value: float
    plug_in: float
    ceiling: float
    null: Float[np.ndarray, " n_permutations"] = field(repr=False)
    sample: Float[np.ndarray, " n_resamples"] = field(repr=False)
    n: int

    def estimate(self) -> statistics.Estimate:
        """Adjusted value with its 95 % interval over molecules."""
        return statistics.interval(self.value, self.sample, self.n, centred=True)


def order_information(
    bins: Int[np.ndarray, " n"],
    orders: Labels,
    strata: Labels,
    molecules: Labels,
    *,
    n_permutations: int = 100,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Information:
    """What a binned quantity knows about the bond order, the stratum (element pair) being given.

    The null permutes orders among blocks within each stratum. A block is the bonds of one molecule,
    stratum and order: they are often symmetric copies, so permuting them one by one would
    understate the bias. All arrays (n,), one entry per bond.
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
    # Where the null reaches the ceiling, the sample is too small to say anything: 0.
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
    orders: Labels, strata: Labels, molecules: Labels, *, n_permutations: int, seed: int = 0
) -> list[np.ndarray]:
    """Orders (n,) permuted within strata, the bonds of one molecule, stratum and order together."""
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
    """Average over models of the same bonds: seeds are not resampled, molecules are, in step."""
    return Information(
        value=float(np.mean([part.value for part in parts])),
        plug_in=float(np.mean([part.plug_in for part in parts])),
        ceiling=parts[0].ceiling,
        null=np.mean([part.null for part in parts], axis=0),
        sample=np.mean([part.sample for part in parts], axis=0),
        n=parts[0].n,
    )


def difference(first: Information, second: Information) -> statistics.Estimate:
    """`first` minus `second` in bits with a paired interval; both from the same bonds and seed."""
    return statistics.interval(
        first.value - second.value, first.sample - second.sample, first.n, centred=True
    )
