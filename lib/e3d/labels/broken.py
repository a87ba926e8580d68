"""Training sets of broken bonds, put together from files of labelled radicals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.split import fold
from e3d.data.writing import write_dataset
from e3d.errors import E3DError


def trainable(paths: Sequence[str | Path], kinds: Sequence[str]) -> list[Molecule]:
    """Labelled radicals of the training fold, of the `kinds` that `labels.radicals` names.

    A radical belongs to the fold of its own SMILES, as any molecule does. Raises E3DError as
    `Dataset` does, and when there is none.
    """
    found = []
    for path in paths:
        with Dataset(path) as dataset:
            found += [entry for entry in dataset if entry.subset in kinds]
    chosen = [entry for entry in found if fold(entry.smiles) == "train"]
    if not chosen:
        raise E3DError(f"no radical of the training fold among the kinds {', '.join(kinds)}")
    return [_numbered(entry) for entry in chosen]


def _numbered(entry: Molecule) -> Molecule:
    """The same radical under a name that tells relaxed and displaced conformations apart."""
    names = {"relaxed": entry.name, "displaced": f"{entry.name}, displaced", "frozen": entry.name}
    return Molecule(**{**vars(entry), "name": names[entry.subset]})


def draw(radicals: Sequence[Molecule], n_conformations: int, *, seed: int = 0) -> list[Molecule]:
    """So many conformations of radicals at random, a smaller draw being a part of a larger one.

    n_conformations: 0 for all. Raises E3DError when there are fewer.
    """
    places = [(k, c) for k, entry in enumerate(radicals) for c in range(len(entry))]
    if n_conformations > len(places):
        raise E3DError(f"{n_conformations} conformations of radicals wanted, {len(places)} there")
    order = np.random.default_rng(seed).permutation(len(places))
    chosen = sorted(places[k] for k in order[: n_conformations or len(places)])
    return [
        entry.select(np.array(kept))
        for k, entry in enumerate(radicals)
        if (kept := [c for j, c in chosen if j == k])
    ]


def write_set(
    out: str | Path,
    paths: Sequence[str | Path],
    kinds: Sequence[str],
    n_conformations: int = 0,
    *,
    seed: int = 0,
) -> int:
    """Write a training set of radicals; number of its conformations.

    paths: files of labelled radicals of one level of theory. Raises E3DError as `trainable` and
    `draw` do.
    """
    with Dataset(paths[0]) as first:
        level = first.attributes["level_of_theory"]
    atoms: dict[str, float] = {}
    for path in paths:
        with Dataset(path) as dataset:
            atoms |= dataset.atomic_energies()
    radicals = draw(trainable(paths, kinds), n_conformations, seed=seed)
    write_dataset(
        out, radicals, level_of_theory=level, atomic_energies=atoms,
        provenance=f"Radicals of the training fold: {', '.join(kinds)}.",
    )  # fmt: skip
    return sum(map(len, radicals))
