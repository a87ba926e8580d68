"""Potentials of molecular dynamics: energies and forces of several molecules at a time.

An Allegro model evaluates them in one batch, the pair null and GFN2-xTB one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from e3d.chemistry.xtb import SinglePoint, single_point
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model, load_model
from e3d.models.pair import PairPotential, splines
from e3d.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
    EV_PER_HARTREE,
)

#: Temperature of the electrons in the labels.
COLD_K = 300.0
#: Energies (n,) in eV of n molecules and forces (n_atoms, 3) in eV/Å on each; NaN where none exist.
Potential = Callable[[list[Atoms]], tuple[np.ndarray, list[np.ndarray]]]


def allegro(model: Model) -> Potential:
    """An Allegro model, which evaluates all molecules in one batch."""
    from nequip.data import AtomicDataDict as Keys

    prepare = batches.transforms(model)

    def evaluate(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        out = model.module(batches.batched(model, prepare, molecules))
        energies = out[Keys.TOTAL_ENERGY_KEY].detach().cpu().numpy().reshape(-1)
        forces = out[Keys.FORCE_KEY].detach().cpu().numpy()
        return energies, np.split(forces, np.cumsum([len(m) for m in molecules])[:-1])

    return evaluate


def pair(potential: PairPotential) -> Potential:
    """The pair null; energies are relative to the atoms.

    At distances below the first knot, φ continues as a straight line with its slope there.
    """

    def of_one(molecule: Atoms) -> tuple[float, np.ndarray]:
        first, second = np.triu_indices(len(molecule), k=1)
        vectors = molecule.positions[first] - molecule.positions[second]  # (n_pairs, 3)
        lengths = np.linalg.norm(vectors, axis=1)  # (n_pairs,)
        inner = np.maximum(lengths, potential.knots[0])
        coefficients = _coefficients(potential, molecule.numbers[first], molecule.numbers[second])
        slopes = (splines(potential.knots, inner, derivative=True) * coefficients).sum(axis=1)
        values = (splines(potential.knots, inner) * coefficients).sum(axis=1)
        pulls = -slopes[:, None] * vectors / np.maximum(lengths, 1e-12)[:, None]
        forces = np.zeros((len(molecule), 3))
        np.add.at(forces, first, pulls)
        np.add.at(forces, second, -pulls)
        return float(values.sum() + slopes @ (lengths - inner)), forces

    return _one_by_one(of_one)


def _coefficients(potential: PairPotential, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spline coefficients (n_pairs, n_splines) of pairs of atomic numbers (n_pairs,)."""
    kinds = [
        tuple(sorted((chemical_symbols[a], chemical_symbols[b])))
        for a, b in zip(first, second, strict=True)
    ]
    if missing := sorted(set(kinds) - potential.coefficients.keys()):
        raise E3DError(
            f"the pair null was not fitted to {'-'.join(missing[0])}; fit it to molecules that "
            "contain all elements"
        )
    return np.array([potential.coefficients[kind] for kind in kinds])


def gfn2(electronic_K: float | int) -> Potential:
    """GFN2-xTB with electrons at a temperature."""

    def of_one(molecule: Atoms) -> tuple[float, np.ndarray]:
        point = gfn2_point(molecule, electronic_K)
        forces = -point.gradient * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        return point.energy * EV_PER_HARTREE, forces

    return _one_by_one(of_one)


def gfn2_point(molecule: Atoms, electronic_K: float | int) -> SinglePoint:
    """`single_point` of a molecule; all NaN where the SCF does not converge."""
    bohr = molecule.positions / ANGSTROM_PER_BOHR
    try:
        return single_point(molecule.numbers, bohr, electronic_K=electronic_K)
    except RuntimeError:
        n = len(molecule)
        return SinglePoint(np.nan, np.full((n, 3), np.nan), np.full((n, n), np.nan))


def _one_by_one(function: Callable[[Atoms], tuple[float, np.ndarray]]) -> Potential:
    def evaluate(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        energies, forces = zip(*map(function, molecules), strict=True)
        return np.array(energies), list(forces)

    return evaluate


def potential_by_name(name: str, fitted_pair: PairPotential | None = None) -> Potential:
    """The potential with a name, as a trajectory stores it.

    `pair` is the pair null `fitted_pair`; `gfn2:KELVIN` is GFN2-xTB with electrons at that
    temperature; any other name is a checkpoint folder, with `:float64` appended for a network in
    double precision. Raises E3DError as `load_model` does, and for `pair` without a fitted one.
    """
    source, _, option = name.partition(":")
    if source == "gfn2":
        return gfn2(float(option))
    if source == "pair":
        if fitted_pair is None:
            raise E3DError("the potential 'pair' must be fitted first; pass the fitted one")
        return pair(fitted_pair)
    dtype = getattr(torch, option) if option else None
    return allegro(load_model(source, device="cpu", dtype=dtype))
