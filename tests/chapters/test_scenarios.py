"""Views of a model: maps that count every pair, and a last layer seen from where it ends."""

import numpy as np
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
