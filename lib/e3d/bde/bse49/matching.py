"""Bond separations AB → A• + B•: identify the bond of AB that breaks, and evaluate models on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from rdkit import Chem
from tqdm import tqdm

from e3d import parallel
from e3d.bde.bse49.source import Separation, structure
from e3d.chemistry import bonding
from e3d.data import split
from e3d.data.dataset import TYPE_NAMES
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import decompose
from e3d.decomposition.tables import ModelSpec, edge_tables_in_parallel
from e3d.errors import E3DError
from e3d.models.additive import Additive
from e3d.models.allegro import Model
from e3d.models.nulls import pair_energies
from e3d.models.pair import PairPotential
from e3d.units import KCAL_PER_MOL_PER_EV

_SINGLE = Chem.BondType.SINGLE


@dataclass(frozen=True)
class Broken:
    """A reaction whose broken bond is known: AB (one conformation, energies not known), A and B,
    and the pairs i < j of AB, equivalent ones, that the reaction may mean, with their class."""

    reaction: Separation
    whole: Molecule
    fragments: tuple[Atoms, Atoms]
    pairs: list[tuple[int, int]]
    bond_class: str


def match(contents: Mapping[str, bytes], reaction: Separation) -> Broken:
    """Find the bond of AB that is broken: the one between the two elements without which the graph
    of AB falls into those of A and B, perceived from the geometries.

    Raises E3DError with the reason, the same words for the same reason, when it is not certain.
    """
    first, second, whole = (structure(contents, reaction, part) for part in range(3))
    states = [(a.info["charge"], a.info["multiplicity"]) for a in (first, second, whole)]
    if states != [(0, 2), (0, 2), (0, 1)]:
        raise E3DError("not a neutral closed shell that leaves two doublets")
    graph = bonding.perceive(whole.numbers, whole.positions)
    try:
        bonding.check_closed_shell(graph)
    except E3DError:
        raise E3DError("no closed-shell structure of the molecule is perceived") from None
    fragments = sorted(
        text for atoms in (first, second)
        for text in _skeletons(bonding.connected(atoms.numbers, atoms.positions))
    )  # fmt: skip
    if len(fragments) != 2 or len(Chem.GetMolFrags(graph)) != 1:
        raise E3DError("a fragment or the molecule is perceived in pieces")
    symbols = whole.get_chemical_symbols()
    pairs = [
        (i, j) for i, j in bonding.bond_pairs(graph).tolist()
        if sorted((symbols[i], symbols[j])) == list(reaction.elements)
        and _skeletons(bonding.cut(graph, i, j)) == fragments
    ]  # fmt: skip
    if not pairs:
        raise E3DError("no bond of these elements leaves these fragments")
    if any(graph.GetBondBetweenAtoms(*ends).GetBondType() != _SINGLE for ends in pairs):
        raise E3DError("the bond is not perceived as a single one, as one that leaves doublets is")
    ranks = list(Chem.CanonicalRankAtoms(_skeleton(graph), breakTies=False))
    if len({tuple(sorted((ranks[i], ranks[j]))) for i, j in pairs}) > 1:
        raise E3DError("several kinds of bond leave these fragments")
    entry = _as_molecule(reaction.name, whole, bonding.mapped_smiles(graph))
    return Broken(reaction, entry, (first, second), pairs, bonding.bond_class(graph, *pairs[0]))


def _as_molecule(name: str, atoms: Atoms, smiles: str) -> Molecule:
    """A geometry as a data-set entry, relaxed, without labels."""
    unknown = np.full(1, np.nan)
    return Molecule(
        name, "BSE49", smiles, atoms.numbers, atoms.positions[None], unknown, unknown,
        np.full((1, len(atoms), 3), np.nan), np.zeros(1),
    )  # fmt: skip


def _skeleton(graph: Chem.Mol) -> Chem.Mol:
    """The graph with its elements and connections alone."""
    bare = Chem.RWMol()
    for atom in graph.GetAtoms():
        bare.AddAtom(Chem.Atom(atom.GetAtomicNum()))
    for i, j in bonding.bond_pairs(graph).tolist():
        bare.AddBond(i, j, Chem.BondType.SINGLE)
    for atom in bare.GetAtoms():
        atom.SetNoImplicit(True)
    bare.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(bare)
    return bare.GetMol()


def _skeletons(graph: Chem.Mol) -> list[str]:
    """Canonical SMILES of the `_skeleton` of each connected part, sorted."""
    return sorted(Chem.MolToSmiles(_skeleton(graph)).split("."))


def match_all(
    contents: Mapping[str, bytes],
    reactions: Sequence[Separation],
    elements: Sequence[str],
    *,
    progress: bool = False,
) -> tuple[list[Broken], dict[str, str]]:
    """The reactions of molecules of `elements` that can be matched; of all others the reason."""
    found: list[Broken] = []
    left_out: dict[str, str] = {}
    for reaction in tqdm(reactions, unit="reaction", disable=not progress):
        if set(structure(contents, reaction, 2).symbols) <= set(elements):
            try:
                found.append(match(contents, reaction))
            except E3DError as error:
                left_out[reaction.name] = str(error)
        else:
            left_out[reaction.name] = "other elements"
    return found, left_out


def score(
    found: Sequence[Broken],
    specs: Mapping[str, ModelSpec],
    additive: Additive,
    pair: PairPotential,
    *,
    n_workers: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """What models and nulls make of every matched bond, one row each, kcal/mol, positive if bound.

    Columns: reaction, set, smiles (canonical), fold, class, n_atoms, n_bonds (equivalent ones),
    length_A, reference_kcal_per_mol; of each run `bare:<run>` and `dressed:<run>` (−ε) and
    `fragment:<run>`, E(A•) + E(B•) − E(AB) of the geometries as they are; of the nulls
    `bare:additive`, `bare:pair` and `fragment:pair`. Bonds that are equivalent give their median.
    """
    options: dict[str, Any] = {"n_workers": n_workers, "progress": progress}
    zero = dict.fromkeys(TYPE_NAMES, 0.0)  # it cancels: AB has the atoms of A and B
    wholes = [broken.whole for broken in found]
    bonds, sums = edge_tables_in_parallel(specs, wholes, atomic_energies=zero, **options)
    table = identities(found).join(of_broken_bonds(bonds, found))
    table[[name for name in table if ":" in name]] *= KCAL_PER_MOL_PER_EV
    work = partial(_loaded_binding_energies, found)
    parts = parallel.map_ordered(work, list(specs.values()), unit="model", **options)
    whole = sums.pivot_table(index="molecule", columns="run", values="model_eV").loc[table.index]
    nulls = of_nulls(found, bonds, additive, pair)
    table = table.join(nulls.drop(columns="fragment:pair"))
    for run, energies in zip(specs, parts, strict=True):
        table[f"fragment:{run}"] = (energies - whole[run]) * KCAL_PER_MOL_PER_EV
    return table.join(nulls["fragment:pair"]).reset_index()


def of_broken_bonds(bonds: pd.DataFrame, found: Sequence[Broken]) -> pd.DataFrame:
    """Length in Å, and −ε of every column with a colon in the unit that it has, by reaction.

    bonds: all bonds of the molecules, as of `edge_tables`. Medians over the bonds that each
    reaction may mean.
    """
    pairs = [(broken.whole.name, i, j) for broken in found for i, j in broken.pairs]
    own = bonds.merge(pd.DataFrame(pairs, columns=["molecule", "i", "j"]))
    energies = [name for name in own if ":" in name]
    medians = own.groupby("molecule")[["length_A", *energies]].median()
    return medians.assign(**{name: -medians[name] for name in energies})


def of_nulls(
    found: Sequence[Broken],
    bonds: pd.DataFrame,
    additive: Additive | None,
    pair: PairPotential | None,
) -> pd.DataFrame:
    """By reaction, in kcal/mol, `bare:additive`, `bare:pair` and `fragment:pair` of nulls given."""
    own = bonds[["molecule", "i", "j", "class", "length_A"]].copy()
    if additive is not None:
        own["bare:additive"] = additive.bond_energies(own["class"].tolist())
    if pair is not None:
        own["bare:pair"] = pair_energies(own, pair)
    table = of_broken_bonds(own, found).drop(columns="length_A")
    if pair is not None:
        names = [broken.whole.name for broken in found]
        wholes = [Atoms(b.whole.atomic_numbers, b.whole.positions[0]) for b in found]
        apart = _by_two([_pair_energy(pair, a) for b in found for a in b.fragments])
        together = [_pair_energy(pair, atoms) for atoms in wholes]
        table["fragment:pair"] = pd.Series(apart - together, names)
    return table * KCAL_PER_MOL_PER_EV


def identities(found: Sequence[Broken]) -> pd.DataFrame:
    """By reaction: set, smiles, fold, class, n_atoms, n_bonds, reference_kcal_per_mol."""
    return pd.DataFrame([_identity(broken) for broken in found]).set_index("reaction")


def _identity(broken: Broken) -> dict[str, Any]:
    reaction, smiles = broken.reaction, broken.whole.canonical_smiles
    return {
        "reaction": reaction.name, "set": reaction.set, "smiles": smiles,
        "fold": split.fold(smiles), "class": broken.bond_class,
        "n_atoms": len(broken.whole.atomic_numbers), "n_bonds": len(broken.pairs),
        "reference_kcal_per_mol": reaction.reference,
    }  # fmt: skip


def _by_two(values: Sequence[float]) -> np.ndarray:
    """Sums over A and B, which follow each other."""
    return np.asarray(values).reshape(-1, 2).sum(axis=1)


def _loaded_binding_energies(found: Sequence[Broken], spec: ModelSpec) -> np.ndarray:
    return binding_energies(found, spec.load())


def binding_energies(found: Sequence[Broken], model: Model) -> np.ndarray:
    """Σε in eV of the two fragments of every reaction, by one model; each structure once."""
    fragments = [atoms for broken in found for atoms in broken.fragments]
    once = {(tuple(a.numbers), a.positions.tobytes()): a for a in fragments}
    decompositions = decompose(model, once.values())
    sums = {key: d.edge_energies.sum() for key, d in zip(once, decompositions, strict=True)}
    return _by_two([sums[tuple(a.numbers), a.positions.tobytes()] for a in fragments])


def _pair_energy(pair: PairPotential, atoms: Atoms) -> float:
    """Σφ in eV over all pairs of atoms; NaN for a pair of elements that was not fitted."""
    pairs = np.column_stack(np.triu_indices(len(atoms), k=1))
    lengths = bonding.bond_lengths(atoms.positions, pairs)
    kinds = np.sort(np.array(atoms.get_chemical_symbols())[pairs], axis=1)
    return float(sum(pair(a, b, lengths[(kinds == (a, b)).all(axis=1)]).sum()
                     for a, b in np.unique(kinds, axis=0)))  # fmt: skip
