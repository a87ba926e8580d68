"""Random features: the energy is linear in the last layer, and a fit lowers its error."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from e3d.data.dataset import read_molecules
from e3d.data.molecule import Molecule
from e3d.decomposition.edges import decompose
from e3d.errors import E3DError
from e3d.models import random_features
from e3d.models.random_features import RandomFeatures

CHECKPOINT = "checkpoints/tune/tune-width-32"


@pytest.fixture(scope="module")
def labelled() -> tuple[list[Molecule], dict[str, float]]:
    molecules, zero = read_molecules(["data/dft-small.h5"])
    return [m.select(np.arange(min(len(m), 2))) for m in molecules[:24]], zero


@pytest.fixture(scope="module")
def fitted(labelled: tuple[list[Molecule], dict[str, float]]) -> RandomFeatures:
    molecules, zero = labelled
    return random_features.fit_random_features(
        CHECKPOINT, 100, molecules[:16], molecules[16:], zero, penalties=[1e-6, 1e-3, 1e3]
    )


def test_the_model_has_the_energies_that_were_fitted(
    labelled: tuple[list[Molecule], dict[str, float]], fitted: RandomFeatures
) -> None:
    molecules, zero = labelled
    frames = [Atoms(m.atomic_numbers, m.positions[0]) for m in molecules[:16]]
    model = fitted.load()
    found = np.array([d.edge_energies.sum() for d in decompose(model, frames)])
    of_features = random_features.energy_features(model, frames) @ np.array(fitted.weights)
    np.testing.assert_allclose(found, of_features, rtol=1e-4)
    expected = np.array([m.binding_energies(zero)[0] for m in molecules[:16]])
    assert np.abs(found - expected).mean() < 0.2 * np.abs(expected).mean()
    assert fitted.penalty < 1e3


def test_only_the_last_layer_differs_from_random_weights(fitted: RandomFeatures) -> None:
    from e3d.models.allegro import load_model, untrained

    random = untrained(load_model(CHECKPOINT), seed=100).module.state_dict()
    own = fitted.load().module.state_dict()
    different = [name for name in random if not random[name].equal(own[name])]
    assert len(different) == 1
    assert "edge_readout" in different[0]


def test_files_keep_every_digit(tmp_path: Path, fitted: RandomFeatures) -> None:
    path = tmp_path / "readout.json"
    random_features.write_random_features(path, {"readout-s100": fitted})
    assert random_features.read_random_features(path) == {"readout-s100": fitted}
    path.write_text(path.read_text().replace('"weights": [', '"weights": ["x", '))
    with pytest.raises(E3DError, match="damaged"):
        random_features.read_random_features(path)
    with pytest.raises(E3DError, match="cannot read"):
        random_features.read_random_features(tmp_path / "none.json")


def test_weights_of_another_network_are_refused(fitted: RandomFeatures) -> None:
    with pytest.raises(E3DError, match="3 were fitted"):
        fitted._replace(weights=(1.0, 2.0, 3.0)).load()


def test_nothing_is_fitted_to_nothing(
    labelled: tuple[list[Molecule], dict[str, float]],
) -> None:
    with pytest.raises(E3DError, match="needs a training and a validation conformation"):
        random_features.fit_random_features(
            CHECKPOINT, 1, [], labelled[0][:1], labelled[1], penalties=[1.0]
        )
