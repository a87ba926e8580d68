"""The zero of the energy: what isolated atoms have, by which a binding energy is a difference.

A model's own atomic energies μ_t are what it gives for an atom without neighbours. Where they are
not energies of isolated atoms, means over a training set for instance, the edges hold the
difference, and another zero can be given. Then each atom's difference μ_t − zero_t is shared
equally over its bonds, so that dressed energies still sum to the binding energy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from e3d.decomposition.edges import decompose
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import ROOT

#: Zeros by name; anything else is a file.
MODEL, ISOLATED, ALIGNED = NAMES = ("model", "isolated", "aligned")
#: Atomic energies of models of one ensemble that differ by less, in eV, are the same.
SAME = 1e-3


@dataclass(frozen=True)
class Zero:
    """Energies of the atoms in eV by element, and a sentence on where they are from."""

    energies: dict[str, float]
    source: str


def zero_of(model: Model, given: str = MODEL) -> Zero:
    """The zero of a model: its own, that of the data set it was trained on, or of a file.

    given: `model`; `isolated` or `aligned`, the atomic energies in the data set that `model.yaml`
    names; or a file, JSON with energies in eV by element, or a data set (.h5) with isolated ones.

    Raises E3DError when there is no such file, data set or energy.
    """
    if given == MODEL:
        return _own(model)
    if given in NAMES:
        path = model.metadata.get("dataset", {}).get("path")
        if not path:
            raise E3DError(
                f"model {model.name} does not tell which data set it was trained on, so --zero "
                f"{given} is unknown; give a file with energies of the atoms"
            )
        return Zero(_of_data_set(ROOT / path, given), f"{given} atoms of {path}")
    return Zero(_of_file(Path(given)), f"atomic energies of {given}")


def _own(model: Model) -> Zero:
    """What the model gives for atoms by themselves: in an Allegro model, its shifts μ."""
    if model.metadata:
        return Zero(model.atomic_energies, "isolated atoms, as model.yaml gives them")
    atoms = [Atoms(symbol) for symbol in model.type_names if symbol in chemical_symbols]
    alone = {
        atom.symbols[0]: found.energy
        for atom, found in zip(atoms, decompose(model, atoms), strict=True)
    }
    if not any(alone.values()):
        return Zero(alone, "none: the model gives every isolated atom zero energy")
    return Zero(alone, "isolated atoms, evaluated by the model")


def _of_data_set(path: Path, zero: str) -> dict[str, float]:
    from e3d.data.dataset import Dataset

    with Dataset(path) as dataset:
        return dataset.atomic_energies(zero)


def _of_file(path: Path) -> dict[str, float]:
    if not path.is_file():
        raise E3DError(f"--zero {path}: no such file; expected one, or {', '.join(NAMES)}")
    if path.suffix == ".h5":
        return _of_data_set(path, ISOLATED)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        energies = {str(symbol): float(value) for symbol, value in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise E3DError(
            f'{path} is no table of atomic energies ({error}); expected JSON in eV, {{"H": −13.6}}'
        ) from error
    if not all(map(np.isfinite, energies.values())):
        raise E3DError(f"{path}: expected finite energies in eV")
    return energies


def of_atoms(zero: Zero, numbers: Int[np.ndarray, " n_atoms"]) -> Float[np.ndarray, " n_atoms"]:
    """Energies of isolated atoms in eV. Raises E3DError for an element that has none."""
    symbols = [chemical_symbols[z] for z in numbers]
    if missing := sorted(set(symbols) - set(zero.energies)):
        raise E3DError(
            f"{zero.source}: no energy of {', '.join(missing)}, only of "
            f"{', '.join(zero.energies)}; add it, in eV"
        )
    return np.array([zero.energies[symbol] for symbol in symbols])


def shared_over_bonds(
    differences: Float[np.ndarray, " n_atoms"], bonds: Int[np.ndarray, "n_bonds 2"]
) -> Float[np.ndarray, " n_bonds"]:
    """Each atom's energy divided equally among its bonds; of an atom without any it is lost."""
    degrees = np.bincount(bonds.reshape(-1), minlength=len(differences))
    per_bond = differences / np.maximum(degrees, 1)
    return per_bond[bonds].sum(axis=1)


def differ(zeros: Sequence[Zero], symbols: Mapping[str, int] | set[str]) -> bool:
    """Whether the zeros of several models differ for elements of a structure."""
    return any(
        np.ptp([zero.energies[symbol] for zero in zeros]) > SAME
        for symbol in symbols
        if all(symbol in zero.energies for zero in zeros)
    )
