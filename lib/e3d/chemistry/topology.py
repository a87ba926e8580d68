"""Topological distances between atoms, and the bonds on the shortest paths between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

#: In a crystal the bond graph is infinite: pairs further apart than this count as unconnected.
MAX_APART_IN_CRYSTALS = 12
_Shift = tuple[int, int, int]
_Node = tuple[int, _Shift]  # an atom and the cell of its image
_HOME: _Shift = (0, 0, 0)


class PathShares(NamedTuple):
    """Topological distance of each pair of atoms, and how the pair is shared among the bonds.

    apart (n_pairs,): number of bonds of the shortest path, 0 between fragments.
    shares (n_bonds, n_pairs): columns sum to 1, or are zero between fragments.
    """

    apart: Int[np.ndarray, " n_pairs"]
    shares: Float[np.ndarray, "n_bonds n_pairs"]


def path_shares(
    bonds: Int[np.ndarray, "n_bonds 2"],
    pairs: Int[np.ndarray, "n_pairs 2"],
    *,
    bond_shifts: Int[np.ndarray, "n_bonds 3"] | None = None,
    pair_shifts: Int[np.ndarray, "n_pairs 3"] | None = None,
) -> PathShares:
    """Share of every bond in every pair of atoms.

    The shortest paths of a pair get equal shares of it, and so do the bonds of each path: a 1,3
    pair across a four-membered ring, for example, has two paths of two bonds and gives a quarter to
    each. A bonded pair is its own path.

    Shifts, in cells, give the periodic image of the second atom of a bond or a pair. A bond that
    occurs twice in a path, as two images, counts twice.
    """
    crystal = bond_shifts is not None and bool(np.any(bond_shifts))
    neighbours = _neighbours(bonds, bond_shifts)
    ends = [
        (int(j), _shift(pair_shifts, k)) for k, j in enumerate(pairs[:, 1])
    ]  # one node per pair, as seen from its first atom in the home cell
    apart = np.zeros(len(pairs), dtype=np.int64)
    shares = np.zeros((len(bonds), len(pairs)))
    for source in np.unique(pairs[:, 0]):
        columns = np.flatnonzero(pairs[:, 0] == source)
        paths = _paths_from(
            int(source), neighbours, len(bonds), {ends[k] for k in columns},
            limit=MAX_APART_IN_CRYSTALS if crystal else None,
        )  # fmt: skip
        for k in columns:
            if ends[k] in paths:
                apart[k], shares[:, k] = paths[ends[k]]
    return PathShares(apart, shares)


def _shift(shifts: np.ndarray | None, k: int) -> _Shift:
    if shifts is None:
        return _HOME
    a, b, c = shifts[k].tolist()
    return (a, b, c)


def _plus(first: _Shift, second: _Shift) -> _Shift:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2])


def _neighbours(
    bonds: np.ndarray, shifts: np.ndarray | None
) -> dict[int, list[tuple[int, _Shift, int]]]:
    """Bonded atoms of each atom, with their cell and the index of the bond, for both directions."""
    neighbours: dict[int, list[tuple[int, _Shift, int]]] = {}
    for k, (i, j) in enumerate(bonds.tolist()):
        a, b, c = _shift(shifts, k)
        neighbours.setdefault(i, []).append((j, (a, b, c), k))
        neighbours.setdefault(j, []).append((i, (-a, -b, -c), k))
    return neighbours


def _paths_from(
    source: int,
    neighbours: dict[int, list[tuple[int, _Shift, int]]],
    n_bonds: int,
    targets: set[_Node],
    *,
    limit: int | None,
) -> dict[_Node, tuple[int, np.ndarray]]:
    """Distance in bonds and shares (n_bonds,) of the nodes reached, by breadth-first search.

    `n_paths` counts the shortest paths to a node, and `usage` (n_bonds,) how often each bond occurs
    in them: usage(v) = Σ_u [usage(u) + n_paths(u)·1_uv] over the predecessors u of v.
    """
    start = (source, _HOME)
    level: dict[_Node, tuple[int, np.ndarray]] = {start: (1, np.zeros(n_bonds))}
    found: dict[_Node, tuple[int, np.ndarray]] = {}
    seen, apart = {start}, 0
    while level and not targets <= found.keys() and (limit is None or apart < limit):
        apart += 1
        following: dict[_Node, tuple[int, np.ndarray]] = {}
        for (atom, shift), (n_paths, usage) in level.items():
            for other, step, bond in neighbours.get(atom, ()):
                node = (other, _plus(shift, step))
                if node in seen:
                    continue
                n_before, used_before = following.get(node, (0, np.zeros(n_bonds)))
                used = used_before + usage
                used[bond] += n_paths
                following[node] = (n_before + n_paths, used)
        seen |= following.keys()
        found |= {node: (apart, used / (n * apart)) for node, (n, used) in following.items()}
        level = following
    return found


#: Columns of the molecule table: Σε by bonds apart.
APART_COLUMNS = ("apart_1", "apart_2", "apart_3", "apart_4_or_more", "between_fragments")
