"""Conformations of radicals, the labels of broken bonds: what a cut of a single bond leaves.

They come in three kinds, the `subset` of each entry: radicals *relaxed* to their minimum,
*displaced* from it by dynamics, and *frozen* as they stand in a molecule. Hydrogen atoms are left
out: the zero of the energy already contains them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.xtb import calculator as gfn2
from e3d.data.molecule import Molecule
from e3d.data.split import fold
from e3d.errors import E3DError
from e3d.labels.sampling import Sampling, dynamics
from e3d.labels.vertical import cuts, fragment_graph


def relaxed_radicals(path: str | Path) -> list[Molecule]:
    """The doublets of a file of relaxed species as `label_species` writes it, without labels.

    Temperature 0. Raises E3DError when the file is missing or no such file.
    """
    try:
        images = ase.io.read(path, index=":", format="extxyz")
        doublets = [image for image in images if image.info["unpaired"] == 1]
        names = [image.info["smiles"] for image in doublets]
    except (OSError, KeyError, ValueError) as error:
        raise E3DError(
            f"{path} is missing or no file of relaxed species ({error}); `make pull` fetches that "
            "of the project"
        ) from error
    return [
        _unlabelled(smiles, "relaxed", bonding.parse_smiles(smiles), image.positions[None], [0])
        for smiles, image in zip(names, doublets, strict=True)
        if len(image) > 1
    ]


def displaced(radical: Molecule, settings: Sampling) -> Molecule | None:
    """Frames of Langevin dynamics of a radical from its minimum; None when it rearranges."""
    numbers, minimum = radical.atomic_numbers, radical.positions[0]
    pairs = bonding.bond_pairs(bonding.from_mapped_smiles(radical.smiles))
    frames: list[np.ndarray] = []
    temperatures: list[int] = []
    for kelvin in settings.temperatures_K:
        new = dynamics(numbers, minimum, pairs, kelvin, settings, gfn2(unpaired=1))
        frames += new
        temperatures += [kelvin] * len(new)
    if not frames:
        return None
    return _with_frames(radical, "displaced", np.array(frames), temperatures)


def frozen_radicals(molecules: Iterable[Molecule]) -> Iterator[Molecule]:
    """The radicals of every single bond of molecules, at the geometry that they have in them.

    Of the training fold alone: a radical of a molecule that is held out would tell about it. The
    molecule is in the name; temperature −1, since no radical was sampled.
    """
    for entry in molecules:
        if fold(entry.canonical_smiles) != "train":
            continue
        positions = entry.relaxed.positions[0]
        graph = bonding.from_mapped_smiles(entry.smiles)
        for atom in graph.GetAtoms():
            atom.SetAtomMapNum(0)
        seen = set()
        for cut in cuts(graph):
            for at, atoms, smiles in zip((cut.i, cut.j), cut.atoms, cut.fragments, strict=True):
                if cut.order == 1 and len(atoms) > 1 and smiles not in seen:
                    seen.add(smiles)
                    part = fragment_graph(graph, atoms, at, 1)
                    radical = _unlabelled(
                        smiles, "frozen", part, positions[None, list(atoms)], [-1]
                    )
                    yield replace(radical, name=f"{smiles} in {entry.canonical_smiles}")


def _unlabelled(
    smiles: str, kind: str, graph: Chem.Mol, positions: np.ndarray, temperatures: list[int]
) -> Molecule:
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    empty = Molecule(smiles, kind, bonding.mapped_smiles(graph), numbers, np.empty(0), np.empty(0),
                     np.empty(0), np.empty(0))  # fmt: skip
    return _with_frames(empty, kind, positions, temperatures)


def _with_frames(
    radical: Molecule, kind: str, positions: np.ndarray, temperatures: list[int]
) -> Molecule:
    n = len(positions)
    return replace(
        radical, subset=kind, positions=positions, energies=np.zeros(n),
        formation_energies=np.zeros(n), forces=np.zeros_like(positions),
        temperatures=np.array(temperatures),
    )  # fmt: skip
