"""The bonds of one molecule or structure with their energies over an ensemble of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from rdkit import Chem, rdBase

from e3d.chemistry import bonding
from e3d.chemistry.xtb import relax
from e3d.decomposition.edges import bond_energies, decompose, dressed_bond_energies
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import CHECKPOINTS
from e3d.units import KCAL_PER_MOL_PER_EV

#: In a crystal, atoms closer than this many times the sum of their covalent radii are bonded.
CRYSTAL_BOND_FACTOR = 1.25


@dataclass(frozen=True)
class Structure:
    """Atoms and their bonds i ≤ j; `shifts` are the cells of j, None for a molecule.

    smiles: as given, or perceived from a file; None where no bond orders are known.
    """

    smiles: str | None
    atoms: Atoms
    bonds: np.ndarray
    classes: list[str]
    shifts: np.ndarray | None = None


def default_models() -> list[Path]:
    """Checkpoint folders of the shipped ensemble, the fine-tuned models.

    Raises E3DError when they have not been pulled or trained.
    """
    folders = sorted(file.parent for file in CHECKPOINTS.glob("finetuned-s*/model.yaml"))
    if not folders:
        raise E3DError(f"no model finetuned-s* in {CHECKPOINTS}; `make pull`, or give --model")
    return folders


def structure_of(
    text: str, *, elements: Sequence[str], charge: int = 0, seed: int = 1
) -> Structure:
    """A SMILES, embedded and relaxed with GFN2-xTB, or a structure file, used as given.

    elements: those that may occur; charge in e, of a file; seed of the embedding.

    Raises E3DError for a file that cannot be read, and for a SMILES that is no single neutral
    closed-shell molecule, has other elements, or whose bonds change on relaxation.
    """
    from ase.io.formats import extension2format

    path = Path(text)
    if path.is_file() or path.suffix.removeprefix(".").lower() in extension2format:
        return from_file(path, elements=elements, charge=charge)
    return from_smiles(text, elements=elements, seed=seed)


def from_smiles(smiles: str, *, elements: Sequence[str], seed: int = 1) -> Structure:
    """See `structure_of`. Atoms in the order of RDKit's molecule with hydrogens added."""
    graph = bonding.parse_smiles(smiles)
    if len(Chem.GetMolFrags(graph)) > 1:
        raise E3DError(
            f"SMILES {smiles!r} has {len(Chem.GetMolFrags(graph))} fragments, whose distance it "
            "does not tell; give one molecule, or a structure file"
        )
    _check_elements(smiles, {atom.GetSymbol() for atom in graph.GetAtoms()}, elements)
    bonding.check_closed_shell(graph)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    positions = relax(numbers, bonding.embed(graph, seed=seed))
    if not bonding.keeps_its_bonds(graph, positions):
        raise E3DError(
            f"{smiles}: its bonds change on relaxation with GFN2-xTB; give a structure file"
        )
    return _molecule(smiles, Atoms(numbers, positions), graph)


def from_file(path: Path, *, elements: Sequence[str], charge: int = 0) -> Structure:
    """See `structure_of`. Bonds are perceived from the geometry; in a crystal without orders."""
    import ase.io

    if not path.exists():
        raise E3DError(f"{path} does not exist; expected a SMILES or a structure file")
    try:
        atoms: Any = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever their parsers meet
        cause = " ".join(str(error).split()) or type(error).__name__
        raise E3DError(f"{path} cannot be read as a structure by ASE ({cause})") from error
    if len(atoms) == 0 or not np.isfinite(atoms.positions).all():
        raise E3DError(f"{path}: expected at least one atom and finite positions")
    _check_elements(str(path), set(atoms.symbols), elements)
    if atoms.pbc.any():
        return _crystal(atoms)
    graph = bonding.perceive(atoms.numbers, atoms.positions, charge=charge)
    known = all(bond.GetBondType() in bonding.ORDER_SYMBOLS for bond in graph.GetBonds())
    with rdBase.BlockLogs():  # such as on hydrogen atoms without neighbours
        smiles = Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(graph))) if known else None
    return _molecule(smiles, atoms, graph)


def _check_elements(label: str, found: set[str], known: Sequence[str]) -> None:
    if unknown := sorted(found - set(known)):
        raise E3DError(
            f"{label}: the model does not know {', '.join(unknown)}; its elements are "
            f"{', '.join(known)}"
        )


def _molecule(smiles: str | None, atoms: Atoms, graph: Chem.Mol) -> Structure:
    bonds = bonding.bond_pairs(graph)
    classes = [bonding.bond_class(graph, i, j) for i, j in bonds.tolist()]
    return Structure(smiles, atoms, bonds, classes)


def _crystal(atoms: Atoms) -> Structure:
    """Bonds of a periodic structure by covalent radii; bonds to other images are separate bonds."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    i, j, shifts = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=CRYSTAL_BOND_FACTOR))
    once = [(a, *s) < (b, *(-s)) for a, b, s in zip(i, j, shifts, strict=True)]  # of two directions
    bonds = np.column_stack([i, j])[once].astype(np.int64)
    classes = ["~".join(sorted((atoms[a].symbol, atoms[b].symbol))) for a, b in bonds]
    return Structure(None, atoms, bonds, classes, shifts[once].astype(np.int64))


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
