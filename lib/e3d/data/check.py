"""Validation of a data set: what is wrong with it, and in which molecule.

Problems make a file unfit for training or decomposition; notes are worth knowing (conformations
that are skipped on reading, missing descriptions). Memory does not grow with the size of the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import h5py
import numpy as np
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols
from rdkit import Chem
from tqdm import tqdm

from e3d.data.dataset import Dataset
from e3d.data.formation_energies import Zero, inferred_zero, stored_zero
from e3d.data.graphs import MAX_STRETCH, contradictions, stretches, unsanitized
from e3d.data.hdf5 import DAMAGED, names_in, subgroups
from e3d.data.plausibility import count_uphill, implausible
from e3d.data.report import Report
from e3d.data.rules import (
    EMPTY,
    FOREIGN,
    GRADIENT_LIMIT,
    MISFIT,
    NOT_FINITE,
    RADICAL,
    TYPE_NAMES,
    obstacle,
    steep,
)
from e3d.data.schema import MEMBERS, OPTIONAL, read_fields
from e3d.errors import E3DError, said
from e3d.units import ANGSTROM_PER_BOHR

#: Largest deviation of a formation energy from total minus isolated atoms, in hartree.
ENERGY_TOLERANCE = 1e-5
#: Fields of no meaning that are told apart.
MAX_STRANGE = 20
#: Conformations needed to judge the sign of the gradients.
MIN_UPHILL = 5


def check_dataset(
    path: str | Path,
    *,
    progress: bool = False,
    without: Collection[str] = (),
    tell: Callable[[str], None] = lambda name: None,
) -> Report:
    """Check a SPICE-schema file of any size, one molecule in memory at a time.

    Schema, units, shapes, finite values, known elements, SMILES against atoms and geometries,
    gradients beyond the limit, charge, plausible units, and formation energies against the isolated
    atoms. Groups `without` are not touched; `tell` is called with each before it is.

    Raises E3DError only when the file cannot be opened.
    """
    with Dataset(path) as dataset:
        report = Report(str(path))
        if not len(dataset):
            report.problem("file", "holds no molecules")
        zero = _check_root(dataset, report)
        strange: dict[str, tuple[str, int]] = {}
        for top in tqdm(dataset.names, unit="molecule", disable=not progress, leave=False):
            tell(top)
            for name in () if top in without else dataset.within(top):
                report.n_molecules += 1
                try:
                    with np.errstate(all="ignore"):  # values out of all range are found as such
                        _check_molecule(dataset.group(name), name, zero, report)
                    _find_strange(dataset.group(name), name, strange)
                except E3DError as error:
                    report.problem(name, str(error))
                except DAMAGED as error:
                    report.problem(
                        name, f"unreadable ({said(error)}); damaged, download the file again"
                    )
        if (large := report.skipped.get(steep(), 0)) > report.n_usable:
            report.problem(
                "file",
                f"{large} of {large + report.n_usable} conformations have a {steep()}; are "
                "'dft_total_gradient' in hartree/bohr, as they state?",
            )
        if report.n_downhill > report.n_uphill and report.n_downhill >= MIN_UPHILL:
            report.problem(
                "file",
                f"energy falls along 'dft_total_gradient' in {report.n_downhill} of "
                f"{report.n_downhill + report.n_uphill} conformations; are they forces? A gradient "
                "is minus the force",
            )
        for key, (first, count) in strange.items():
            if count <= report.n_molecules / 2:  # those of most are extra information
                report.note(first, f"has an unknown field {key!r}; misspelt, or damaged?")
        for where, what in zero.findings():
            report.note(where, what)
        for what in zero.by_subset():
            report.problem("file", what)
    order = [*TYPE_NAMES, *sorted(set(report.elements) - set(TYPE_NAMES))]
    report.elements = {e: report.elements[e] for e in order if e in report.elements}
    return report


def _check_root(dataset: Dataset, report: Report) -> Zero:
    """Check the root attributes; the zero that formation energies are compared with."""
    try:
        attributes = dataset.attributes
    except E3DError as error:
        report.problem("file", _without_path(error, dataset))
        return inferred_zero(ENERGY_TOLERANCE)
    report.level_of_theory = attributes.get("level_of_theory", "")
    for key in ("level_of_theory", "provenance", "license"):
        if key not in attributes:
            report.note("file", f"no root attribute {key!r}")
    if "atomic_energies" not in attributes:
        report.note(
            "file",
            "no root attribute 'atomic_energies': edge energies of a model trained on this file "
            "have no zero; formation energies are checked against each other instead",
        )
        return inferred_zero(ENERGY_TOLERANCE)
    for kind in ("isolated", "aligned"):
        try:
            energies = dataset.atomic_energies(kind)
            if not all(np.isfinite(value) and value < 0 for value in energies.values()):
                report.problem("file", f"{kind} atomic energies are not all finite and negative")
        except E3DError as error:
            report.problem("file", _without_path(error, dataset))
            return inferred_zero(ENERGY_TOLERANCE)
    return stored_zero(json.loads(attributes["atomic_energies"]), ENERGY_TOLERANCE)


def _without_path(error: E3DError, dataset: Dataset) -> str:
    return str(error).removeprefix(f"{dataset.path}: ")


def _check_molecule(
    group: h5py.Group | h5py.Dataset, name: str, zero: Zero, report: Report
) -> None:
    fields = read_fields(group, optional=tuple(OPTIONAL))
    arrays, numbers = fields.arrays, fields.arrays.get("atomic_numbers", np.empty(0, dtype=int))
    is_empty = not fields.problems and not len(fields.finite)
    graph, wrong = _graph(None if is_empty else fields.texts.get("smiles"), numbers)
    for what in [*fields.problems, *fields.not_finite, *wrong]:
        report.problem(name, what)
    elements = Counter(chemical_symbols[z] for z in numbers)
    for symbol in elements:
        report.elements[symbol] = report.elements.get(symbol, 0) + 1
    if fields.problems:
        return
    report.n_conformations += len(fields.finite)
    if is_empty:
        report.note(name, f"has {EMPTY}")
        return
    if not fields.finite.all():
        report.skip(NOT_FINITE, int((~fields.finite).sum()))
        arrays = {
            key: values if key == "atomic_numbers" else values[fields.finite]
            for key, values in arrays.items()
        }
    if not fields.finite.any():
        return
    for what in implausible(arrays):
        report.problem(name, what)
    if graph is not None and not wrong:
        for what in zero.check(
            graph, arrays["dft_total_energy"], arrays["formation_energy"],
            fields.texts.get("subset", ""),
        ):  # fmt: skip
            report.problem(name, what)
        _count_usable(arrays, fields.texts["smiles"], graph, name, report)
    count_uphill(arrays, report)


def _find_strange(
    group: h5py.Group | h5py.Dataset, name: str, strange: dict[str, tuple[str, int]]
) -> None:
    """Count fields of no meaning, with the first molecule that has them; not of too many names."""
    if isinstance(group, h5py.Group):
        for key in set(names_in(group)) - MEMBERS - set(subgroups(group, MEMBERS)):
            if key in strange or len(strange) < MAX_STRANGE:
                first, count = strange.get(key, (name, 0))
                strange[key] = first, count + 1


def _graph(smiles: str | None, numbers: np.ndarray) -> tuple[Chem.Mol | None, list[str]]:
    """Graph of the SMILES, unsanitized, and its contradictions to the atoms."""
    if smiles is None:
        return None, []
    graph = unsanitized(smiles)
    if graph is None:
        return None, [f"SMILES {smiles!r} cannot be parsed"]
    if not numbers.size:
        return graph, []
    return graph, [f"SMILES {smiles!r}: {what}" for what in contradictions(graph, numbers)]


def _count_usable(
    arrays: dict[str, np.ndarray], smiles: str, graph: Chem.Mol, name: str, report: Report
) -> None:
    """Count the conformations that `Dataset.usable` would skip and yield."""
    numbers, positions = arrays["atomic_numbers"], arrays["conformations"] * ANGSTROM_PER_BOHR
    cells = arrays["cell"] * ANGSTROM_PER_BOHR if "cell" in arrays else None
    count, known = len(positions), {NUMBER_OF_SYMBOL[s] for s in TYPE_NAMES}
    reason, cause = obstacle(smiles, numbers, positions, known, cells=cells)
    if reason == MISFIT:
        report.problem(name, cause)
    elif reason == RADICAL:
        report.note(name, f"has {RADICAL}; only closed-shell molecules are used")
    if reason:
        report.skip(
            f"element outside {' '.join(TYPE_NAMES)}" if reason == FOREIGN else reason, count
        )
        return
    lengths = stretches(graph, numbers, positions, cells)
    _note_broken(arrays.get("temperature"), lengths, name, report)
    large = (np.abs(arrays["dft_total_gradient"]) > GRADIENT_LIMIT).any(axis=(1, 2))
    report.skip(steep(), int(large.sum()))
    report.n_usable += count - int(large.sum())


def _note_broken(
    temperatures: np.ndarray | None, stretch: np.ndarray, name: str, report: Report
) -> None:
    """Note bonds that are none in some conformations, apart from frames of a reaction path."""
    broken = (stretch > MAX_STRETCH).any(axis=1)
    if temperatures is not None:
        broken &= temperatures >= 0
    if broken.any():
        report.note(
            name,
            f"a bond of the SMILES is broken, or the atoms are in another order, in "
            f"{int(broken.sum())} conformations, the first is {int(np.argmax(broken))}",
        )
