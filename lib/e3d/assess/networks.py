"""What a network says of the standard molecules: its pieces, computed once and kept.

The models are evaluated side by side, so that those of one kind share the graphs of a molecule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from ase import Atoms
from jaxtyping import Float, Int
from tqdm import tqdm

from e3d.assess.cache import Cache
from e3d.assess.standard import Standard, known_to
from e3d.chemistry import bonding
from e3d.data.molecule import Molecule
from e3d.decomposition import maps
from e3d.decomposition.edges import decompose, pair_energies
from e3d.decomposition.tables import edge_tables
from e3d.models.allegro import Model
from e3d.training.evaluation import label_errors

#: Molecules that are evaluated between two savings.
CHUNK = 128
_KEYS = ["molecule", "smiles", "fold", "i", "j", "class", "length_A"]
_LABELS = ["smiles", "fold", "n_atoms", "label_eV"]


@dataclass(frozen=True)
class Network:
    """A model in an assessment: its name there, and what identifies it in the cache."""

    name: str
    model: Model
    digest: str

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of the elements that the model knows."""
        return frozenset(self.model.type_names)


@dataclass(frozen=True)
class Pieces:
    """Tables of several networks, one column or block of rows for each.

    bonds: as of `edge_tables`, `bare:<name>` and `dressed:<name>` in eV; molecules: as of
    `edge_tables`, rows of all networks; cuts: molecule, i, j, and `across:<name>` and
    `bond:<name>`, Σε in eV of all pairs across the cut and of the bond; errors: rows of
    `label_errors` with a column `run`; maps: rows of E3D maps of relaxed molecules with a column
    `run`. Tables that were not asked for are empty.
    """

    bonds: pd.DataFrame
    molecules: pd.DataFrame
    cuts: pd.DataFrame
    errors: pd.DataFrame
    maps: pd.DataFrame


def evaluate(
    networks: Sequence[Network], standard: Standard, cache: Cache, *, progress: bool = False
) -> Pieces:
    """All pieces of the networks, on the molecules whose elements all of them know.

    What is in the cache is not computed again. Raises E3DError as `decompose` does.
    """
    elements = frozenset.intersection(*(network.elements for network in networks))
    relaxed = known_to(standard.relaxed, elements)
    held_out = known_to(standard.held_out, elements)
    labelled = {m.name for m in standard.labelled}
    own = [m for m in relaxed if m.name in labelled]
    wanted = set(standard.vertical["molecule"])
    cut = [m for m in own if m.name in wanted]
    chunks = [relaxed[k : k + CHUNK] for k in range(0, len(relaxed), CHUNK)]
    total = len(networks) * (len(relaxed) + len(cut) + len(held_out) + len(own))
    with tqdm(total=total, unit="molecule", desc="assess", disable=not progress) as bar:
        tables = [_edge_tables(networks, chunk, standard, cache, bar) for chunk in chunks]
        bonds, molecules = (
            pd.concat(part, ignore_index=True) for part in zip(*tables, strict=True)
        )
        cuts = standard.vertical[["molecule", "i", "j"]]
        errors, mapped = [], []
        for network in networks:
            key = (network.digest, standard.digest, sorted(elements))
            found = cache.get(partial(_cuts, network.model, cut, standard.vertical), "cuts", *key)
            names = {kind: f"{kind}:{network.name}" for kind in ("across", "bond")}
            cuts = cuts.merge(found.rename(columns=names), on=["molecule", "i", "j"])
            bar.update(len(cut))
            found = cache.get(partial(label_errors, network.model, held_out), "errors", *key)
            errors.append(found.assign(run=network.name))
            bar.update(len(held_out))
            found = cache.get(partial(_map, network.model, own), "map", *key)
            mapped.append(found.assign(run=network.name))
            bar.update(len(own))
    return Pieces(
        bonds, molecules, cuts, pd.concat(errors, ignore_index=True),
        pd.concat(mapped, ignore_index=True),
    )  # fmt: skip


def _edge_tables(
    networks: Sequence[Network], chunk: list[Molecule], standard: Standard, cache: Cache, bar: tqdm
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bond and molecule tables of a chunk; only networks without a piece are evaluated."""
    names = [m.name for m in chunk]
    paths = {n.name: [cache.path(kind, n.digest, standard.digest, *names)
                      for kind in ("bonds", "molecules")] for n in networks}  # fmt: skip
    todo = {n.name: n.model for n in networks if not all(p.exists() for p in paths[n.name])}
    if todo:
        zero = dict.fromkeys({s for m in chunk for s in m.symbols}, 0.0) | standard.zero
        found = edge_tables(todo, chunk, atomic_energies=zero)
        for name in todo:
            energies = {kind: found.bonds[f"{kind}:{name}"] for kind in ("bare", "dressed")}
            cache.write(paths[name][0], found.bonds[_KEYS].assign(**energies))
            rows = found.molecules[found.molecules["run"] == name]
            cache.write(paths[name][1], rows.drop(columns="run"))
    bonds, molecules = None, []
    for n in networks:
        own, sums = (cache.read(path) for path in paths[n.name])
        columns = {f"{kind}:{n.name}": own[kind] for kind in ("bare", "dressed")}
        bonds = (own[_KEYS] if bonds is None else bonds).assign(**columns)
        molecules.append(sums.assign(run=n.name))
        bar.update(len(chunk))
    return bonds, pd.concat(molecules, ignore_index=True)


def _map(model: Model, molecules: Sequence[Molecule]) -> pd.DataFrame:
    """The E3D map of relaxed molecules."""
    return maps.summarise(model, molecules).map


def _cuts(model: Model, molecules: Sequence[Molecule], bonds: pd.DataFrame) -> pd.DataFrame:
    """Σε in eV of all pairs across each cut, and of the bond: molecule, i, j, across, bond."""
    structures = [Atoms(m.atomic_numbers, m.positions[0]) for m in molecules]
    rows: list[tuple[str, int, int, float, float]] = []
    for entry, found in zip(molecules, decompose(model, structures), strict=True):
        pairs = pair_energies(found)
        rows += cut_sums(entry, pairs.pairs, pairs.energies, bonds)
    return pd.DataFrame(rows, columns=["molecule", "i", "j", "across", "bond"])


def cut_sums(
    entry: Molecule,
    pairs: Int[np.ndarray, "n 2"],
    energies: Float[np.ndarray, " n"],
    bonds: pd.DataFrame,
) -> Iterator[tuple[str, int, int, float, float]]:
    """For each bond of `bonds` in a molecule: its name, i, j, Σε across the cut, ε of the bond.

    pairs i < j with energies ε in any unit, without those beyond the cutoff; bonds: columns
    molecule, i, j, none of them in a ring.
    """
    graph = bonding.from_mapped_smiles(entry.smiles)
    first, second = pairs.T
    own = bonds[bonds["molecule"] == entry.name]
    for i, j in own[["i", "j"]].drop_duplicates().to_numpy(int).tolist():
        side = np.isin(np.arange(len(entry.atomic_numbers)), bonding.sides(graph, i, j)[0])
        crossing = side[first] != side[second]
        bond = (first == i) & (second == j)
        yield entry.name, i, j, float(energies[crossing].sum()), float(energies[bond].sum())


def sums_by_run(molecules: pd.DataFrame) -> pd.DataFrame:
    """Σε in eV, one row per molecule and one column per network, with the molecules' labels."""
    wide = molecules.pivot_table(index="molecule", columns="run", values="model_eV", sort=False)
    labels = molecules.drop_duplicates("molecule").set_index("molecule")[_LABELS]
    return labels.join(wide).reset_index()
