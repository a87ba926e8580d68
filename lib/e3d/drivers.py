"""Drivers of molecular dynamics: energies and forces of several molecules at a time.

An Allegro model evaluates them in one batch; the pair null and GFN2-xTB one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms, units
from ase.data import chemical_symbols

from e3d import graphs
from e3d.errors import E3DError
from e3d.model import Model, load_model
from e3d.pair_null import PairPotential, splines
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

#: Temperature of the electrons where nothing else is said, as of the labels.
COLD_K = 300.0
_HARTREE_PER_KELVIN = units.kB / EV_PER_HARTREE

#: Energies (n,) in eV and forces (n_atoms, 3) of each in eV/Å of n molecules; NaN where none exist.
Driver = Callable[[list[Atoms]], tuple[np.ndarray, list[np.ndarray]]]


def network(model: Model) -> Driver:
    """A driver that evaluates all molecules in one batch of the model."""
    from nequip.data import AtomicDataDict as Keys

    prepare = graphs.transforms(model)

    def evaluate(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        out = model.module(graphs.batched(model, prepare, molecules))
        energies = out[Keys.TOTAL_ENERGY_KEY].detach().cpu().numpy().reshape(-1)
        forces = out[Keys.FORCE_KEY].detach().cpu().numpy()
        return energies, np.split(forces, np.cumsum([len(m) for m in molecules])[:-1])

    return evaluate


def pair_forces(potential: PairPotential) -> Driver:
    """A driver of the pair null; energies are relative to the atoms.

    Nearer than the first knot φ is continued with its slope there.
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
    """Spline coefficients (n_pairs, n_splines) of pairs of atomic numbers."""
    kinds = [
        tuple(sorted((chemical_symbols[a], chemical_symbols[b])))
        for a, b in zip(first, second, strict=True)
    ]
    if missing := sorted(set(kinds) - potential.coefficients.keys()):
        raise E3DError(
            f"the pair null was not fitted to {'-'.join(missing[0])}; fit it to molecules of all "
            "elements"
        )
    return np.array([potential.coefficients[kind] for kind in kinds])


class SinglePoint(NamedTuple):
    """energy in eV, forces (N, 3) in eV/Å and Wiberg bond orders (N, N), no unit."""

    energy: float
    forces: np.ndarray
    orders: np.ndarray


def gfn2_point(molecule: Atoms, electronic_K: float | int) -> SinglePoint:
    """GFN2-xTB with electrons at a temperature; the energy is then their free energy.

    Cold electrons stay paired while a bond is torn, and its order stays near one up to two and a
    half times its length; warm ones let go. NaN where the SCF does not converge.
    """
    from tblite.interface import Calculator as Tblite

    tblite = Tblite("GFN2-xTB", molecule.numbers, molecule.positions / ANGSTROM_PER_BOHR)
    tblite.set("verbosity", 0)
    tblite.set("temperature", electronic_K * _HARTREE_PER_KELVIN)
    n = len(molecule)
    try:
        result = tblite.singlepoint()
    except RuntimeError:
        return SinglePoint(np.nan, np.full((n, 3), np.nan), np.full((n, n), np.nan))
    gradient = np.asarray(result.get("gradient"))
    return SinglePoint(
        float(result.get("energy")) * EV_PER_HARTREE,
        -gradient * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR,
        np.squeeze(result.get("bond-orders")).reshape(n, n),
    )


def gfn2_forces(electronic_K: float | int) -> Driver:
    """A driver of GFN2-xTB with electrons at a temperature."""
    return _one_by_one(lambda molecule: gfn2_point(molecule, electronic_K)[:2])


def _one_by_one(function: Callable[[Atoms], tuple[float, np.ndarray]]) -> Driver:
    def evaluate(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        energies, forces = zip(*map(function, molecules), strict=True)
        return np.array(energies), list(forces)

    return evaluate


def by_name(name: str, potential: PairPotential | None = None) -> Driver:
    """The driver that a trajectory names.

    `pair`; `gfn2:KELVIN`, the temperature of the electrons; otherwise a checkpoint folder, with
    `:float64` for a network in double precision. Raises E3DError as `load_model` does, and for
    `pair` without a potential.
    """
    source, _, option = name.partition(":")
    if source == "gfn2":
        return gfn2_forces(float(option))
    if source == "pair":
        if potential is None:
            raise E3DError("the driver 'pair' needs a fitted potential; fit one first")
        return pair_forces(potential)
    dtype = getattr(torch, option) if option else None
    return network(load_model(source, device="cpu", dtype=dtype))
