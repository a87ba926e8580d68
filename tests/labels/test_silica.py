"""Structures of silica: their chemistry, and labels whose forces are the slope of the energy."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from e3d.chemistry.bonding import bond_pairs
from e3d.errors import E3DError
from e3d.labels import silica
from e3d.labels.sampling import Sampling


@pytest.mark.parametrize("name", silica.STRUCTURES)
def test_every_structure_is_wide_enough_and_has_the_valences_of_its_elements(name):
    atoms = silica.STRUCTURES[name]()
    assert silica.widths(atoms.cell.array).min() >= silica.MIN_WIDTH_A
    graph, images = silica.bonded(atoms)
    degrees = Counter((atom.GetSymbol(), atom.GetDegree()) for atom in graph.GetAtoms())
    assert set(degrees) <= {("Si", 4), ("O", 2), ("H", 1)}
    ends = atoms.positions[bond_pairs(graph)[:, 1]] + images @ atoms.cell.array
    lengths = np.linalg.norm(ends - atoms.positions[bond_pairs(graph)[:, 0]], axis=1)
    assert lengths.min() > 0.9
    assert lengths.max() < 1.7


def test_densities_of_polymorphs_are_those_measured():
    """g/cm³: quartz 2.65, α-cristobalite 2.33, sodalite silica 1.74."""
    found = {}
    for name in ("alpha-quartz", "alpha-cristobalite", "sodalite"):
        atoms = silica.STRUCTURES[name]()
        found[name] = atoms.get_masses().sum() / atoms.get_volume() * 1.66054
    assert found == pytest.approx(
        {"alpha-quartz": 2.65, "alpha-cristobalite": 2.33, "sodalite": 1.74}, abs=0.02
    )


def test_a_narrow_cell_is_refused():
    with pytest.raises(E3DError, match="expected 8 Å"):
        silica.bonded(Atoms("H", cell=[5, 9, 9], pbc=True))


def test_frames_are_labelled_as_stored_and_dynamics_is_strained(monkeypatch):
    """With a cheap potential in place of xTB: bookkeeping alone."""
    monkeypatch.setattr(silica, "calculator", lambda **_: LennardJones(epsilon=1e-3, sigma=1.0))
    found = silica.conformations("sodalite", Sampling((300,), 2, 5))
    assert found.temperatures.tolist() == [0, 300, 300]
    assert found.cells[0] == pytest.approx(silica.sodalite().cell.array)
    strain = found.cells[1] @ np.linalg.inv(found.cells[0])
    assert strain == pytest.approx(strain[0, 0] * np.eye(3), abs=1e-12)
    assert 0 < abs(strain[0, 0] - 1) <= silica.MAX_STRAIN
    again = Atoms(found.atomic_numbers, found.positions[1], cell=found.cells[1], pbc=True,
                  calculator=LennardJones(epsilon=1e-3, sigma=1.0))  # fmt: skip
    assert found.energies[1] == pytest.approx(again.get_potential_energy(), abs=1e-9)
    assert found.forces[1] == pytest.approx(again.get_forces(), abs=1e-9)
