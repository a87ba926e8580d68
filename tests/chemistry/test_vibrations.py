"""Vibrations: as many modes as there should be, without translations and rotations."""

import numpy as np
import pytest
from ase.build import molecule as g2

from e3d.chemistry import vibrations
from e3d.chemistry.xtb import relax


@pytest.mark.parametrize(("name", "n_modes"), [("H2O", 3), ("CO", 1), ("NH3", 6), ("C2H2", 7)])
def test_a_minimum_has_as_many_modes_as_it_should_and_none_imaginary(
    name: str, n_modes: int
) -> None:
    atoms = g2(name)
    modes = vibrations.frequencies(atoms.numbers, relax(atoms.numbers, atoms.positions, fmax=0.005))
    assert len(modes) == n_modes
    assert 400 < modes.min() <= modes.max() < 4500


def test_no_rigid_motion_is_left() -> None:
    atoms = g2("CH3OH")
    basis = vibrations.internal_basis(atoms.positions, np.ones(len(atoms)))
    np.testing.assert_allclose(basis.T @ basis, np.eye(12), atol=1e-12)
    away = atoms.positions + 7.0  # axes need not pass through the molecule
    for axis in np.eye(3):
        for motion in (np.tile(axis, (len(atoms), 1)), np.cross(axis, away)):
            np.testing.assert_allclose(basis.T @ motion.reshape(-1), 0, atol=1e-12)


def test_masses_weight_the_motions() -> None:
    atoms = g2("CO")
    masses = atoms.get_masses()
    (stretch,) = vibrations.internal_basis(atoms.positions, masses).T
    displacements = stretch.reshape(-1, 3) / np.sqrt(masses)[:, None]
    np.testing.assert_allclose(masses @ displacements, 0, atol=1e-12)  # the centre stays
