"""What is in a data set: one row per conformation, and one per bond class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from e3d.chemistry.bonding import bond_class, bond_pairs, from_mapped_smiles
from e3d.data.dataset import Dataset, Molecule
from e3d.data.split import conformation_folds, fold
from e3d.labels.alignment import Alignment

CONFORMATION_COLUMNS = [
    "smiles", "fold", "part", "temperature_K", "n_atoms", "binding_eV_per_atom",
    "rms_force_eV_per_A",
]  # fmt: skip


class Survey(NamedTuple):
    """Tables of the usable part of a data set.

    `conformations`: smiles, fold (of the molecule), part (of the conformation), temperature_K,
    n_atoms, binding_eV_per_atom (relative to the aligned zero, negative when bound),
    rms_force_eV_per_A (over all Cartesian components). `bonds`: class, n_bonds, n_molecules,
    n_training_molecules.
    """

    conformations: pd.DataFrame
    bonds: pd.DataFrame


def survey(path: str | Path) -> Survey:
    """Read a data set once; a molecule at a time is in memory beside the tables."""
    rows: list[tuple] = []
    bonds: Counter[str] = Counter()
    molecules: Counter[str] = Counter()
    training: Counter[str] = Counter()
    with Dataset(path) as dataset:
        zero = dataset.atomic_energies("aligned")
        for molecule in dataset.usable():
            rows += _conformations(molecule, zero)
            classes = bond_classes(molecule)
            bonds.update(classes)
            molecules.update(set(classes))
            if fold(molecule.smiles) == "train":
                training.update(set(classes))
    table = pd.DataFrame(
        [(name, bonds[name], molecules[name], training[name]) for name in bonds],
        columns=["class", "n_bonds", "n_molecules", "n_training_molecules"],
    )
    table = table.sort_values(["n_molecules", "class"], ascending=[False, True], ignore_index=True)
    return Survey(pd.DataFrame(rows, columns=CONFORMATION_COLUMNS), table)


def bond_classes(molecule: Molecule) -> list[str]:
    """Class of every bond of a molecule, by its SMILES."""
    graph = from_mapped_smiles(molecule.smiles)
    return [bond_class(graph, i, j) for i, j in bond_pairs(graph)]


def _conformations(molecule: Molecule, zero: Mapping[str, float]) -> list[tuple]:
    """Rows of `CONFORMATION_COLUMNS`; the temperature is -1 where it is not stored."""
    n_atoms = len(molecule.atomic_numbers)
    atoms = sum(zero[chemical_symbols[z]] for z in molecule.atomic_numbers)
    temperatures = molecule.temperatures
    return list(
        zip(
            [molecule.canonical_smiles] * len(molecule),
            [fold(molecule.smiles)] * len(molecule),
            conformation_folds(molecule),
            np.full(len(molecule), -1) if temperatures is None else temperatures,
            [n_atoms] * len(molecule),
            (molecule.energies - atoms) / n_atoms,
            np.sqrt((molecule.forces**2).mean(axis=(1, 2))),
            strict=True,
        )
    )


def folds_in_use(conformations: pd.DataFrame) -> dict[str, str]:
    """Fold that the parts of a molecule's conformations imply, by SMILES, for `assert_no_leak`.

    A molecule with a training conformation is a training molecule.
    """
    return {
        smiles: "train" if "train" in set(parts) else parts.iloc[0]
        for smiles, parts in conformations.groupby("smiles")["part"]
    }


def residuals_by_class(alignment: Alignment, dft_paths: list[str | Path]) -> pd.DataFrame:
    """Alignment residuals of the molecules that hold each bond class, in meV/atom.

    Columns: class, n_molecules, median, median_without (of all other molecules). Positive: the
    method binds too weakly.
    """
    classes: dict[str, set[str]] = {}
    for path in dft_paths:
        with Dataset(path) as dataset:
            for molecule in dataset.usable():
                classes.setdefault(molecule.canonical_smiles, set(bond_classes(molecule)))
    residuals = alignment.residuals.set_index("smiles")["residual_meV_per_atom"]
    rows = []
    for name in sorted(set().union(*classes.values())):
        held = np.array([name in classes[smiles] for smiles in residuals.index])
        rows.append((name, held.sum(), residuals[held].median(), residuals[~held].median()))
    return pd.DataFrame(rows, columns=["class", "n_molecules", "median", "median_without"])
