"""Principal components: their variance is attributed to the factors that cause it."""

import numpy as np
import pandas as pd
import pytest

from chapters.network.components import FACTORS, Components, mean_components, principal_components


def test_variance_is_attributed_to_what_causes_it():
    """Five features, each with one cause; the pair, then the class, take what they can."""
    rng = np.random.default_rng(3)
    n = 2000
    names = rng.choice(["C-C", "C=C", "C-O", "C=O"], n)
    length = rng.normal(size=n)
    other = rng.integers(0, 3, n)
    table = pd.DataFrame({
        "class": names, "pair": [name[0] + name[2] for name in names], "length_A": length,
        "environment": [f"C-C|{' '.join(['C-H'] * k)}|" for k in other],
    })  # fmt: skip
    causes = np.stack([table["pair"] == "CC", [name[1] == "=" for name in names],
                       np.sin(length), other, rng.normal(size=n)]).astype(float).T  # fmt: skip
    scales = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    columns = scales * (causes - causes.mean(axis=0)) / causes.std(axis=0)
    found = principal_components(columns, table)
    expected = scales**2 / (scales**2).sum()
    np.testing.assert_allclose(found.whole, expected, atol=0.02)
    np.testing.assert_allclose(found.explained, expected, atol=0.02)
    np.testing.assert_allclose(np.diag(found.shares), 1, atol=0.05)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    assert found.dimensions == pytest.approx(1 / (expected**2).sum(), rel=0.05)


def test_noise_is_attributed_to_nothing_else():
    """Hundreds of bonds, dozens of parameters: without a correction they would take their share."""
    rng = np.random.default_rng(4)
    names = rng.choice(["C-C", "C=C", "C-O", "C=O", "C-N", "C-H"], 300)
    table = pd.DataFrame({
        "class": names, "pair": [name[0] + name[2] for name in names],
        "length_A": rng.normal(size=300),
        "environment": [f"C-C|{other}|" for other in rng.choice(names, 300)],
    })  # fmt: skip
    found = principal_components(rng.normal(size=(300, 40)), table)
    np.testing.assert_allclose(found.whole, [0, 0, 0, 0, 1], atol=0.02)
    assert found.share("rest") == found.whole[-1]


def test_means_over_networks_are_by_component_and_over_all_variance():
    first = np.eye(len(FACTORS))
    networks = [
        Components(np.array([0.7, 0.2, 0.1, 0.0, 0.0]), first, first[0]),
        Components(np.array([0.5, 0.3, 0.2, 0.0, 0.0]), first[::-1], first[4]),
    ]
    table = mean_components(networks, 2)
    assert table["component"].tolist() == ["1", "2", "all"]
    assert table["explained"].tolist() == pytest.approx([0.6, 0.25, 1])
    assert table["elements"].tolist() == pytest.approx([0.5, 0, 0.5])
    assert table[list(FACTORS)].sum(axis=1).tolist() == pytest.approx([1, 1, 1])
