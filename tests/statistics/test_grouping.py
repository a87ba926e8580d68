"""Cross-validation folds keep molecules together; weights and draws are those of molecules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from e3d.errors import E3DError
from e3d.statistics.grouping import bond_weights, codes, molecule_folds, resampled_masses


@given(
    molecules=st.lists(st.sampled_from("abcdefgh"), min_size=12, max_size=40),
    seed=st.one_of(st.none(), st.integers(0, 9)),
)
def test_every_row_is_tested_once_without_its_molecule_in_training(
    molecules: list[str], seed: int | None
) -> None:
    n_folds = min(3, len(set(molecules)))
    if n_folds < 2:
        return
    labels = np.array(molecules)
    tested = []
    for train, test in molecule_folds(molecules, n_folds, seed=seed):
        assert not set(labels[train]) & set(labels[test])
        assert len(train) + len(test) == len(labels)
        tested += test.tolist()
    assert sorted(tested) == list(range(len(labels)))


def test_folds_are_reproducible_and_depend_on_the_seed() -> None:
    molecules = np.repeat(np.arange(30), 2)

    def tests(seed: int | None) -> list[list[int]]:
        return [test.tolist() for _, test in molecule_folds(molecules, 5, seed=seed)]

    assert tests(1) == tests(1) != tests(2)
    assert tests(None) == tests(None)


def test_fewer_molecules_than_folds_are_refused() -> None:
    with pytest.raises(E3DError, match="at least 3 molecules"):
        next(molecule_folds(["a", "b", "b"], 3))


def test_labels_are_numbered_in_sorted_order() -> None:
    assert codes(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_bonds_share_the_weight_of_their_molecule() -> None:
    assert bond_weights(["a", "b", "b", "b"]) == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])


def test_draws_of_molecules_are_the_same_for_all_masses() -> None:
    masses = csr_array(np.eye(4))  # cell k counts how often molecule k is drawn
    drawn = resampled_masses(masses, n_resamples=20, seed=3)
    assert (drawn.sum(axis=1) == 4).all()
    doubled = resampled_masses(csr_array(2 * np.eye(4)), n_resamples=20, seed=3)
    np.testing.assert_array_equal(doubled, 2 * drawn)
