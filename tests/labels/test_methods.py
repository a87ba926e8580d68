"""Methods: stored labels are reproduced, gradients are derivatives, minima are minima."""

from pathlib import Path

import numpy as np
import pytest
from label_runs import FEW

from e3d.chemistry.levels import FRAMES, METHODS, isolated_atoms
from e3d.chemistry.xtb import relax
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.labels.sampling import sample
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

DFT = Path("data/dft-small.h5")


def small_molecules() -> list:
    """Two molecules of H, C, N, O with at most 4 atoms, drawn with a fixed seed."""
    with Dataset(DFT) as dataset:
        small = [m for m in dataset if len(m.atomic_numbers) <= 4 and m.atomic_numbers.max() <= 8]
    rng = np.random.default_rng(20)
    return [small[k] for k in rng.choice(len(small), 2, replace=False)]


def test_dft_reproduces_stored_energies_of_stored_geometries() -> None:
    rng = np.random.default_rng(21)
    for molecule in small_molecules():
        k = int(rng.integers(len(molecule)))
        bohr = molecule.positions[k] / ANGSTROM_PER_BOHR
        energy, gradient = METHODS["wb97m-d3bj/def2-tzvp"](molecule.atomic_numbers, bohr)
        stored = molecule.energies[k] / EV_PER_HARTREE
        assert energy == pytest.approx(stored, abs=1e-6), molecule.name
        forces = -gradient * EV_PER_HARTREE / ANGSTROM_PER_BOHR
        np.testing.assert_allclose(forces, molecule.forces[k], atol=1e-3)


@pytest.mark.parametrize("method", FRAMES)
def test_frames_of_a_molecule_are_labelled_as_if_alone(method: str) -> None:
    """An SCF that begins with the density of the frame before ends where any other ends."""
    numbers = np.array([9, 1])
    frames = np.array([[[0.0, 0, 0], [0, 0, r]] for r in (1.7, 2.1, 1.5)])
    for frame, (energy, gradient) in zip(frames, FRAMES[method](numbers, frames), strict=True):
        alone, slope = METHODS[method](numbers, frame)
        assert energy == pytest.approx(alone, abs=1e-8)
        np.testing.assert_allclose(gradient, slope, atol=1e-5)


def test_dft_isolated_atoms_are_the_stored_ones() -> None:
    with Dataset(DFT) as dataset:
        stored = dataset.atomic_energies()
    computed = isolated_atoms("wb97m-d3bj/def2-tzvp", ["H", "N"])
    for symbol, energy in computed.items():
        assert energy == pytest.approx(stored[symbol], abs=1e-6 * EV_PER_HARTREE)


def test_gfn2_gradient_is_the_derivative_of_its_energy() -> None:
    with Dataset(DFT) as dataset:
        molecule = dataset["CO"]
    positions = molecule.positions[4] / ANGSTROM_PER_BOHR
    rng = np.random.default_rng(3)
    direction = rng.normal(size=positions.shape)
    direction /= np.linalg.norm(direction)
    gfn2, step = METHODS["gfn2"], 1e-3
    ahead, _ = gfn2(molecule.atomic_numbers, positions + step * direction)
    behind, _ = gfn2(molecule.atomic_numbers, positions - step * direction)
    _, gradient = gfn2(molecule.atomic_numbers, positions)
    assert (gradient * direction).sum() == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)
    assert abs((gradient * direction).sum()) > 1e-3, "the direction must test something"


def test_relaxation_ends_in_a_minimum_of_the_same_molecule() -> None:
    molecule = sample("CO", FEW)
    numbers, positions = molecule.atomic_numbers, molecule.positions[0]
    _, gradient = METHODS["gfn2"](numbers, positions / ANGSTROM_PER_BOHR)
    assert np.abs(gradient).max() * EV_PER_HARTREE / ANGSTROM_PER_BOHR < 0.02
    np.testing.assert_allclose(relax(numbers, positions), positions, atol=1e-6)
    assert molecule.temperatures is not None
    assert molecule.temperatures.tolist() == [0, 300]
    assert molecule.name == "CO"


@pytest.mark.parametrize("method", METHODS)
def test_odd_numbers_of_electrons_are_refused(method: str) -> None:
    with pytest.raises(E3DError, match="9 electrons cannot have 0 unpaired"):
        METHODS[method](np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1.8]]))
