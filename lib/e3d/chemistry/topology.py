"""Topological distances between atoms, and the bonds on the shortest paths between them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import sparse

#: In a crystal the bond graph is infinite: pairs further apart than this count as unconnected.
MAX_APART_IN_CRYSTALS = 12
_Shift = tuple[int, int, int]
_Node = tuple[int, _Shift]  # an atom and the cell of its image
_HOME: _Shift = (0, 0, 0)


class PathShares(NamedTuple):
    """Topological distance of each pair of atoms, and how the pair is shared among the bonds.

    apart (n_pairs,): number of bonds of the shortest path, 0 between fragments.
    shares (n_bonds, n_pairs), sparse: columns sum to 1, or are zero between fragments.
    """

    apart: Int[np.ndarray, " n_pairs"]
    shares: sparse.csc_array


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
    fragment = None if crystal else _fragments(bonds, pairs)
    apart = np.zeros(len(pairs), dtype=np.int64)
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    order = np.argsort(pairs[:, 0], kind="stable")
    sources, first = np.unique(pairs[order, 0], return_index=True)
    for source, own in zip(sources.tolist(), np.split(order, first[1:]), strict=False):
        if fragment is not None:  # nothing to look for in other fragments
            own = own[fragment[pairs[own, 1]] == fragment[source]]
        ends = [(int(pairs[k, 1]), _shift(pair_shifts, k)) for k in own.tolist()]
        limit = MAX_APART_IN_CRYSTALS if crystal else None
        paths = _paths_from(source, neighbours, set(ends), limit=limit)
        for k, end in zip(own, ends, strict=True):
            if end not in paths:
                continue
            apart[k], n_paths, usage = paths[end]
            rows.append(np.fromiter(usage.keys(), np.int64, len(usage)))
            columns.append(np.full(len(usage), k))
            values.append(np.fromiter(usage.values(), float, len(usage)) / (n_paths * apart[k]))
    places = [np.concatenate(parts) if parts else np.empty(0, int) for parts in (rows, columns)]
    shares = sparse.csc_array(
        (np.concatenate(values) if values else np.empty(0), tuple(places)),
        shape=(len(bonds), len(pairs)),
    )
    return PathShares(apart, shares)


def _fragments(bonds: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Number of the fragment of each atom that occurs in a bond or a pair."""
    n_atoms = 1 + max((int(index.max()) for index in (bonds, pairs) if index.size), default=0)
    graph = sparse.coo_array((np.ones(len(bonds)), tuple(bonds.T)), shape=(n_atoms, n_atoms))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


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
    targets: set[_Node],
    *,
    limit: int | None,
) -> dict[_Node, tuple[int, int, Counter[int]]]:
    """Distance in bonds, number of shortest paths and usage of the nodes, by breadth-first search.

    usage: how often each bond occurs in the shortest paths to a node, which is
    usage(v) = Σ_u [usage(u) + n_paths(u)·1_uv] over the predecessors u of v.
    """
    start = (source, _HOME)
    level: dict[_Node, tuple[int, Counter[int]]] = {start: (1, Counter())}
    found: dict[_Node, tuple[int, int, Counter[int]]] = {}
    seen, apart = {start}, 0
    while level and not targets <= found.keys() and (limit is None or apart < limit):
        apart += 1
        following: dict[_Node, tuple[int, Counter[int]]] = {}
        for (atom, shift), (n_paths, usage) in level.items():
            for other, step, bond in neighbours.get(atom, ()):
                node = (other, _plus(shift, step))
                if node in seen:
                    continue
                n_before, used = following.get(node, (0, Counter()))
                used.update(usage)
                used[bond] += n_paths
                following[node] = (n_before + n_paths, used)
        seen |= following.keys()
        found |= {node: (apart, n, used) for node, (n, used) in following.items()}
        level = following
    return found


#: Columns of the molecule table: Σε by bonds apart.
APART_COLUMNS = ("apart_1", "apart_2", "apart_3", "apart_4_or_more", "between_fragments")
