"""The bonds of one molecule or structure with their energies over an ensemble of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure
from e3d.decomposition.edges import bond_energies, decompose, dressed_bond_energies
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import CHECKPOINTS
from e3d.units import KCAL_PER_MOL_PER_EV


def default_models() -> list[Path]:
    """Checkpoint folders of the shipped ensemble, the fine-tuned models.

    Raises E3DError when they have not been pulled or trained.
    """
    folders = sorted(file.parent for file in CHECKPOINTS.glob("finetuned-s*/model.yaml"))
    if not folders:
        raise E3DError(f"no model finetuned-s* in {CHECKPOINTS}; `make pull`, or give --model")
    return folders


def bond_report(structure: Structure, models: Sequence[Model]) -> dict[str, Any]:
    """What `e3d bonds --json` prints: energies of the structure and of each of its bonds.

    Means over the models; `energy_eV` of a bond is ε, negative when bound, while `bde_…` and
    `dressed_kcal_per_mol` are positive when bound; `std_kcal_per_mol` is the standard deviation of
    the bare value over the models, None for a single one. In a crystal each bond has a `shift`, the
    cell of atom j. Raises E3DError as `decompose` does.
    """
    decompositions = [next(decompose(model, [structure.atoms])) for model in models]
    given = (structure.bonds, structure.shifts)
    bare = np.stack([bond_energies(d, *given) for d in decompositions])
    dressed = np.stack([dressed_bond_energies(d, *given)[0] for d in decompositions])
    binding = [float(d.energy - d.atomic_energies.sum()) for d in decompositions]
    spread = bare.std(axis=0, ddof=1) if len(models) > 1 else np.full(bare.shape[1], math.nan)
    columns = {
        "length_A": bonding.bond_lengths(
            structure.atoms.positions,
            structure.bonds,
            shifts=structure.shifts,
            cell=structure.atoms.cell.array,
        ),
        "energy_eV": bare.mean(axis=0),
        "bde_kcal_per_mol": -bare.mean(axis=0) * KCAL_PER_MOL_PER_EV,
        "dressed_kcal_per_mol": -dressed.mean(axis=0) * KCAL_PER_MOL_PER_EV,
        "std_kcal_per_mol": spread * KCAL_PER_MOL_PER_EV,
    }
    return {
        "smiles": structure.smiles,
        "n_atoms": len(structure.atoms),
        "energy_eV": float(np.mean([d.energy for d in decompositions])),
        "atomization_energy_eV": 0.0 - float(np.mean(binding)),  # no -0.0 of a single atom
        "sum_rule_error_eV": max(abs(d.sum_rule_error) for d in decompositions),
        "bonds": _rows(structure, columns),
    }


def _rows(structure: Structure, columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per bond, None where a number is not defined."""
    rows = []
    for k, (i, j) in enumerate(structure.bonds.tolist()):
        row: dict[str, Any] = {"i": i, "j": j, "class": structure.classes[k]}
        if structure.shifts is not None:
            row["shift"] = structure.shifts[k].tolist()
        numbers = {name: float(values[k]) for name, values in columns.items()}
        rows.append(row | {k: None if math.isnan(v) else v for k, v in numbers.items()})
    return rows


def report_text(report: dict[str, Any]) -> str:
    """A report for a terminal: a line about the structure, and a table of its bonds."""
    head = (
        f"{report['smiles'] or 'structure'}: {report['n_atoms']} atoms, energy "
        f"{report['energy_eV']:.4f} eV, atomization energy {report['atomization_energy_eV']:.4f} eV"
        f", sum rule kept to {report['sum_rule_error_eV']:.0e} eV"
    )
    if not report["bonds"]:
        return f"{head}\nno bonds"
    table = pd.DataFrame(report["bonds"])
    numbers = table.columns.difference(["i", "j", "class", "shift"])
    table = table.astype(dict.fromkeys(numbers, float))
    decimals = {"length_A": 3, "energy_eV": 3}
    formats = {name: f"{{:.{decimals.get(name, 1)}f}}".format for name in numbers}
    return f"{head}\n{table.to_string(index=False, formatters=formats, na_rep='-')}"
