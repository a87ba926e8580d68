import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.chemistry.brenner import Brenner, bond_energies
from e3d.errors import E3DError


def energies(atoms):
    return bond_energies(atoms.numbers, torch.tensor(atoms.positions)).numpy()


DIATOMICS = [("H2", 0.74144, 4.7509), ("CH", 1.1199, 3.6422), ("C2", 1.39, 6.0)]
MOLECULES = ("CH4", "C2H2", "C2H4", "C2H6", "C3H4_D2d", "C6H6")


@pytest.mark.parametrize(("symbols", "length", "depth"), DIATOMICS)
def test_diatomics_have_their_published_length_and_depth(symbols, length, depth):
    curve = [energies(Atoms(symbols, [[0, 0, 0], [0, 0, r]]))[0, 1] for r in
             (length - 1e-3, length, length + 1e-3)]  # fmt: skip
    assert curve[1] == pytest.approx(-depth, abs=1e-9)
    assert curve[1] < min(curve[0], curve[2])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(MOLECULES))
def test_forces_are_minus_the_gradient_and_energy_is_the_sum_of_bonds(seed, name):
    atoms = molecule(name)
    rng = np.random.default_rng(seed)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    atoms.calc = Brenner()
    bonds = energies(atoms)
    np.testing.assert_allclose(bonds, bonds.T, atol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(bonds.sum() / 2, abs=1e-10)
    direction = rng.normal(size=atoms.positions.shape)
    along = -(atoms.get_forces() * direction).sum()
    ends = []
    for step in (1e-5, -1e-5):
        moved = atoms.copy()
        moved.positions += step * direction
        ends.append(energies(moved).sum() / 2)
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(along, abs=1e-4 * (1 + abs(along)))


def test_bond_orders_rank_carbon_bonds_and_neighbours_weaken_them():
    of = {}
    for name in ("C2H2", "C2H4", "C2H6"):
        atoms = molecule(name)
        of[name] = energies(atoms)[atoms.numbers == 6][:, atoms.numbers == 6].sum() / 2
    assert of["C2H2"] < of["C2H4"] < of["C2H6"] < -2


def test_distant_atoms_do_not_interact_and_other_elements_are_refused():
    apart = Atoms(
        "CHHC", np.array([[0, 0, 0], [0, 0, 9.0], [9, 0, 0], [0, 9, 0]]), calculator=Brenner()
    )
    assert apart.get_potential_energy() == 0.0
    assert np.isfinite(apart.get_forces()).all()
    with pytest.raises(E3DError, match="H and C alone"):
        energies(molecule("H2O"))
