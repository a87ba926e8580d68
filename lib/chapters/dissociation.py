"""Energy balance of bond dissociation.

A molecule's binding energy is the sum of −ε over all its pairs. When the bond i–j breaks, every
other pair across the cut is lost with it, and both fragments change. With B for binding energies,

    −ε_ij = D_e − across + within + error

where D_e = B(AB) − B(A•) − B(B•); *across* is the energy of all other pairs of an atom of A and an
atom of B; *within* is B(A•) + B(B•) minus the energy of the pairs inside A and inside B in AB
(positive: the fragments are bound more strongly than these pairs were); *error* is the model's
B(AB) minus the true one. This is an identity: it follows from the sum rule and the definition of
D_e.

Where the vertical and the valence-state dissociation energy are known (`labels.vertical`), *within*
is the sum of three terms: *relaxation*, vertical − D_e, what the fragments gain when their atoms
move, never negative; *spin*, valence − vertical, what they gain when the spins of a cut multiple
bond pair up again, never negative; and *reorganisation*, the rest: the energy of all pairs across
the cut minus the valence-state energy. It contains what the electrons of the frozen fragments do,
and the choice of gauge, how much of a bond the model books on pairs within the fragments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float
from rdkit import Chem

from e3d.bde import scores
from e3d.chemistry import bonding, motifs
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import Pairs, decompose, pair_energies
from e3d.models.allegro import Model
from e3d.models.pair import PairPotential
from e3d.statistics.grouping import Groups
from e3d.statistics.intervals import Estimate, estimate
from e3d.units import KCAL_PER_MOL_PER_EV

#: The terms of an emergent BDE's deviation from D_e, in the order of the identity.
TERMS = ("across", "within", "error")
#: The terms of `within`, where vertical dissociation energies are known.
WITHIN = ("relaxation", "spin", "reorganisation")
#: Energies of `balance`, in kcal/mol.
ENERGIES = ("bare", "across", "geminal", "error")


def balance(
    models: Mapping[str, Model | PairPotential],
    molecules: Iterable[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """One row per acyclic bond of the relaxed geometries: means over `models` in kcal/mol.

    atomic_energies: the zero of the labels' binding energies in eV. Columns: molecule, smiles
    (canonical), i, j, class; `bare` (−ε), `across` (−Σε of the other pairs across the cut) and
    `geminal`, the part of `across` of atoms two bonds apart, all positive when bound; `error`, the
    models' binding energy of the molecule minus its label. Raises E3DError as `decompose` and
    `Molecule.relaxed` do.
    """
    chosen = [m.relaxed for m in molecules]
    structures = [Atoms(m.atomic_numbers, m.positions[0]) for m in chosen]
    found = []
    for name, model in models.items():
        for entry, pairs in zip(chosen, _pairs(model, structures, progress), strict=True):
            label = float(entry.binding_energies(atomic_energies)[0])
            error = KCAL_PER_MOL_PER_EV * (label - float(pairs.energies.sum()))
            found += [row | {"run": name, "error": error} for row in _cuts(entry, pairs)]
    keys = ["molecule", "smiles", "i", "j", "class"]
    return pd.DataFrame(found).groupby(keys, sort=False).mean(numeric_only=True).reset_index()


def _pairs(
    model: Model | PairPotential, structures: Sequence[Atoms], progress: bool
) -> Iterator[Pairs]:
    if isinstance(model, PairPotential):
        yield from (_pairs_of_potential(model, structure) for structure in structures)
    else:
        yield from map(pair_energies, decompose(model, structures, progress=progress))


def _pairs_of_potential(potential: PairPotential, structure: Atoms) -> Pairs:
    """Every pair of atoms, with φ_ab(r): zero beyond the cutoff, NaN if it was not fitted."""
    pairs = np.column_stack(np.triu_indices(len(structure), k=1))
    lengths = structure.get_all_distances()[tuple(pairs.T)]
    symbols = structure.get_chemical_symbols()
    energies = np.array([
        potential(symbols[i], symbols[j], np.array([length]))[0]
        for (i, j), length in zip(pairs.tolist(), lengths, strict=True)
    ])  # fmt: skip
    return Pairs(pairs, np.zeros((len(pairs), 3), dtype=np.int64), lengths, energies)


def _cuts(entry: Molecule, pairs: Pairs) -> Iterable[dict]:
    graph = bonding.from_mapped_smiles(entry.smiles)
    bonds = bonding.bond_pairs(graph)
    energies = -KCAL_PER_MOL_PER_EV * pairs.energies
    first, second = pairs.pairs.T
    apart = Chem.GetDistanceMatrix(graph)
    for i, j in bonds.tolist():
        if graph.GetBondBetweenAtoms(i, j).IsInRing():
            continue  # cutting it leaves the molecule in one piece
        kept, _ = bonding.sides(graph, i, j)
        side = np.isin(np.arange(len(entry.atomic_numbers)), kept)
        bond = (first == i) & (second == j)
        cut = side[first] != side[second]
        yield {
            "molecule": entry.name,
            "smiles": entry.canonical_smiles,
            "i": i,
            "j": j,
            "class": bonding.bond_class(graph, i, j),
            "bare": float(energies[bond].sum()),
            "across": float(energies[cut & ~bond].sum()),
            "geminal": float(energies[cut & (apart[first, second] == 2)].sum()),
        }


def deviation_parts(bonds: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The deviation of every bond by its `TERMS`: columns that add up to bare − reference.

    bonds: columns bare, across, error and `reference` (D_e), kcal/mol. `across` has its sign in
    the deviation: negative where the other pairs bind.
    """
    deviation = bonds["bare"] - bonds[reference]
    parts = pd.DataFrame({"across": -bonds["across"], "error": bonds["error"]})
    parts["within"] = deviation - parts.sum(axis=1)
    return parts[list(TERMS)]


