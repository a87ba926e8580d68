"""Reaction paths for training, in two halves: a model that saw one is judged by the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e3d.dataset import Dataset, write_dataset
from e3d.path_data import LabelledPath, read_paths
from e3d.reactions import Reaction
from e3d.split import fold

HALVES = ("first", "second")


def halves(paths: Sequence[LabelledPath]) -> dict[str, str]:
    """Half of each reaction, by its name; reactions of one composition are in the same half.

    Compositions in alphabetical order go to the first and the second half in turn, so this needs
    all paths of a file.
    """
    formulas = sorted({one.reaction.formula for one in paths})
    return {one.reaction.name: HALVES[formulas.index(one.reaction.formula) % 2] for one in paths}


def may_train(reaction: Reaction) -> bool:
    """Whether every molecule at both ends is of the training fold."""
    return all(fold(smiles) == "train" for smiles in reaction.molecules)


def write_halves(paths_file: str | Path) -> dict[str, int]:
    """Write `<paths_file>-first.h5` and `-second.h5`; returns how many frames each has.

    Left out are paths with an end outside the training fold, and those whose saddle point is not of
    one closed shell; a half without any other has no file.
    """
    paths_file = Path(paths_file)
    paths = read_paths(paths_file)
    of = halves(paths)
    with Dataset(paths_file) as dataset:
        atoms, level = dataset.atomic_energies(), dataset.attributes["level_of_theory"]
    counts = {}
    for half in HALVES:
        part = [one.labels for one in paths if of[one.reaction.name] == half
                and may_train(one.reaction) and one.stable is not False]  # fmt: skip
        counts[half] = sum(map(len, part))
        if not part:
            continue
        out = paths_file.with_name(f"{paths_file.stem}-{half}.h5")
        provenance = f"The {half} half of {paths_file.name}, for training."
        write_dataset(
            out, part, level_of_theory=level, atomic_energies=atoms, provenance=provenance
        )
    return counts
