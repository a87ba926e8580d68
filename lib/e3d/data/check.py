"""Validation of a data set: what is wrong with it, and in which molecule.

Problems make a file unfit for training or decomposition; notes are worth knowing (conformations
that are skipped on reading, missing descriptions). Memory does not grow with the size of the file.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from rdkit import Chem, rdBase
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from e3d.data.dataset import DAMAGED, GRADIENT_LIMIT, TYPE_NAMES, Dataset
from e3d.data.formation_energies import Zero, inferred_zero, stored_zero
from e3d.data.report import Report
from e3d.data.schema import OPTIONAL, read_fields
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR

#: Largest deviation of a formation energy from total minus isolated atoms, in hartree.
ENERGY_TOLERANCE = 1e-5
#: Nearest-neighbour distance over the sum of covalent radii, averaged over a molecule. Outside this
#: range the positions must be in another unit: N2 has 0.78, a noble gas dimer 3, and ångströms read
#: as bohr halve the ratio.
SPACING_RANGE = (0.6, 10.0)
#: Largest plausible formation energy per atom, in hartree.
FORMATION_LIMIT = 1.0
#: Why conformations are skipped; if most are, the gradients must be in another unit.
STEEP = f"gradient beyond {GRADIENT_LIMIT:g} hartree/bohr"
#: Energies closer than this, in hartree, do not say which of two conformations is higher.
FLAT = 1e-4
#: Conformations per molecule that are superimposed on the lowest one, which is slow.
MAX_TURNED = 4
#: Conformations needed to judge the sign of the gradients.
MIN_UPHILL = 5


def check_dataset(path: str | Path, *, progress: bool = False) -> Report:
    """Check a SPICE-schema file of any size, one molecule in memory at a time.

    Schema, units, shapes, finite values, known elements, SMILES against atoms, gradients beyond the
    limit, charge, plausible units, and formation energies against the isolated atoms.

    Raises E3DError only when the file cannot be opened.
    """
    with Dataset(path) as dataset:
        report = Report(str(path), n_molecules=len(dataset))
        zero = _check_root(dataset, report)
        for name in tqdm(dataset.names, unit="molecule", disable=not progress, leave=False):
            try:
                _check_molecule(dataset.group(name), name, zero, report)
            except DAMAGED as error:
                report.problem(name, f"unreadable ({error}); damaged, download the file again")
        if (large := report.skipped.get(STEEP, 0)) > report.n_usable:
            report.problem(
                "file",
                f"{large} of {large + report.n_usable} conformations have a {STEEP}; are "
                "'dft_total_gradient' in hartree/bohr, as they state?",
            )
        if report.n_downhill > report.n_uphill and report.n_downhill >= MIN_UPHILL:
            report.problem(
                "file",
                f"energy falls along 'dft_total_gradient' in {report.n_downhill} of "
                f"{report.n_downhill + report.n_uphill} conformations; are they forces? A gradient "
                "is minus the force",
            )
        for where, what in zero.findings():
            report.note(where, what)
    order = [*TYPE_NAMES, *sorted(set(report.elements) - set(TYPE_NAMES))]
    report.elements = {e: report.elements[e] for e in order if e in report.elements}
    return report


def _check_root(dataset: Dataset, report: Report) -> Zero:
    """Check the root attributes; the zero that formation energies are compared with."""
    if not len(dataset):
        report.problem("file", "holds no molecules")
    attributes = dataset.attributes
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
            report.problem("file", str(error))
            return inferred_zero(ENERGY_TOLERANCE)
    return stored_zero(json.loads(attributes["atomic_energies"]), ENERGY_TOLERANCE)


def _check_molecule(group: h5py.Group, name: str, zero: Zero, report: Report) -> None:
    arrays, texts, problems = read_fields(group, optional=tuple(OPTIONAL))
    graph, more = _graph(texts.get("smiles"), arrays.get("atomic_numbers", np.empty(0)))
    for what in [*problems, *more]:
        report.problem(name, what)
    elements = Counter(chemical_symbols[z] for z in arrays.get("atomic_numbers", ()))
    for symbol in elements:
        report.elements[symbol] = report.elements.get(symbol, 0) + 1
    if problems:
        return
    report.n_conformations += len(arrays["dft_total_energy"])
    if not len(arrays["dft_total_energy"]):
        report.note(name, "has no conformations")
        return
    for what in _implausible(arrays):
        report.problem(name, what)
    if graph is not None and not more:
        for what in zero.check(graph, arrays["dft_total_energy"], arrays["formation_energy"]):
            report.problem(name, what)
    _count_uphill(arrays, report)
    _count_usable(arrays, elements, graph, report)


def _graph(smiles: str | None, numbers: np.ndarray) -> tuple[Chem.Mol | None, list[str]]:
    """Graph of the SMILES, unsanitized, and its contradictions to the atoms."""
    if smiles is None:
        return None, []
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = parameters.sanitize = False  # type: ignore[assignment]
    with rdBase.BlockLogs():
        graph = Chem.MolFromSmiles(smiles, parameters)
    if graph is None:
        return None, [f"SMILES {smiles!r} cannot be parsed"]
    atoms = sorted((a.GetAtomMapNum(), a.GetAtomicNum()) for a in graph.GetAtoms())
    if not numbers.size:
        return graph, []
    if [number for number, _ in atoms] != list(range(1, len(atoms) + 1)):
        return graph, [f"SMILES {smiles!r}: atom maps do not number every atom from 1"]
    if [z for _, z in atoms] != numbers.tolist():
        return graph, [f"SMILES {smiles!r}: its atoms are not those of 'atomic_numbers'"]
    return graph, []


def _implausible(arrays: dict[str, np.ndarray]) -> list[str]:
    """Quantities that cannot be in the unit that they state."""
    numbers, found = arrays["atomic_numbers"], []
    spacing = _spacing(numbers, arrays["conformations"][0])
    if spacing is not None and not SPACING_RANGE[0] < spacing < SPACING_RANGE[1]:
        found.append(
            f"atoms stand {spacing:.2f} times their covalent radii apart; are 'conformations' in "
            "bohr, as they state?"
        )
    per_atom = np.abs(arrays["formation_energy"]).max() / len(numbers)
    if per_atom > FORMATION_LIMIT:
        found.append(
            f"formation energy of {per_atom:.3g} hartree per atom; are energies in hartree, as "
            "they state?"
        )
    return found


def _spacing(numbers: np.ndarray, positions: np.ndarray) -> float | None:
    """Distance to the nearest neighbour over the sum of covalent radii, averaged over the atoms.

    positions (N, 3) in bohr; None for a single atom.
    """
    if len(numbers) < 2:
        return None
    radii = covalent_radii[numbers] / ANGSTROM_PER_BOHR
    ratios = cdist(positions, positions) / (radii[:, None] + radii)
    np.fill_diagonal(ratios, np.inf)
    return float(ratios.min(axis=1).mean())


def _count_uphill(arrays: dict[str, np.ndarray], report: Report) -> None:
    """Count gradients that point away from the superimposed lowest conformation, and towards it.

    Frames of a reaction path (negative temperature) are left out: the lowest one may belong to
    another minimum.
    """
    if (arrays.get("temperature", np.zeros(1)) < 0).any():
        return
    positions = arrays["conformations"] - arrays["conformations"].mean(axis=1, keepdims=True)
    energies, gradients = arrays["dft_total_energy"], arrays["dft_total_gradient"]
    lowest = int(np.argmin(energies))
    if positions.shape[1] < 2:
        return
    for k in np.flatnonzero(energies > energies[lowest] + FLAT)[:MAX_TURNED]:
        with (
            warnings.catch_warnings()
        ):  # the rotation of a linear molecule about its axis is arbitrary
            warnings.simplefilter("ignore", UserWarning)
            turn, _ = Rotation.align_vectors(positions[k], positions[lowest])
        uphill = np.vdot(gradients[k], positions[k] - turn.apply(positions[lowest])) > 0
        report.n_uphill += int(uphill)
        report.n_downhill += int(not uphill)


def _count_usable(
    arrays: dict[str, np.ndarray], elements: Counter, graph: Chem.Mol | None, report: Report
) -> None:
    """Count the conformations that `Dataset.usable` would skip and yield."""
    count = len(arrays["dft_total_energy"])
    if not set(elements) <= set(TYPE_NAMES):
        report.skip(f"element outside {' '.join(TYPE_NAMES)}", count)
    elif graph is not None and Chem.GetFormalCharge(graph) != 0:
        report.skip("charged", count)
    else:
        large = (np.abs(arrays["dft_total_gradient"]) > GRADIENT_LIMIT).any(axis=(1, 2))
        report.skip(STEEP, int(large.sum()))
        report.n_usable += count - int(large.sum())
