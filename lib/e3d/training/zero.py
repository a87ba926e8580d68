"""The zero of the energy: atomic energies of the labels, for every element of a model."""

from __future__ import annotations

from collections.abc import Sequence

from e3d.data.dataset import ATOM_TOLERANCE, Dataset
from e3d.data.spice2 import KNOWN_ATOMS
from e3d.errors import E3DError
from e3d.training.settings import Settings
from e3d.units import EV_PER_HARTREE


def stored_zero(paths: Sequence[str]) -> dict[str, float]:
    """Aligned atomic energies in eV that the files bring, by element symbol.

    Raises E3DError when a file brings none, and when two disagree about an atom.
    """
    zero: dict[str, float] = {}
    for path in paths:
        with Dataset(path) as dataset:
            energies = dataset.atomic_energies("aligned")
        for symbol in zero.keys() & energies.keys():
            if abs(zero[symbol] - energies[symbol]) > ATOM_TOLERANCE:
                raise E3DError(
                    f"{path} has {energies[symbol]:.6f} eV for an atom of {symbol}, the files "
                    f"before it {zero[symbol]:.6f} eV; train on files of one level of theory"
                )
        zero = energies | zero
    return zero


def given_zero(settings: Settings) -> dict[str, float] | None:
    """Isolated atoms in eV that the settings bring for the types of the model.

    None when the settings name no level of theory: then the files bring theirs.

    Raises E3DError for a type without energy, and for a file of another level of theory.
    """
    if not settings.level_of_theory:
        if settings.atomic_energies:
            raise E3DError(
                "atomic_energies are given without level_of_theory; name the level that they and "
                "the labels are of"
            )
        return None
    for path in settings.paths:
        with Dataset(path) as dataset:
            stated = dataset.attributes.get("level_of_theory", settings.level_of_theory)
        if stated != settings.level_of_theory:
            raise E3DError(
                f"{path} is of the level {stated!r}, expected {settings.level_of_theory!r}; train "
                "on files of one level of theory"
            )
    known = KNOWN_ATOMS.get(settings.level_of_theory, {}) | settings.atomic_energies
    if missing := [symbol for symbol in settings.types if symbol not in known]:
        raise E3DError(
            f"no isolated-atom energy of {', '.join(missing)} is known at the level "
            f"{settings.level_of_theory!r}; give them in the parameter atomic_energies (hartree), "
            "or leave them out of type_names"
        )
    return {symbol: known[symbol] * EV_PER_HARTREE for symbol in settings.types}


def zero_of(settings: Settings) -> dict[str, float]:
    """Zero of the decomposition in eV for every type of the model.

    From the settings or the data sets; for elements that neither has, isolated atoms at the same
    level of theory. Raises E3DError when that level is unknown.
    """
    given = given_zero(settings)
    if given is not None:
        return {symbol: round(value, 9) for symbol, value in given.items()}
    energies = stored_zero(settings.paths)
    missing = [symbol for symbol in settings.types if symbol not in energies]
    if missing:
        energies |= _computed(settings.paths[-1], missing)
    return {symbol: round(energies[symbol], 9) for symbol in settings.types}


def _computed(path: str, symbols: Sequence[str]) -> dict[str, float]:
    """Isolated atoms at the level of theory of a file, in eV."""
    from e3d.chemistry.levels import LEVELS, isolated_atoms  # imports PySCF

    with Dataset(path) as dataset:
        level = dataset.attributes.get("level_of_theory", "")
    methods = {name: method for method, name in LEVELS.items()}
    if level not in methods:
        raise E3DError(
            f"{path} has no atomic energy of {symbols[0]} and its level of theory, {level!r}, "
            f"is none of {', '.join(methods)}; add it to the root attribute 'atomic_energies'"
        )
    return isolated_atoms(methods[level], symbols)
