"""What the layers of an Allegro network hold of every bond, see `e3d.decomposition.features`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float
from rdkit import Chem
from sklearn.feature_extraction.text import CountVectorizer

from e3d.chemistry import bonding
from e3d.chemistry.bonding import pair_and_order
from e3d.data.molecule import Molecule
from e3d.decomposition.features import ENERGY, edge_features
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.statistics.grouping import Groups


@dataclass(frozen=True)
class Sample:
    """Bonds of molecules, `bonds` (n, 2) atom indices of each structure.

    `table` has one row per bond, in the order of the structures. Columns: molecule, smiles
    (canonical), i, j (i < j), class, length_A, environment (see `environment`), pair, order.
    """

    structures: list[Atoms]
    bonds: list[np.ndarray]
    table: pd.DataFrame


def sample_bonds(molecules: Iterable[Molecule], *, temperature: int = 0) -> Sample:
    """All bonds of molecules, each at its first geometry of a temperature in K; 0: the relaxed one.

    Raises E3DError for a molecule without such a geometry, and when there is no molecule.
    """
    structures, bonds, tables = [], [], []
    for entry in molecules:
        graph = bonding.from_mapped_smiles(entry.smiles)
        if not (at := np.flatnonzero(entry.temperatures == temperature)).size:
            raise E3DError(
                f"molecule {entry.name!r} has no conformation with temperature {temperature} K; "
                "choose one of those that its data set was sampled at, 0 for relaxed geometries"
            )
        positions = entry.positions[at[0]]
        pairs = bonding.bond_pairs(graph)
        first, second = positions[pairs.T]
        structures.append(Atoms(entry.atomic_numbers, positions))
        bonds.append(pairs)
        tables.append(pd.DataFrame({
            "molecule": entry.name, "smiles": entry.canonical_smiles,
            "i": pairs[:, 0], "j": pairs[:, 1],
            "class": [bonding.bond_class(graph, i, j) for i, j in pairs.tolist()],
            "length_A": np.linalg.norm(first - second, axis=-1),
            "environment": [environment(graph, i, j) for i, j in pairs.tolist()],
        }))  # fmt: skip
    if not tables:
        raise E3DError("no molecules to take bonds from; is the data set empty?")
    table = pd.concat(tables, ignore_index=True)
    table["pair"], table["order"] = pair_and_order(table["class"])
    return Sample(structures, bonds, table)


def environment(graph: Chem.Mol, i: int, j: int) -> str:
    """The kind of a bond: its class, and the classes of all other bonds at either end.

    `C-H|C-C C-H C-H|` is a bond of a methyl group; the text is the same for both directions.
    """
    ends = []
    for here, other in ((i, j), (j, i)):
        atom = graph.GetAtomWithIdx(here)
        neighbours = (a.GetIdx() for a in atom.GetNeighbors())
        names = sorted(bonding.bond_class(graph, here, k) for k in neighbours if k != other)
        ends.append((atom.GetSymbol(), " ".join(names)))
    return "|".join([bonding.bond_class(graph, i, j), *(text for _, text in sorted(ends))])


def neighbours(environments: Groups) -> Float[np.ndarray, "n n_classes"]:
    """How many other bonds of each class there are at the two ends: neighbours without geometry.

    environments: (n,) texts of `environment`; classes in alphabetical order.
    """
    counts = CountVectorizer(token_pattern=r"[^\s|]+", lowercase=False)
    ends = pd.Series(np.asarray(environments)).str.partition("|")[2]
    return counts.fit_transform(ends).toarray().astype(float)


def bond_features(
    model: Model, sample: Sample
) -> dict[str, Float[np.ndarray, "n_bonds n_features"]]:
    """`edge_features` of bonds: their mean over the two directions; `energy` is ε, the sum, in eV.

    Raises E3DError as `edge_features` does, and for a bond longer than the cutoff.
    """
    found: dict[str, list[np.ndarray]] = {}
    edges = edge_features(model, sample.structures)
    for found_at, atoms, bonds in zip(edges, sample.structures, sample.bonds, strict=True):
        index = found_at.edge_index
        place_of = np.full((len(atoms), len(atoms)), -1)
        place_of[index[0], index[1]] = np.arange(index.shape[1])
        there, back = place_of[tuple(bonds.T)], place_of[tuple(bonds.T[::-1])]
        if (there < 0).any():
            raise E3DError(
                f"{atoms.get_chemical_formula()}: a bond is longer than {model.cutoff} Å, the "
                f"cutoff of {model.name}, which does not see it; leave the molecule out"
            )
        for place, values in found_at.features.items():
            both = values[there] + values[back]
            found.setdefault(place, []).append(both if place == ENERGY else both / 2)
    return {place: np.concatenate(parts) for place, parts in found.items()}
