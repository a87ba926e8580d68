"""Align the energy zero of a cheap method with that of DFT by one shift per element.

GFN2-xTB describes free atoms poorly, so its isolated atoms are not a useful zero of atomisation
energies. Total energy alignment corrects this. Let n_a be the number of atoms of element a in a
molecule, μ_a the energies of isolated atoms, and D = E_DFT − Σ n_a μ_a^DFT the binding energy,
negative when bound. The shifts s_a minimise

    Σ_molecules [(E_xTB − Σ n_a (μ_a^xTB + s_a) − D) / n_atoms]²

over training molecules alone, so that no held-out molecule contributes to the zero.
Reference: Shiota et al., arXiv:2412.13088.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from e3d.chemistry.levels import METHODS, isolated_atoms
from e3d.data.dataset import TYPE_NAMES, Dataset
from e3d.data.split import fold
from e3d.data.writing import saving
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE


class Alignment(NamedTuple):
    """Shifts and aligned energies of atoms in eV by element symbol, and the residuals of the fit.

    residuals: one row per molecule with data_set, molecule, smiles, fold, n_atoms, the binding
    energies dft_eV, isolated_eV and aligned_eV (negative when bound; of DFT, and of the method with
    either zero), and residual_meV_per_atom (aligned minus DFT).
    """

    shifts: dict[str, float]
    energies: dict[str, float]
    residuals: pd.DataFrame


def fit_alignment(dft_paths: Iterable[str | Path], method: str = "gfn2") -> Alignment:
    """Shifts of the isolated atoms of `method` that align its binding energies with those of DFT.

    dft_paths: data sets with relaxed geometries, at which the energies of `method` are computed
    here; a molecule that is in several counts once, as in the first. Raises E3DError when the
    training molecules do not determine the shift of every element.
    """
    paths = [Path(path) for path in dft_paths]
    residuals, counts = _binding_energies(paths, method)
    elements = [symbol for symbol in TYPE_NAMES if counts[symbol].any()]
    isolated = isolated_atoms(method, elements)
    matrix = counts[elements].to_numpy(dtype=float)
    residuals["isolated_eV"] = residuals.pop("total_eV") - matrix @ [isolated[e] for e in elements]
    n_atoms = residuals["n_atoms"].to_numpy()
    training = (residuals["fold"] == "train").to_numpy()
    if np.linalg.matrix_rank(matrix[training]) < len(elements):
        raise E3DError(
            f"{training.sum()} training molecules in {', '.join(map(str, paths))} do not determine "
            f"a shift for each of {', '.join(elements)}; add molecules of other compositions"
        )
    excess = (residuals["isolated_eV"] - residuals["dft_eV"]).to_numpy()
    shifts, *_ = np.linalg.lstsq(
        matrix[training] / n_atoms[training, None], excess[training] / n_atoms[training], rcond=None
    )
    residuals["aligned_eV"] = residuals["isolated_eV"] - matrix @ shifts
    residuals["residual_meV_per_atom"] = (
        1000 * (residuals["aligned_eV"] - residuals["dft_eV"]) / n_atoms
    )
    by_element = dict(zip(elements, shifts.tolist(), strict=True))
    return Alignment(by_element, {e: isolated[e] + by_element[e] for e in elements}, residuals)


def _binding_energies(paths: list[Path], method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """DFT binding energy and total energy of `method` per molecule, and the element counts."""
    rows, counts, seen = [], [], set()
    for path in paths:
        with Dataset(path) as dataset:
            for molecule in dataset.relaxed():
                smiles = molecule.canonical_smiles
                if smiles in seen:
                    continue
                seen.add(smiles)
                bohr = molecule.positions[0] / ANGSTROM_PER_BOHR
                energy, _ = METHODS[method](molecule.atomic_numbers, bohr)
                rows.append(
                    (path.stem, molecule.name, smiles, fold(smiles), len(molecule.atomic_numbers),
                     molecule.formation_energies[0], energy * EV_PER_HARTREE)
                )  # fmt: skip
                counts.append(Counter(chemical_symbols[z] for z in molecule.atomic_numbers))
    columns = ["data_set", "molecule", "smiles", "fold", "n_atoms", "dft_eV", "total_eV"]
    table = pd.DataFrame(counts, columns=list(TYPE_NAMES), dtype=float).fillna(0.0)
    return pd.DataFrame(rows, columns=columns), table


def residual_summary(residuals: pd.DataFrame) -> pd.DataFrame:
    """Residuals in meV/atom of training and of held-out molecules.

    Columns: fold (`train`, `held out`), n_molecules, rmse, median_abs (the median absolute
    residual, since few molecules dominate the root mean square), and rmse_isolated, the root mean
    square with the method's own isolated atoms as zero.
    """
    isolated = 1000 * (residuals["isolated_eV"] - residuals["dft_eV"]) / residuals["n_atoms"]
    held_out = np.where(residuals["fold"] == "train", "train", "held out")
    table = pd.DataFrame({"fold": held_out, "aligned": residuals["residual_meV_per_atom"],
                          "isolated": isolated})  # fmt: skip
    return (
        table.groupby("fold", sort=False)
        .agg(
            n_molecules=("aligned", "size"),
            rmse=("aligned", _root_mean_square),
            median_abs=("aligned", lambda values: values.abs().median()),
            rmse_isolated=("isolated", _root_mean_square),
        )
        .reset_index()
    )


def _root_mean_square(values: pd.Series) -> float:
    return float(np.sqrt((values**2).mean()))


def write_alignment(path: str | Path, aligned: dict[str, float]) -> None:
    """Store the aligned zero, in eV by element symbol, in a data set, atomically.

    Raises E3DError when an element of the data set has no aligned energy.
    """
    with Dataset(path) as dataset:
        missing = [symbol for symbol in dataset.atomic_energies() if symbol not in aligned]
    if missing:
        raise E3DError(
            f"{path}: no aligned energy for {', '.join(missing)}; align with DFT data of molecules "
            "that contain these elements"
        )
    text = json.dumps({symbol: value / EV_PER_HARTREE for symbol, value in aligned.items()})
    with saving(path, source=path) as file:
        file.attrs["atomic_energies_aligned"] = text
