"""The bonds of one molecule or structure with their energies over an ensemble of models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure
from e3d.decomposition.domain import Domain, fingerprint
from e3d.decomposition.edges import (
    Decomposition,
    bond_energies,
    decompose,
    dressed_bond_energies,
)
from e3d.decomposition.features import edge_features
from e3d.decomposition.latent import Latent, directed_pairs, distances, last_layer
from e3d.decomposition.warnings import warnings_of
from e3d.decomposition.zeros import Zero, differ, of_atoms, shared_over_bonds, zero_of
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import CHECKPOINTS
from e3d.units import KCAL_PER_MOL_PER_EV

#: Structures with fewer atoms are evaluated by one thread: the others would wait for each other.
SMALL = 500


def default_models() -> list[Path]:
    """Checkpoint folders of the shipped ensemble, the fine-tuned models.

    Raises E3DError when they have not been pulled or trained.
    """
    folders = sorted(file.parent for file in CHECKPOINTS.glob("finetuned-s*/model.yaml"))
    if not folders:
        raise E3DError(f"no model finetuned-s* in {CHECKPOINTS}; `make pull`, or give --model")
    return folders


def bond_report(
    structure: Structure,
    models: Sequence[Model],
    *,
    zeros: Sequence[Zero] = (),
    domain: Domain | None = None,
) -> dict[str, Any]:
    """What `e3d bonds --json` prints: energies of the structure and of each of its bonds.

    zeros: one for each model, by default its own; domain: of the models, if it is known.

    Means over the models; `energy_eV` of a bond is ε, negative when bound, while `bde_…` and
    `dressed_kcal_per_mol` are positive when bound; `std_kcal_per_mol` is the standard deviation of
    the bare value over the models, None for a single one; `conformers_kcal_per_mol` the range of
    the bare value over the conformers of a SMILES, if it has several. In a crystal each bond has a
    `shift`, the cell of atom j. `unfamiliarity`: distance of the bond's environment from those of
    training, as a multiple of what most held-out molecules stay below, mean over the models; None
    for elements that training had not side by side. `energy_eV` of the structure is None where the
    models have different zeros: their total energies have no common mean. `warnings`: sentences.

    Raises E3DError as `decompose` and `zeros.of_atoms` do.
    """
    zeros = list(zeros) or [zero_of(model) for model in models]
    geometries, given = _geometries(structure), (structure.bonds, structure.shifts)
    latents = _latents(models, domain)
    with threads(structure):
        found = [
            _evaluate(model, geometries, structure.bonds, latent)
            for model, latent in zip(models, latents, strict=True)
        ]
    shares = [
        of_one[0].atomic_energies - of_atoms(zero, structure.atoms.numbers)
        for (of_one, _), zero in zip(found, zeros, strict=True)
    ]
    moved = np.stack([shared_over_bonds(share, structure.bonds) for share in shares])
    bare = np.stack([[bond_energies(d, *given) for d in of_one] for of_one, _ in found])
    bare = bare + moved[:, None, :]  # models, conformers, bonds
    dressed = np.stack([dressed_bond_energies(of_one[0], *given)[0] for of_one, _ in found]) + moved
    binding = [
        of_one[0].energy - of_one[0].atomic_energies.sum() + share.sum()
        for (of_one, _), share in zip(found, shares, strict=True)
    ]
    columns = _columns(structure, bare, dressed)
    if domain and all(latents):
        ratios = [away / latent.threshold for (_, away), latent in zip(found, latents, strict=True)
                  if latent is not None and away is not None]  # fmt: skip
        columns["unfamiliarity"] = np.mean(ratios, axis=0)
    apart = differ(zeros, set(structure.atoms.symbols))
    report = {
        "input": structure.name,
        "smiles": structure.smiles,
        "n_atoms": len(structure.atoms),
        "energy_eV": None if apart else float(np.mean([of_one[0].energy for of_one, _ in found])),
        "atomization_energy_eV": 0.0 - float(np.mean(binding)),  # no -0.0 of a single atom
        "sum_rule_error_eV": max(abs(d.sum_rule_error) for of_one, _ in found for d in of_one),
        "models": [model.name for model in models],
        "zero": "; ".join(dict.fromkeys(zero.source for zero in zeros)),
        "symbols": list(structure.atoms.symbols),
        "positions_A": structure.atoms.positions.round(4).tolist(),
        "bonds": _rows(structure, columns),
    }
    return report | {"warnings": warnings_of(report, structure, models, domain, zeros_differ=apart)}


@contextmanager
def threads(structure: Structure) -> Iterator[None]:
    """One thread for small structures, all of them for others."""
    before = torch.get_num_threads()
    if len(structure.atoms) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _geometries(structure: Structure) -> list[Atoms]:
    """The structure, and the other conformers of its molecule."""
    others = [] if structure.conformers is None else list(structure.conformers.positions[1:])
    return [structure.atoms, *(Atoms(structure.atoms.numbers, one) for one in others)]


def _latents(models: Sequence[Model], domain: Domain | None) -> list[Latent | None]:
    """What the domain knows of each model, by its fingerprint."""
    if domain is None:
        return [None] * len(models)
    return [domain.models.get(fingerprint(model)) for model in models]


def _evaluate(
    model: Model, geometries: Sequence[Atoms], bonds: np.ndarray, latent: Latent | None
) -> tuple[list[Decomposition], Float[np.ndarray, " n_bonds"] | None]:
    """Decompositions of all geometries, and how far the bonds of the first are from training."""
    if latent is None or not len(bonds):
        return list(decompose(model, geometries)), None
    edges = list(edge_features(model, geometries))
    features = last_layer(edges[0], bonds)
    pairs = directed_pairs(geometries[0].numbers, bonds)
    return [one.decomposition for one in edges], distances(latent, features, pairs)


def _columns(
    structure: Structure,
    bare: Float[np.ndarray, "n_models n_conformers n_bonds"],
    dressed: Float[np.ndarray, "n_models n_bonds"],
) -> dict[str, Float[np.ndarray, " n_bonds"]]:
    """Columns of the table of bonds from ε in eV."""
    first, n_models = bare[:, 0], len(bare)
    spread = first.std(axis=0, ddof=1) if n_models > 1 else np.full(first.shape[1], math.nan)
    columns = {
        "length_A": bonding.bond_lengths(
            structure.atoms.positions,
            structure.bonds,
            shifts=structure.shifts,
            cell=structure.atoms.cell.array,
        ),
        "energy_eV": first.mean(axis=0),
        "bde_kcal_per_mol": -first.mean(axis=0) * KCAL_PER_MOL_PER_EV,
        "dressed_kcal_per_mol": -dressed.mean(axis=0) * KCAL_PER_MOL_PER_EV,
        "std_kcal_per_mol": spread * KCAL_PER_MOL_PER_EV,
    }
    if bare.shape[1] > 1:
        columns["conformers_kcal_per_mol"] = np.ptp(bare.mean(axis=0), axis=0) * KCAL_PER_MOL_PER_EV
    return columns


def _rows(structure: Structure, columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per bond, None where a number is not defined."""
    rows = []
    for k, (i, j) in enumerate(structure.bonds.tolist()):
        row: dict[str, Any] = {"i": i, "j": j, "class": structure.classes[k]}
        if structure.shifts is not None:
            row["shift"] = structure.shifts[k].tolist()
        numbers = {name: float(values[k]) for name, values in columns.items()}
        rows.append(row | {k: v if math.isfinite(v) else None for k, v in numbers.items()})
    return rows
