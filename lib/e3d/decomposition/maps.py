"""Statistics of pair energies that add up: the E3D map, and moments by bond class and separation.

ε_ij = E_ij + E_ji in eV, negative when bound. Only pairs within the cutoff of the model count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.topology import APART_COLUMNS
from e3d.data.molecule import Molecule, conformations
from e3d.decomposition import edges
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.statistics import intervals

#: Conformations whose pairs are held in memory at a time.
BLOCK = 512
_BINS = [("pair", object), ("length_A", float), ("energy_eV", float), ("count", int)]
_MOMENTS = [("count", int), ("mean_eV", float), ("m2_eV2", float)]
_CLASSES, _SEPARATIONS = [("class", object), *_MOMENTS], [("apart", object), *_MOMENTS]


def _empty(columns: list[tuple[str, type]]) -> pd.DataFrame:
    return pd.DataFrame(np.empty(0, columns))


@dataclass(frozen=True)
class PairStatistics:
    """Statistics of the pair energies ε of any number of conformations; two of them add up.

    map: the E3D map, one row per occupied bin; columns pair (elements in alphabetical order),
    length_A and energy_eV (centre of the bin; ε is negative when bound) and count. Only occupied
    bins are kept, so that one energy far from all others costs nothing.

    by_class, by_separation: moments of ε per bond class (`class`), and per number of bonds between
    the two atoms (`apart`, one of `APART_COLUMNS`); columns count (pairs), mean_eV, and m2_eV2, the
    sum of squared deviations from the mean: the variance is m2_eV2 / count.

    sum_rule_error: the largest, in eV per atom. left_out: conformations passed over, by reason.
    """

    map: pd.DataFrame = field(default_factory=partial(_empty, _BINS))
    by_class: pd.DataFrame = field(default_factory=partial(_empty, _CLASSES))
    by_separation: pd.DataFrame = field(default_factory=partial(_empty, _SEPARATIONS))
    n_molecules: int = 0
    n_conformations: int = 0
    sum_rule_error: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_pairs(
        cls, pairs: pd.DataFrame, *, length_step: float, energy_step: float
    ) -> PairStatistics:
        """Statistics of single pairs, columns pair, class, apart, length_A and energy_eV.

        length_step in Å, energy_step in eV: widths of the bins, of which one begins at zero.
        """
        bins = pairs[["pair"]].assign(
            length_A=(np.floor(pairs["length_A"] / length_step) + 0.5) * length_step,
            energy_eV=(np.floor(pairs["energy_eV"] / energy_step) + 0.5) * energy_step,
            count=1,
        )
        ones = pairs[["class", "apart"]].assign(count=1, mean_eV=pairs["energy_eV"], m2_eV2=0.0)
        return cls(_counted(bins), pooled(ones, "class"), pooled(ones, "apart"))

    def __add__(self, other: PairStatistics) -> PairStatistics:
        return PairStatistics(
            map=_counted(pd.concat([self.map, other.map])),
            by_class=pooled(pd.concat([self.by_class, other.by_class]), "class"),
            by_separation=pooled(pd.concat([self.by_separation, other.by_separation]), "apart"),
            n_molecules=self.n_molecules + other.n_molecules,
            n_conformations=self.n_conformations + other.n_conformations,
            sum_rule_error=max(self.sum_rule_error, other.sum_rule_error),
            left_out=self.left_out + other.left_out,
        )


def pooled(parts: pd.DataFrame, by: str) -> pd.DataFrame:
    """Moments of the union of samples from those of each: rows with the same `by` become one.

        n = Σ n_k    m = Σ n_k m_k / n    M = Σ [M_k + n_k (m_k − m)²]

    Columns: `by`, count n, mean_eV m, m2_eV2 M. Unlike Σε², M loses no digits to a large mean.
    Reference: Chan, Golub and LeVeque, Am. Stat. 37, 242 (1983).
    """
    count = parts.groupby(by)["count"].sum()
    mean = (parts["count"] * parts["mean_eV"]).groupby(parts[by]).sum() / count
    deviations = parts["count"] * (parts["mean_eV"] - parts[by].map(mean)) ** 2
    m2 = (parts["m2_eV2"] + deviations).groupby(parts[by]).sum()
    return pd.DataFrame({"count": count, "mean_eV": mean, "m2_eV2": m2}).reset_index()


def _counted(bins: pd.DataFrame) -> pd.DataFrame:
    """The sum of histograms; the centres of equal bins are equal to the last bit."""
    return bins.groupby(["pair", "length_A", "energy_eV"])["count"].sum().reset_index()


def summarise(
    model: Model,
    molecules: Iterable[Molecule],
    *,
    length_step: float = 0.05,
    energy_step: float = 0.1,
) -> PairStatistics:
    """Statistics of all conformations of some molecules; bins of length_step Å, energy_step eV.

    Raises E3DError as `edges.decompose` does, and for a molecule whose SMILES has other atoms.
    """
    total = PairStatistics()
    for block in _blocks(molecules):
        decompositions = list(edges.decompose(model, conformations(block)))
        remaining = iter(decompositions)
        pairs = [_pairs(molecule, islice(remaining, len(molecule))) for molecule in block]
        part = PairStatistics.of_pairs(
            pd.concat(pairs, ignore_index=True), length_step=length_step, energy_step=energy_step
        )
        errors = [abs(d.sum_rule_error) / len(d.atomic_energies) for d in decompositions]
        total += replace(part, n_conformations=len(errors), sum_rule_error=max(errors))
    return total


def _blocks(molecules: Iterable[Molecule]) -> Iterator[list[Molecule]]:
    """Blocks of about `BLOCK` conformations; a molecule with more of them is divided."""
    block: list[Molecule] = []
    for molecule in molecules:
        for rows in np.split(np.arange(len(molecule)), range(BLOCK, len(molecule), BLOCK)):
            block.append(molecule.select(rows))
            if sum(map(len, block)) >= BLOCK:
                yield block
                block = []
    if block:
        yield block


def _pairs(molecule: Molecule, decompositions: Iterable[edges.Decomposition]) -> pd.DataFrame:
    """All pairs within the cutoff, over all conformations.

    Columns: pair (elements in alphabetical order), class (None where there is no bond), apart,
    length_A, and energy_eV, ε.
    """
    found = [edges.pair_energies(decomposition) for decomposition in decompositions]
    i, j = np.concatenate([pairs.pairs for pairs in found]).T
    return pd.DataFrame(
        {name: matrix[i, j] for name, matrix in _labels(molecule).items()}
        | {
            "length_A": np.concatenate([pairs.lengths for pairs in found]),
            "energy_eV": np.concatenate([pairs.energies for pairs in found]),
        }
    )


def _labels(molecule: Molecule) -> dict[str, np.ndarray]:
    """Labels of all pairs of atoms, matrices (N, N): columns pair, class, apart of `_pairs`."""
    try:
        graph = bonding.from_mapped_smiles(molecule.smiles)
    except E3DError as error:
        raise E3DError(f"molecule {molecule.name!r}: {error}") from None
    if [atom.GetAtomicNum() for atom in graph.GetAtoms()] != molecule.atomic_numbers.tolist():
        raise E3DError(f"molecule {molecule.name!r}: its SMILES has other atoms than it")
    symbols = [chemical_symbols[z] for z in molecule.atomic_numbers]
    pairs = [["-".join(sorted((first, second))) for second in symbols] for first in symbols]
    classes = np.full((len(symbols), len(symbols)), None, dtype=object)
    for i, j in bonding.bond_pairs(graph).tolist():
        classes[i, j] = classes[j, i] = bonding.bond_class(graph, i, j)
    apart = Chem.GetDistanceMatrix(graph)  # huge between fragments
    numbers = np.where(apart < len(symbols), np.clip(apart, 1, 4), 5).astype(int)
    separations = np.array(APART_COLUMNS, dtype=object)[numbers - 1]
    return {"pair": np.array(pairs, dtype=object), "class": classes, "apart": separations}


def ensemble_of(run: str) -> str:
    """Name of a run without its seed: `finetuned-s0` belongs to `finetuned`."""
    return re.sub(r"-s\d+$", "", run)


def topological_shares(
    molecules: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Share of the binding energy on pairs 1, 2, 3, … bonds apart, by ensemble of models.

    molecules: the molecule table of one data set. A share is signed, Σε of these pairs over Σε of
    all, both summed over the molecules, and averaged over the seeds. Diatomic molecules are left
    out: their one pair is a bond. Columns: ensemble, apart, share, low, high (95 % interval over
    molecules), seed_std (None for one seed), n_molecules, n_runs.
    """
    rows = []
    larger = molecules[molecules["n_atoms"] > 2]
    for ensemble, own in larger.groupby(larger["run"].map(ensemble_of), sort=False):
        sums = own.pivot_table(index="molecule", columns="run", values=list(APART_COLUMNS))
        # (n_molecules, distances, runs)
        values = np.stack([sums[name].to_numpy() for name in APART_COLUMNS], axis=1)
        n_molecules, _, n_runs = values.shape
        by_run = _shares_of(values.sum(axis=0))
        drawn = np.random.default_rng(seed).multinomial(
            n_molecules, np.full(n_molecules, 1 / n_molecules), size=n_resamples
        )  # how often each molecule is in each resample
        resampled = _shares_of(np.tensordot(drawn, values, axes=1)).mean(axis=-1)
        for k, name in enumerate(APART_COLUMNS):
            found = intervals.interval(float(by_run[k].mean()), resampled[:, k], n_molecules)
            rows.append(
                {"ensemble": ensemble, "apart": name, "share": found["value"],
                 "low": found["low"], "high": found["high"],
                 "seed_std": by_run[k].std(ddof=1) if n_runs > 1 else None,
                 "n_molecules": n_molecules, "n_runs": n_runs}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _shares_of(sums: np.ndarray) -> np.ndarray:
    """Σε by distance over Σε of all; sums (…, distances, runs) in eV."""
    return sums / sums.sum(axis=-2, keepdims=True)
