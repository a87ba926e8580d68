"""Errors of a model on conformations and molecules that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from e3d.data.dataset import read_molecules
from e3d.data.molecule import Molecule, conformations
from e3d.data.split import Fold, HeldOut, select
from e3d.models import batches
from e3d.models.allegro import Model, load_model
from e3d.statistics.intervals import Estimate, estimate

#: Unit of each column of `residuals` that `errors` averages.
ERRORS = {
    "energy_mae_meV_per_atom": "meV/atom",
    "forces_mae_meV_per_A": "meV/Å",
}


def predict(model: Model, structures: Sequence[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Total energies (n,) in eV and forces, one (n_atoms, 3) array per structure, in eV/Å.

    Raises E3DError for a structure with an element that the model does not know.
    """
    from nequip.data import AtomicDataDict as Keys

    energies, forces = [], []
    for batch in batches.batches(model, structures):
        out = model.module(batch)
        energies.append(out[Keys.TOTAL_ENERGY_KEY].detach().flatten().cpu().to(torch.float64))
        sizes = batch[Keys.NUM_NODES_KEY].tolist()
        forces += out[Keys.FORCE_KEY].detach().cpu().to(torch.float64).split(sizes)
    return torch.cat(energies).numpy(), [block.numpy() for block in forces]


#: Cached, because many models are evaluated on one data set, whose validation takes long.
_read = lru_cache(maxsize=2)(read_molecules)


def residuals(
    model: Model, paths: str | Sequence[str], held_out: HeldOut, *, part: Fold = "test"
) -> pd.DataFrame:
    """`label_errors` on the conformations of one part of the data sets."""
    read, _ = _read(paths if isinstance(paths, str) else tuple(paths))
    return label_errors(model, list(select(read, part, held_out)))


def label_errors(model: Model, molecules: Sequence[Molecule]) -> pd.DataFrame:
    """Errors of a model, one row per conformation.

    Columns: molecule, temperature (K, -1 where unknown), n_atoms, energy_meV_per_atom (model minus
    label), energy_mae_meV_per_atom and forces_mae_meV_per_A (mean over the components).
    """
    frames = list(conformations(molecules))
    energies, forces = predict(model, frames)
    n_atoms = np.array([len(atoms) for atoms in frames])
    error = 1000 * (energies - np.concatenate([m.energies for m in molecules])) / n_atoms
    labels = [block for m in molecules for block in m.forces]
    unknown = [np.full(len(m), -1) for m in molecules]
    return pd.DataFrame(
        {
            "molecule": np.repeat([m.name for m in molecules], [len(m) for m in molecules]),
            "temperature": np.concatenate(
                [
                    other if m.temperatures is None else m.temperatures
                    for m, other in zip(molecules, unknown, strict=True)
                ]
            ),
            "n_atoms": n_atoms,
            "energy_meV_per_atom": error,
            "energy_mae_meV_per_atom": np.abs(error),
            "forces_mae_meV_per_A": [
                1000 * np.abs(found - label).mean()
                for found, label in zip(forces, labels, strict=True)
            ],
        }
    )


def held_out_residuals(checkpoint: str | Path) -> dict[HeldOut, pd.DataFrame]:
    """`residuals` of a checkpoint on both test parts of the data sets that it was trained on."""
    model = load_model(checkpoint, device="cpu")
    training = model.metadata["training"]
    paths = [training["dataset"], *training.get("more_datasets", [])]
    parts: tuple[HeldOut, ...] = ("conformations", "molecules")
    return {held_out: residuals(model, paths, held_out) for held_out in parts}


def errors(table: pd.DataFrame) -> dict[str, Estimate]:
    """Mean absolute errors of `residuals` with intervals from a bootstrap over molecules."""
    return {name: estimate(table[name], table["molecule"]) for name in ERRORS}