def parts_within(bonds: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The term `within` by its own terms, `WITHIN`, of bonds with vertical energies.

    bonds: as for `deviation_parts`, and columns vertical and valence, kcal/mol.
    """
    within = deviation_parts(bonds, reference)["within"]
    parts = pd.DataFrame({
        "relaxation": bonds["vertical"] - bonds[reference],
        "spin": bonds["valence"] - bonds["vertical"],
    })  # fmt: skip
    return parts.assign(reorganisation=within - parts.sum(axis=1))[list(WITHIN)]


def shares_of_square(parts: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """Share of each of k terms in the mean square of their sum, E[term · sum] / E[sum²].

    parts in any unit, one column per term. The shares add up to 1. A share is negative where a term
    counteracts the others, and may exceed one.
    """
    total = parts.sum(axis=1)
    return (parts * total[:, None]).mean(axis=0) / (total**2).mean()


def estimated_shares(
    parts: pd.DataFrame, molecules: Groups, *, n_resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """`shares_of_square` by term, with intervals over molecules; parts as of `deviation_parts`."""
    return {
        term: estimate(
            parts.to_numpy(), molecules, statistic=partial(_share, k),
            n_resamples=n_resamples, seed=seed,
        )
        for k, term in enumerate(parts)
    }  # fmt: skip


def _share(k: int, rows: np.ndarray) -> float:
    return float(shares_of_square(rows)[k])


def average_equivalent(
    bonds: pd.DataFrame, keys: Sequence[str], how: Literal["mean", "median"]
) -> pd.DataFrame:
    """One row per group of bonds with the same `keys`: their energies averaged.

    bonds: columns of `balance`, and others, of which the first bond's are taken.
    """
    others = [column for column in bonds if column not in (*keys, *ENERGIES)]
    columns = dict.fromkeys(ENERGIES, how) | dict.fromkeys(others, "first")
    return bonds.groupby(list(keys)).agg(columns).reset_index()


def surroundings(molecules: Iterable[Molecule], bonds: pd.DataFrame) -> np.ndarray:
    """What surrounds each bond, the first of `motifs.SURROUNDINGS` that fits, else ordinary.

    bonds: columns molecule (a name), i, j. Texts (n,).
    """
    wanted = set(bonds["molecule"])
    graphs = {m.name: bonding.from_mapped_smiles(m.smiles) for m in molecules if m.name in wanted}
    rows = bonds[["molecule", "i", "j"]].itertuples(index=False)
    return np.array([
        motifs.motifs_of(graphs[name], [(i, j)], motifs.SURROUNDINGS)[0] for name, i, j in rows
    ])  # fmt: skip


def means_by_surroundings(
    values: pd.DataFrame,
    kinds: np.ndarray,
    molecules: pd.Series,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[tuple[str, str], Estimate]:
    """Mean of every column by kind of `surroundings` (n,), in their unit, by (kind, column).

    Intervals over molecules (n,); none where there are fewer than `scores.MIN_MOLECULES`.
    """
    found = {}
    for kind in [name for name in (*motifs.SURROUNDINGS, motifs.ORDINARY) if name in kinds]:
        own = kinds == kind
        groups = molecules[own].to_numpy()
        if len(set(groups)) < scores.MIN_MOLECULES:
            groups = np.zeros(own.sum())  # one group has no interval
        for column in values:
            found[kind, str(column)] = estimate(
                values.loc[own, column], groups, n_resamples=n_resamples, seed=seed
            )
    return found
