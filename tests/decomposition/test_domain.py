"""Where a model was trained: distances in its last layer, thresholds, and the file about them."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from examples import random_model

from e3d.decomposition import domain as domains
from e3d.decomposition.features import edge_features
from e3d.decomposition.latent import (
    QUANTILE,
    directed_pairs,
    distances,
    fit_latent,
    last_layer,
)
from e3d.errors import E3DError
from e3d.paths import DATA

PAIR = ("C-H", "H-C")


def cloud(n: int, seed: int, shift: float = 0.0) -> list[np.ndarray]:
    """Features of n molecules with two bonds: correlated, of very different size."""
    rng = np.random.default_rng(seed)
    mixing = np.array([[3.0, 0.0, 0.0], [2.0, 0.5, 0.0], [0.0, 0.0, 0.01]])
    return [rng.normal(shift, 1.0, (2, 2, 3)) @ mixing for _ in range(n)]


def names(n: int) -> list[list[tuple[str, str]]]:
    return [[PAIR, PAIR]] * n


def test_a_quantile_of_the_held_out_molecules_lies_below_the_threshold():
    latent = fit_latent(cloud(400, 0), names(400), cloud(400, 1), names(400))
    new = [distances(latent, one, [PAIR, PAIR]).max() for one in cloud(1000, 2)]
    assert np.mean(np.array(new) < latent.threshold) == pytest.approx(QUANTILE, abs=0.03)
    far = [distances(latent, one, [PAIR, PAIR]).max() for one in cloud(100, 3, shift=8.0)]
    assert (np.array(far) > latent.threshold).all()
    # in its own directions the deviation from the mean has unit variance
    squares = np.concatenate([one.reshape(-1, 3) for one in cloud(2000, 5)])
    white = (squares - latent.means["C-H"]) @ latent.whitening
    assert white.var(axis=0) == pytest.approx(np.ones(3), rel=0.1)


def test_what_training_never_had_is_infinitely_far():
    latent = fit_latent(cloud(50, 0), names(50), cloud(50, 1), names(50))
    features = np.concatenate([cloud(1, 2)[0], np.full((1, 2, 3), np.nan)])
    found = distances(latent, features, [("C-O", "O-C"), PAIR, PAIR])
    assert np.isinf(found).tolist() == [True, False, True]


def test_a_domain_is_fitted_written_and_read(tmp_path):
    models = [random_model("float32", seed=1), random_model("float32", seed=2)]
    trained, held_out = domains.training_molecules([DATA / "dft-small.h5"], most=60)
    usable = [m for m in (*trained, *held_out) if set(m[0].symbols) <= set("HCNO")]
    domain = domains.fit(models, usable[:-10], usable[-10:])
    assert domain.n_molecules == len(usable) - 10
    assert domain.heavy_atoms == max((m[0].numbers > 1).sum() for m in usable[:-10])
    assert set(domain.elements) <= set("HCNO")
    assert domain.spread_kcal_per_mol > 0
    domains.write(tmp_path / "domain.npz", domain)
    again = domains.read(tmp_path / "domain.npz")
    assert again is not None
    assert replace(again, models={}) == replace(domain, models={})
    atoms, bonds = usable[0]
    pairs = directed_pairs(atoms.numbers, bonds)
    for model in models:
        (found,) = edge_features(model, [atoms])
        features = last_layer(found, bonds)
        one, other = (d.models[domains.fingerprint(model)] for d in (domain, again))
        assert distances(one, features, pairs) == pytest.approx(
            distances(other, features, pairs), rel=1e-3
        )
    assert domains.fingerprint(models[0]) != domains.fingerprint(models[1])
    assert domains.read(tmp_path / "none.npz") is None
    (tmp_path / "bad.npz").write_text("no archive")
    with pytest.raises(E3DError, match="make it again"):
        domains.read(tmp_path / "bad.npz")
    with pytest.raises(E3DError, match="expected molecules"):
        domains.fit(models, usable, [])


def test_folds_are_those_of_the_split():
    from e3d.data.split import fold

    trained, held_out = domains.training_molecules([DATA / "dft-small.h5"] * 2, most=10**6)
    assert trained
    assert held_out
    alone, _ = domains.training_molecules([DATA / "dft-small.h5"], most=10**6)
    assert len(alone) == len(trained)  # the second time, nothing is new
    assert fold("C") == "train"
    assert [len(atoms) for atoms, _ in trained].count(5) >= 1


def test_both_directions_are_read_and_bonds_beyond_the_cutoff_are_not():
    model = random_model("float64")
    atoms = molecule("CH3OH")
    atoms.positions[-1] += 20.0
    (found,) = edge_features(model, [atoms])
    bonds = np.array([[0, 1], [0, 5]])
    features = last_layer(found, bonds)
    assert features.shape[:2] == (2, 2)
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).all()
    back = last_layer(found, bonds[:, ::-1])
    assert np.array_equal(features[0, 0], back[0, 1])
