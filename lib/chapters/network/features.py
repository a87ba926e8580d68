"""What the layers of an Allegro network hold of every edge, and of every bond.

Allegro keeps a vector of scalars for every directed edge: first a function of the distance and the
two elements alone, then one more vector per layer, each of which has met the neighbours of the
centre. The readout maps all of them, side by side, to the energy of the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float, Int
from rdkit import Chem
from sklearn.feature_extraction.text import CountVectorizer

from e3d.chemistry import bonding
from e3d.chemistry.bonding import pair_and_order
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import Decomposition, decompose_batches
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model
from e3d.statistics.grouping import Groups

#: Places where features are read, beside `layer 1`, `layer 2`, …; see `edge_features`.
TWO_BODY, READOUT, HIDDEN, ENERGY = "two-body", "readout input", "readout hidden", "energy"


class Edges(NamedTuple):
    """Features of the directed edges of one structure: by place, (n_edges, n_features)."""

    edge_index: Int[np.ndarray, "2 n_edges"]
    features: dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Bonds of molecules, `bonds` (n, 2) atom indices of each structure.

    `table` has one row per bond, in the order of the structures. Columns: molecule, smiles
    (canonical), i, j (i < j), class, length_A, environment (see `environment`), pair, order.
    """

    structures: list[Atoms]
    bonds: list[np.ndarray]
    table: pd.DataFrame


def edge_features(model: Model, structures: Iterable[Atoms]) -> Iterator[Edges]:
    """What a network holds of every directed edge, read off while it runs.

    Places: `two-body` (of the distance and the two elements), `layer 1`, … (the scalars after each
    Allegro layer), `readout input` (all of these side by side), `readout hidden` (the activations
    whose weighted sum is the energy) and `energy`, E_ij in eV. Features have no unit.

    Raises E3DError for a model that is no Allegro, and as `decompose` does.
    """
    width = _having(model, "num_scalar_features").num_scalar_features
    readout = _having(model, "edge_readout").edge_readout.mlp_module
    seen: dict[str, np.ndarray] = {}

    def keep(place: str) -> Any:
        return lambda _, inputs: seen.update({place: inputs[0].detach().cpu().double().numpy()})

    hooks = [
        part.register_forward_pre_hook(keep(place))
        for place, part in ((READOUT, readout), (HIDDEN, readout.mlp[-1]))
    ]
    try:
        for batch in batches.batches(model, structures):
            yield from _split(list(decompose_batches(model, [batch])), seen, width)
    finally:
        for hook in hooks:
            hook.remove()


def _having(model: Model, attribute: str) -> Any:
    """The part of a network that has an attribute; no type checker can follow torch's modules."""
    for child in model.module.modules():
        if hasattr(child, attribute):
            return child
    raise E3DError(
        f"model {model.name} has no {attribute!r}; expected an Allegro model of the nequip "
        "framework"
    )


def _split(found: list[Decomposition], seen: dict[str, np.ndarray], width: int) -> Iterator[Edges]:
    """One `Edges` per structure of a batch, the input of the readout cut into its layers."""
    parts = np.split(seen[READOUT], seen[READOUT].shape[1] // width, axis=1)
    names = [TWO_BODY, *(f"layer {k}" for k in range(1, len(parts)))]
    places = dict(zip(names, parts, strict=True)) | {
        place: seen[place] for place in (READOUT, HIDDEN)
    }
    start = 0
    for one in found:
        rows = slice(start, start := start + len(one.edge_energies))
        features = {place: values[rows] for place, values in places.items()}
        yield Edges(one.edge_index, features | {ENERGY: one.edge_energies[:, None]})


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
    for (index, features), atoms, bonds in zip(edges, sample.structures, sample.bonds, strict=True):
        place_of = np.full((len(atoms), len(atoms)), -1)
        place_of[index[0], index[1]] = np.arange(index.shape[1])
        there, back = place_of[tuple(bonds.T)], place_of[tuple(bonds.T[::-1])]
        if (there < 0).any():
            raise E3DError(
                f"{atoms.get_chemical_formula()}: a bond is longer than {model.cutoff} Å, the "
                f"cutoff of {model.name}, which does not see it; leave the molecule out"
            )
        for place, values in features.items():
            both = values[there] + values[back]
            found.setdefault(place, []).append(both if place == ENERGY else both / 2)
    return {place: np.concatenate(parts) for place, parts in found.items()}
