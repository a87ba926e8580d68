"""Bond dissociation energies by models that were trained on radicals, and what these had seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
from ase import Atoms
from tqdm import tqdm

from e3d.data.dataset import Dataset
from e3d.data.split import fold
from e3d.decomposition.edges import bond_energies, decompose
from e3d.decomposition.tables import ModelSpec
from e3d.labels import fragments
from e3d.statistics.comparison import Comparison, compare
from e3d.statistics.intervals import UNBOUNDED
from e3d.units import KCAL_PER_MOL_PER_EV

#: Whether the radicals that a bond leaves were trained on.
SEEN, UNSEEN = "a radical trained on", "no radical trained on"


def labelled_radicals(paths: Sequence[str | Path]) -> dict[str, int]:
    """Conformations in the training fold of every radical of some files, by canonical SMILES.

    Raises E3DError as `Dataset` does.
    """
    found: dict[str, int] = {}
    for path in paths:
        with Dataset(path) as dataset:
            for entry in dataset:
                if fold(entry.smiles) == "train":
                    name = entry.canonical_smiles
                    found[name] = found.get(name, 0) + len(entry)
    return found


def separations(path: str | Path, classes: Collection[str]) -> pd.DataFrame:
    """Bonds of the molecules in a file of relaxed species whose two radicals are in it as well.

    classes: of the bonds. Columns: smiles (canonical, of the molecule), i, j, class, fragments
    (SMILES of the two radicals, joined by " + "), reference_kcal_per_mol, by DFT, positive when
    bound. Raises E3DError as `read_species` does.
    """
    species = fragments.read_species(path)
    closed = species.index[species["unpaired"] == 0]
    bonds = [bond for smiles in closed for bond in fragments.dissociations(smiles, classes)]
    ends = pd.DataFrame(
        [(b.parent, b.bond_class, " + ".join(b.fragments), b.i, b.j) for b in bonds],
        columns=["smiles", "class", "fragments", "i", "j"],
    )
    found = fragments.fragment_bdes(bonds, species)
    found = found.rename(columns={"fragment_bde_kcal_per_mol": "reference_kcal_per_mol"})
    return found.merge(ends, on=["smiles", "class", "fragments"], validate="1:1")


def with_models(
    bonds: pd.DataFrame,
    path: str | Path,
    specs: Mapping[str, ModelSpec],
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """`separations` with the energies of models at the same geometries, kcal/mol.

    Columns of each run: `bare:<run>`, −ε of the bond, and `fragment:<run>`, E(A•) + E(B•) − E(AB).
    Raises E3DError as `decompose` does.
    """
    images = {image.info["smiles"]: image for image in ase.io.read(path, ":", format="extxyz")}
    table = bonds.copy()
    for run, spec in tqdm(specs.items(), unit="model", disable=not progress):
        table[f"bare:{run}"], table[f"fragment:{run}"] = _of_model(bonds, images, spec)
    return table


def _of_model(
    bonds: pd.DataFrame, images: Mapping[str, Atoms], spec: ModelSpec
) -> tuple[np.ndarray, np.ndarray]:
    """−ε and fragment BDE of every bond by one model, kcal/mol, each (n,)."""
    pairs = bonds["fragments"].str.split(" + ", regex=False)
    names = sorted({*bonds["smiles"], *(name for pair in pairs for name in pair)})
    parts = dict(zip(names, decompose(spec.load(), map(images.get, names)), strict=True))  # type: ignore[arg-type]
    total = {name: part.edge_energies.sum() for name, part in parts.items()}
    fragment = [
        sum(total[name] for name in pair) - total[smiles]
        for smiles, pair in zip(bonds["smiles"], pairs, strict=True)
    ]
    bare = [
        -bond_energies(parts[row.smiles], np.array([[row.i, row.j]]))[0]
        for row in bonds.itertuples()
    ]
    return KCAL_PER_MOL_PER_EV * np.array(bare), KCAL_PER_MOL_PER_EV * np.array(fragment)


def familiarity(radicals: Sequence[Collection[str]], trained_on: Collection[str]) -> np.ndarray:
    """`SEEN` where one of the radicals that a bond can leave was trained on, else `UNSEEN`; (n,).

    The hydrogen atom does not count: its energy is the zero of all labels.
    """
    known = set(trained_on) - {"[H]"}
    return np.array([SEEN if known & set(own) else UNSEEN for own in radicals])


def possible_radicals(smiles: str, bond_class: str) -> set[str]:
    """SMILES of all radicals that breaking a single bond of a class can leave of a molecule."""
    return {
        name for bond in fragments.dissociations(smiles, [bond_class]) for name in bond.fragments
    }


def mean_radical_errors(
    paths: Sequence[str | Path], specs: Mapping[str, ModelSpec]
) -> dict[str, float]:
    """Mean error of each model's energy of the radicals of the training fold, kcal/mol.

    paths: labelled radicals; model less label, so negative where radicals are too strongly bound.
    What one constant per radical could mend. Raises E3DError as `Dataset` and `decompose` do.
    """
    images, labels = [], []
    for path in paths:
        with Dataset(path) as dataset:
            zero = dataset.atomic_energies("aligned")
            for entry in dataset:
                if fold(entry.smiles) == "train":
                    images += [Atoms(entry.atomic_numbers, frame) for frame in entry.positions]
                    labels += entry.binding_energies(zero).tolist()
    found = {}
    for run, spec in specs.items():
        totals = [part.edge_energies.sum() for part in decompose(spec.load(), images)]
        found[run] = KCAL_PER_MOL_PER_EV * float(np.mean(np.array(totals) - labels))
    return found


def n_radicals(bond_classes: Sequence[str]) -> np.ndarray:
    """How many fragments of single bonds of a class are radicals, not hydrogen atoms; (n,)."""
    return np.array([sum(symbol != "H" for symbol in name.split("-")) for name in bond_classes])


def compared(
    rows: pd.DataFrame,
    sources: Mapping[str, Sequence[str]],
    statistic: Callable[..., float],
    *,
    limits: tuple[float, float] = UNBOUNDED,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """`statistic(values, references)` of every source, resampled over molecules.

    sources: columns of the seeds of every source, in kcal/mol, whose mean it is; limits as for
    `compare`.
    """
    rows = rows.reset_index(drop=True)
    means = {name: rows[list(members)].mean(axis=1) for name, members in sources.items()}
    return compare(
        means, rows["reference_kcal_per_mol"], statistic=statistic, groups=rows["smiles"],
        seeds={name: rows[list(members)] for name, members in sources.items()},
        limits=limits, n_resamples=n_resamples, seed=seed,
    )  # fmt: skip


def mean_deviation(values: np.ndarray, references: np.ndarray) -> float:
    """Mean signed deviation, in the unit of the values."""
    return float(np.mean(values - references))
