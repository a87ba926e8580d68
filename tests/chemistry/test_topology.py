"""Shares of pairs along shortest paths of bonds."""

from itertools import pairwise

import numpy as np

from e3d.chemistry.topology import path_shares


def test_every_shortest_path_gets_an_equal_share():
    square = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    apart, sparse = path_shares(square, np.array([[0, 2], [0, 1], [1, 3]]))
    shares = sparse.toarray()
    assert apart.tolist() == [2, 1, 2]
    assert shares[:, 0].tolist() == [0.25] * 4
    assert shares[:, 1].tolist() == [1, 0, 0, 0]
    # two paths 0-1-2-4 and 0-1-3-4: the bond they have in common gets twice as much
    fork = np.array([[0, 1], [1, 2], [1, 3], [2, 4], [3, 4], [5, 6]])
    apart, sparse = path_shares(fork, np.array([[0, 4], [0, 5]]))
    shares = sparse.toarray()
    assert apart.tolist() == [3, 0]
    np.testing.assert_allclose(shares[:, 0], [1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 0])
    assert not shares[:, 1].any()


def test_path_shares_agree_with_networkx():
    import networkx as nx

    graph = nx.gnm_random_graph(9, 12, seed=5)
    bonds = np.array(sorted(tuple(sorted(e)) for e in graph.edges))
    pairs = np.array([(i, j) for i in range(9) for j in range(i + 1, 9)])
    apart, sparse = path_shares(bonds, pairs)
    shares = sparse.toarray()
    number = {tuple(bond): k for k, bond in enumerate(bonds.tolist())}
    for column, (i, j) in enumerate(pairs.tolist()):
        if not nx.has_path(graph, i, j):
            assert apart[column] == 0
            continue
        paths = list(nx.all_shortest_paths(graph, i, j))
        expected = np.zeros(len(bonds))
        for path in paths:
            for a, b in pairwise(path):
                expected[number[min(a, b), max(a, b)]] += 1 / len(paths) / (len(path) - 1)
        assert apart[column] == len(paths[0]) - 1
        np.testing.assert_allclose(shares[:, column], expected, atol=1e-12)


def test_no_pairs_and_no_bonds_are_shared_too():
    none = np.empty((0, 2), dtype=np.int64)
    for bonds, pairs in ((none, none), (none, np.array([[0, 3]])), (np.array([[0, 1]]), none)):
        apart, shares = path_shares(bonds, pairs)
        assert not apart.any()
        assert shares.shape == (len(bonds), len(pairs))


def test_memory_follows_the_paths_and_not_all_pairs_of_bonds_and_atoms():
    """20,000 water molecules with their pairs: 6 MB of shares, where a dense array has 19 GB."""
    oxygen = 3 * np.arange(20_000)
    bonds = np.concatenate([np.column_stack([oxygen, oxygen + k]) for k in (1, 2)])
    pairs = np.concatenate([bonds, np.column_stack([oxygen + 1, oxygen + 2]),
                            np.column_stack([oxygen[:-1], oxygen[1:]])])  # fmt: skip
    apart, shares = path_shares(bonds, pairs)
    assert np.bincount(apart).tolist() == [19_999, 40_000, 20_000]
    assert shares.nnz == 80_000
