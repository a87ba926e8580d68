"""The contents of a data set: tables of its conformations and of its bond classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import units

from e3d import files
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.report import Report
from e3d.data.split import conformation_folds, fold
from e3d.labels.alignment import Alignment

CONFORMATION_COLUMNS = [
    "smiles", "fold", "part", "temperature_K", "n_atoms", "binding_eV_per_atom",
    "rms_force_eV_per_A",
]  # fmt: skip


class Survey(NamedTuple):
    """Tables of the usable molecules of a data set.

    `conformations`: smiles, fold (of the molecule), part (of the conformation), temperature_K,
    n_atoms, binding_eV_per_atom (relative to the aligned zero, negative when bound),
    rms_force_eV_per_A (over all Cartesian components). `bonds`: class, n_bonds, n_molecules,
    n_training_molecules.
    """

    conformations: pd.DataFrame
    bonds: pd.DataFrame


def survey(path: str | Path) -> Survey:
    """The tables of a data set, which is read one molecule at a time."""
    rows: list[tuple] = []
    bonds: Counter[str] = Counter()
    molecules: Counter[str] = Counter()
    training: Counter[str] = Counter()
    with Dataset(path) as dataset:
        zero = dataset.atomic_energies("aligned")
        for molecule in dataset.usable():
            rows += _conformations(molecule, zero)
            classes = molecule.bond_classes
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


def _conformations(molecule: Molecule, zero: Mapping[str, float]) -> list[tuple]:
    """Rows of `CONFORMATION_COLUMNS`; the temperature is −1 where it is not stored."""
    n_atoms = len(molecule.atomic_numbers)
    temperatures = molecule.temperatures
    return list(
        zip(
            [molecule.canonical_smiles] * len(molecule),
            [fold(molecule.smiles)] * len(molecule),
            conformation_folds(molecule),
            np.full(len(molecule), -1) if temperatures is None else temperatures,
            [n_atoms] * len(molecule),
            molecule.binding_energies(zero) / n_atoms,
            np.sqrt((molecule.forces**2).mean(axis=(1, 2))),
            strict=True,
        )
    )


def overview(path: str | Path, report: Report) -> dict[str, int | str]:
    """What a data set holds and where it comes from, as a row of a table.

    report: what `check_dataset` found in the same file.
    """
    with Dataset(path) as dataset:
        attributes = dataset.attributes
    return {
        "molecules": report.n_molecules,
        "conformations": report.n_conformations,
        "passed over": sum(report.skipped.values()),
        "level of theory": attributes["level_of_theory"],
        "license": attributes["license"],
        "file": str(path),
        "SHA-256": files.sha256(path)[:12],
    }


def thermal_energies(conformations: pd.DataFrame) -> pd.DataFrame:
    """The conformations that are not relaxed, with their energies above the relaxed geometry.

    conformations: as of `survey`, with one relaxed geometry (temperature 0) per molecule. Added
    columns: meV_per_atom, and harmonic_fraction, the energy per vibrational mode, of 3N − 6, over
    the ½ kT of a classical harmonic oscillator at that temperature; NaN for molecules of two atoms.
    """
    cold = conformations["temperature_K"] == 0
    relaxed = conformations[cold].set_index("smiles")["binding_eV_per_atom"]
    excess = conformations["binding_eV_per_atom"] - conformations["smiles"].map(relaxed)
    hot = conformations.assign(meV_per_atom=1000 * excess)[conformations["temperature_K"] > 0]
    modes = (3 * hot["n_atoms"] - 6).where(hot["n_atoms"] > 2)
    per_mode = hot["meV_per_atom"] / 1000 * hot["n_atoms"] / modes
    return hot.assign(harmonic_fraction=per_mode / (0.5 * units.kB * hot["temperature_K"]))


def by_temperature(conformations: pd.DataFrame, quantity: str) -> dict[str, pd.Series]:
    """A column by temperature, the lowest first: `relaxed`, `300 K`, …"""
    return {
        "relaxed" if temperature == 0 else f"{temperature} K": rows[quantity]
        for temperature, rows in conformations.groupby("temperature_K")
    }


def fold_counts(conformations: pd.DataFrame) -> dict[str, int]:
    """Number of molecules by fold, and of conformations of training molecules by part."""
    folds = conformations.drop_duplicates("smiles")["fold"].value_counts()
    parts = conformations.loc[conformations["fold"] == "train", "part"].value_counts()
    return {
        f"{of}: {name}": int(counts.get(name, 0))
        for of, counts in {"molecules": folds, "conformations of training molecules": parts}.items()
        for name in ("train", "validation", "test")
    }


def folds_in_use(conformations: pd.DataFrame) -> dict[str, str]:
    """Fold of every molecule, by SMILES, as its conformations are used; for `assert_no_leak`.

    A molecule with any conformation for training is a training molecule.
    """
    return {
        smiles: "train" if "train" in set(parts) else parts.iloc[0]
        for smiles, parts in conformations.groupby("smiles")["part"]
    }


def residuals_by_class(alignment: Alignment, dft_paths: list[str | Path]) -> pd.DataFrame:
    """Median alignment residuals in meV/atom of the molecules with each bond class.

    dft_paths: the data sets of the alignment. Columns: class, n_molecules, median, and
    median_without, that of all other molecules. Positive: the method binds too weakly.
    """
    classes: dict[str, set[str]] = {}
    for path in dft_paths:
        with Dataset(path) as dataset:
            for molecule in dataset.usable():
                classes.setdefault(molecule.canonical_smiles, set(molecule.bond_classes))
    residuals = alignment.residuals.set_index("smiles")["residual_meV_per_atom"]
    rows = []
    for name in sorted(set().union(*classes.values())):
        held = np.array([name in classes[smiles] for smiles in residuals.index])
        rows.append((name, held.sum(), residuals[held].median(), residuals[~held].median()))
    return pd.DataFrame(rows, columns=["class", "n_molecules", "median", "median_without"])
