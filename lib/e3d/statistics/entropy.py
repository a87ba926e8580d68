"""Shannon entropy of the distribution of edge energies, in bits.

Every molecule has weight 1, shared equally by its bonds. Probabilities are kept as masses per
molecule, so that a bootstrap over molecules is one matrix product, multiplicities · masses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.special import entr

from e3d.errors import E3DError
from e3d.statistics import intervals
from e3d.statistics.grouping import Groups, Numbers, bond_weights, codes, resampled_masses


def energy_bins(energies: Numbers, width: float, origin: float = 0.0) -> Int[np.ndarray, " n"]:
    """Integer bin ⌊(ε − origin) / Δε⌋ of each energy.

    Energies, width Δε and origin in eV; bins of half the width are nested in those of the full one.
    Raises E3DError for a width that is not positive or an energy that is not finite.
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
    strata: Groups | None = None,
    weights: Numbers | None = None,
) -> Int[np.ndarray, " n"]:
    """Bin 0 … n_bins − 1 of each value, such that all bins of a stratum hold the same mass.

    Bins depend on ranks alone, hence on neither unit nor scale: ε, r and any monotone function of
    them are treated alike. Equal values share a bin. strata, weights: (n,), by default one stratum
    and equal weights.
    """
    table = pd.DataFrame({"value": np.asarray(values, dtype=float)})
    table["stratum"] = 0 if strata is None else np.asarray(strata)
    table["weight"] = 1.0 if weights is None else np.asarray(weights)
    mass = table.groupby(["stratum", "value"])["weight"].sum()  # sorted by value within a stratum
    below = mass.groupby(level="stratum").cumsum() - mass / 2
    share = below / mass.groupby(level="stratum").transform("sum")
    bins = np.minimum((share * n_bins).astype(int), n_bins - 1).rename("bin")
    return table.join(bins, on=["stratum", "value"])["bin"].to_numpy(dtype=np.int64)


def entropy(masses: Groups) -> Float[np.ndarray, ...]:
    """Plug-in entropy −Σ p log₂ p in bits; masses (…, n_cells) with p = mass / Σ masses."""
    masses = np.asarray(masses, dtype=float)
    return np.asarray(entr(masses / masses.sum(axis=-1, keepdims=True)).sum(axis=-1) / np.log(2))


def miller_madow(masses: Numbers, weights: Numbers) -> float:
    """Entropy in bits with the Miller–Madow correction (K − 1) / (2 N ln 2), K occupied cells.

    N is Kish's effective sample size (Σw)² / Σw² of the weights. Bonds of one molecule count as
    independent, so the correction is a lower bound.
    """
    effective = np.sum(weights) ** 2 / np.sum(np.square(weights))
    return float(entropy(masses) + (np.count_nonzero(masses) - 1) / (2 * effective * np.log(2)))


def differential_entropy(bits: float, width: float) -> float:
    """Differential entropy h = H + log₂ Δε in bits, for ε and the bin width Δε in eV."""
    return bits + float(np.log2(width))


def masses_by_molecule(molecules: Groups, cells: Int[np.ndarray, " n"], n_cells: int) -> csr_array:
    """Mass of each molecule in each cell, sparse (n_molecules, n_cells); rows sum to 1."""
    rows = codes(molecules)
    return csr_array((bond_weights(molecules), (rows, cells)), shape=(int(rows.max()) + 1, n_cells))


def binned_entropy(
    energies: Numbers,
    molecules: Groups,
    width: float,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, intervals.Estimate]:
    """Entropy H(ε) in bits of bond energies in eV, in bins of `width` eV, by estimator.

    `plug_in`, `miller_madow` and `differential` (h, from Miller–Madow), each with its 95 % interval
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
        name: intervals.interval(value, sample, len(bins), centred=True)
        for name, value in values.items()
    }


def sweep(
    table: pd.DataFrame,
    sources: Mapping[str, Sequence[str]],
    widths: Sequence[float],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Entropies in bits of several sources of bond energies, for bins of several widths in eV.

    table: a bond table; sources: name → its columns of energies in eV, one per model, whose
    entropies are averaged. Columns: source, bin_width_eV, plug_in, miller_madow with its 95 %
    interval low and high, over molecules and joined with the spread of the models, and differential
    (h).
    """
    rows = []
    options = {"n_resamples": n_resamples, "seed": seed}
    for name, columns in sources.items():
        for width in widths:
            found = [binned_entropy(table[c], table["molecule"], width, **options) for c in columns]
            means = {key: _mean([part[key]["value"] for part in found]) for key in found[0]}
            corrected = [part["miller_madow"] for part in found]
            low, high = (_mean([part[end] for part in corrected]) for end in ("low", "high"))
            over_molecules: intervals.Estimate = {
                "value": means["miller_madow"], "low": low, "high": high, "n": len(table)
            }  # fmt: skip
            joined = intervals.with_seed_spread(
                over_molecules, [part["value"] for part in corrected]
            )
            ends = {end: joined[end] for end in ("low", "high")}  # type: ignore[literal-required]
            rows.append({"source": name, "bin_width_eV": width, **means, **ends})
    return pd.DataFrame(rows)


def _mean(values: Sequence[float | None]) -> float:
    return float(np.array(values, dtype=float).mean())
