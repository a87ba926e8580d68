"""Views of a model: maps that count every pair, and a last layer seen from where it ends."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from tests.examples import labelled, random_model

from chapters import scenarios
from chapters.network.features import sample_bonds


def test_a_map_counts_every_pair_within_the_cutoff():
    sample = sample_bonds([labelled("CO"), labelled("CC")])
    found = scenarios.view(random_model(), sample)
    within = sum(
        int((np.triu(atoms.get_all_distances(), 1) > 0).sum()) for atoms in sample.structures
    )
    assert found.counts.sum() == within, "all atoms of these are within 4 Å"
    assert len(found.features) == len(sample.table)


def test_components_have_unit_variance_at_the_end_and_keep_its_axes():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 5)) * [9, 4, 1, 1, 1]
    views = [scenarios.View(np.zeros((1, 1)), part) for part in (0.1 * features, features)]
    begin, end = scenarios.components(views)
    np.testing.assert_allclose(end.std(axis=0, ddof=1), 1)
    assert np.corrcoef(begin[:, 0], end[:, 0])[0, 1] > 0.999
    assert begin[:, 0].std() < 0.2


def test_strong_pairs_are_counted_on_both_sides_of_zero():
    counts = np.zeros((len(scenarios.LENGTHS_A) - 1, len(scenarios.ENERGIES_EV) - 1))
    for energy, n in ((-5.1, 3), (0.1, 6), (1.1, 1)):
        counts[4, np.searchsorted(scenarios.ENERGIES_EV, energy) - 1] = n
    seen = scenarios.View(counts, np.zeros((0, 2)))
    assert scenarios.strong_pairs(seen) == pytest.approx(0.4)


def test_elements_are_told_by_bonds_of_other_molecules_alone():
    rng = np.random.default_rng(0)
    molecules = np.repeat(np.arange(20), 10)
    pairs = rng.integers(0, 2, 200)
    table = pd.DataFrame({"molecule": molecules, "pair": np.array(["C-H", "C-C"])[pairs]})
    noise = rng.normal(size=(200, 3)) * 0.1

    def found(features: np.ndarray) -> float:
        return scenarios.same_elements(scenarios.View(np.zeros((1, 1)), features), table)

    assert found(noise + 10 * pairs[:, None]) == 1
    assert found(noise) == pytest.approx(0.5, abs=0.12)
    # a feature that names the molecule and the elements within it says nothing about others
    own = np.where(pairs == 1, 1000.0, -1000.0) * rng.choice([-1, 1], 20)[molecules]
    assert found(noise + own[:, None]) < 0.9


def test_there_is_one_figure_for_each_station():
    sample = sample_bonds([labelled("CO")])
    model = random_model()
    views = {
        "one": [scenarios.view(model, sample)] * 3,
        "other": [scenarios.view(model, sample)] * 3,
    }
    figures = scenarios.frames(views, sample, {"one": list("abc"), "other": list("def")})
    assert len(figures) == 3
    assert [ax.get_title() for ax in figures[1].axes[:2]] == ["one\nb", "other\ne"]
    plt.close("all")
