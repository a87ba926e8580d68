"""The global split: the molecules and conformations that a model may be trained on.

A molecule's fold is a function of its canonical SMILES alone (no atom maps, no stereochemistry), so
a molecule held out of one data set is held out of all others and of every pre-training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from e3d.chemistry.bonding import canonical_smiles
from e3d.data.molecule import Molecule
from e3d.errors import E3DError

if TYPE_CHECKING:
    import pandas as pd

Fold = Literal["train", "validation", "test"]
#: What can be held out: conformations of molecules that were trained on, or whole molecules.
HeldOut = Literal["conformations", "molecules"]
#: Shares of molecules held out.
MOLECULE_SHARES = {"validation": 0.05, "test": 0.10}
#: Shares of the sampled conformations of a training molecule that are held out.
CONFORMATION_SHARES = {"validation": 0.05, "test": 0.10}


def _uniform(text: str) -> float:
    """A number in [0, 1) that depends on the text alone: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _draw(text: str, shares: Mapping[str, float]) -> Fold:
    number = _uniform(text)
    if number < shares["test"]:
        return "test"
    return "validation" if number < shares["test"] + shares["validation"] else "train"


def fold(smiles: str) -> Fold:
    """Fold of a molecule, the same for all of its SMILES.

    Raises E3DError when the SMILES cannot be parsed.
    """
    return _draw(canonical_smiles(smiles), MOLECULE_SHARES)


def conformation_folds(molecule: Molecule) -> list[Fold]:
    """Folds of a molecule's M conformations, in their order in the data set.

    Conformations of a held-out molecule share its fold. Relaxed geometries (temperature 0) of
    training molecules always train: they are what bond energies are read from.
    """
    canonical, temperatures = molecule.canonical_smiles, molecule.temperatures
    of_molecule = _draw(canonical, MOLECULE_SHARES)
    if of_molecule != "train":
        return [of_molecule] * len(molecule)
    relaxed = np.zeros(len(molecule), bool) if temperatures is None else temperatures == 0
    return [
        "train" if relaxed[k] else _draw(f"{canonical} {k}", CONFORMATION_SHARES)
        for k in range(len(molecule))
    ]


def select(
    molecules: Iterable[Molecule], part: Fold, held_out: HeldOut | None = None
) -> Iterator[Molecule]:
    """The conformations that training used (`train`), chose by (`validation`) or never saw.

    held_out: of `validation` and `test`, only conformations of molecules that were trained on, or
    only molecules of which nothing was trained on (None: both). The training part is always the
    same.
    """
    for molecule in molecules:
        trained_on = fold(molecule.canonical_smiles) == "train"
        if part == "train" or held_out is None or trained_on == (held_out == "conformations"):
            mask = np.array([found == part for found in conformation_folds(molecule)], dtype=bool)
            if mask.any():
                yield molecule.select(mask)


def draw(
    molecules: Sequence[Molecule], n_molecules: int, *, keep: Iterable[str] = (), seed: int = 0
) -> list[Molecule]:
    """`n_molecules` in their order: the test fold, those of `keep`, and others drawn at random.

    keep: canonical SMILES.
    """
    kept = set(keep)
    names = [molecule.canonical_smiles for molecule in molecules]
    fixed = np.array([name in kept or fold(name) == "test" for name in names], dtype=bool)
    others = np.random.default_rng(seed).permutation(np.flatnonzero(~fixed))
    chosen = [*np.flatnonzero(fixed), *others[: max(n_molecules - int(fixed.sum()), 0)]]
    return [molecules[k] for k in sorted(chosen)]


def split_table(molecules: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """Fold of every molecule of several data sets, as it is written to `results/split.csv`.

    `molecules` maps the name of a data set to the SMILES it holds. Columns: smiles (canonical,
    unique, sorted), fold, data_sets (names, separated by spaces).
    """
    import pandas as pd  # not for every process that trains

    held_by: dict[str, list[str]] = {}
    for name, entries in molecules.items():
        for smiles in sorted({canonical_smiles(entry) for entry in entries}):
            held_by.setdefault(smiles, []).append(name)
    return pd.DataFrame(
        [(smiles, fold(smiles), " ".join(held_by[smiles])) for smiles in sorted(held_by)],
        columns=["smiles", "fold", "data_sets"],
    )


def assert_no_leak(table: pd.DataFrame, held_in: Mapping[str, Mapping[str, str]]) -> None:
    """Check that no molecule is trained on in one data set and held out in another.

    `table` as of `split_table`; `held_in` maps a data set to {SMILES of a molecule: fold in use}.
    Raises E3DError that names the first molecule whose fold differs from the table.
    """
    written = dict(zip(table["smiles"], table["fold"], strict=True))
    for name, folds in held_in.items():
        for smiles, used in folds.items():
            listed = written.get(canonical_smiles(smiles))
            if listed != used:
                raise E3DError(
                    f"leak: {smiles} of {name} is used for {used}, but the split lists "
                    f"{listed or 'no fold'}; write the split again and retrain"
                )
