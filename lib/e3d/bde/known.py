"""What is known of the bonds of a molecule: reference values, and how far such values are off.

Read from the file that `e3d.bde.calibration` makes; without it nothing is said. This module is
read whenever `e3d bonds` starts, and imports little.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure
from e3d.decomposition.domain import fingerprint
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import RESULTS

#: Values of a report → the columns of the tables of the chapters.
COLUMNS = {"bare": "emergent", "dressed": "dressed"}
CALIBRATION = RESULTS / "calibration.json"
_ORDERS = {symbol: order for order, symbol in bonding.ORDER_SYMBOLS.items()}


def read(path: Path = CALIBRATION) -> dict[str, Any]:
    """The calibration, empty where there is no such file.

    Raises E3DError for a file that `calibration.write` did not write.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        needed = {key: content[key] for key in ("models", "tests", "classes", "references")}
        return needed | {"fragments": content.get("fragments", {})}
    except (ValueError, KeyError, TypeError) as error:
        raise E3DError(
            f"{path} is no calibration of E3D ({error}); make it again with the stage `limitations`"
        ) from error


def is_of(entries: Mapping[str, str], models: Sequence[Model]) -> bool:
    """Whether fingerprints are those of exactly these models."""
    return sorted(entries.values()) == sorted(fingerprint(model) for model in models)


def annotated(
    report: dict[str, Any],
    structure: Structure,
    models: Sequence[Model],
    calibration: Mapping[str, Any],
) -> dict[str, Any]:
    """A report of `bond_report` with what is known of its bonds.

    Every bond gets `references`, known values of it: `kind` (De, BDE298: literature; DFT: fragment
    BDE of this project), `value_kcal_per_mol` and `of`, the reaction. Where the calibration is one
    of these models, it also gets `class_kcal_per_mol`, quantiles of the bare values of its class
    over the project's molecules (`low`, `quarter`, `median`, `three_quarters`, `high`) with their
    number `n_molecules`; and the report gets `tests`, the errors of such values.
    """
    if not calibration:
        return report
    references = _references(structure, calibration["references"])
    bonds = [
        row | {"references": known} for row, known in zip(report["bonds"], references, strict=True)
    ]
    if not is_of(calibration["models"], models):
        return report | {"bonds": bonds}
    classes = calibration["classes"]
    bonds = [row | {"class_kcal_per_mol": _range(classes.get(row["class"]))} for row in bonds]
    return report | {"bonds": bonds, "tests": calibration["tests"]}


def _range(values: Mapping[str, Sequence[float]] | None) -> dict[str, float] | None:
    if values is None:
        return None
    quantiles = np.quantile(values["bare"], (0, 0.25, 0.5, 0.75, 1)).tolist()
    names = ("low", "quarter", "median", "three_quarters", "high")
    return dict(zip(names, quantiles, strict=True)) | {"n_molecules": len(values["bare"])}


def _references(
    structure: Structure, entries: Sequence[Mapping[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Reference values of each bond of a structure; the bond is found whatever the atoms' order."""
    found: list[list[dict[str, Any]]] = [[] for _ in structure.bonds]
    if structure.smiles is None or structure.shifts is not None:
        return found
    smiles = bonding.canonical_smiles(structure.smiles)
    if not (own := [entry for entry in entries if entry["smiles"] == smiles]):
        return found
    known = bonding.parse_smiles(smiles)
    place = _labelled(known).GetSubstructMatch(_of(structure))
    if not place:  # read with other bond orders than RDKit writes
        return found
    ranks = ranks_of_bonds(known)
    for k, (i, j) in enumerate(structure.bonds.tolist()):
        bond = sorted(ranks[place[i], place[j]])
        found[k] = [
            {"kind": kind, "value_kcal_per_mol": value, "of": entry["of"]}
            for entry in own
            if entry["class"] == structure.classes[k] and entry["ranks"] == bond
            for kind, value in entry["values"].items()
        ]
    return found


def ranks_of_bonds(graph: Chem.Mol) -> dict[tuple[int, int], tuple[int, int]]:
    """Canonical ranks of the two atoms of every bond, in both directions; equal if equivalent."""
    ranks = list(Chem.CanonicalRankAtoms(graph, breakTies=False))
    pairs = bonding.bond_pairs(graph).tolist()
    return {(i, j): (ranks[i], ranks[j]) for a, b in pairs for i, j in ((a, b), (b, a))}


def _of(structure: Structure) -> Chem.Mol:
    return _graph(structure.atoms.numbers, structure.bonds, structure.classes)


def _labelled(graph: Chem.Mol) -> Chem.Mol:
    pairs = bonding.bond_pairs(graph)
    names = [bonding.bond_class(graph, i, j) for i, j in pairs.tolist()]
    return _graph(np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()]), pairs, names)


def _graph(numbers: np.ndarray, bonds: np.ndarray, classes: Sequence[str]) -> Chem.Mol:
    """Elements and bond orders alone, so that two graphs match however they were made."""
    molecule = Chem.RWMol()
    for number in numbers:
        molecule.AddAtom(Chem.Atom(int(number)))
    for (i, j), name in zip(bonds.tolist(), classes, strict=True):
        (symbol,) = [symbol for symbol in (*_ORDERS, "~") if symbol in name]
        molecule.AddBond(i, j, _ORDERS.get(symbol, Chem.BondType.UNSPECIFIED))
    return molecule.GetMol()
