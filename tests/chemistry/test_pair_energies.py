"""The parts that GFN2-xTB has of its energy: they sum to what tblite itself says."""

import re

import numpy as np
import pytest
from ase.build import molecule
from ase.units import Bohr
from tblite.interface import Calculator

from e3d.chemistry.pair_energies import gfn2_pair_energies, gfn2_repulsion
from e3d.errors import E3DError

#: All elements of the project are in one of them.
NAMES = ["CH3CH2OH", "CH3SiH3", "CH3SH", "CH3Cl", "CH3CN", "CF4"]


def _geometry(name: str) -> tuple[np.ndarray, np.ndarray]:
    atoms = molecule(name)
    return atoms.numbers, atoms.positions / Bohr


def _matrices(numbers: np.ndarray, positions: np.ndarray, **options: float) -> list[np.ndarray]:
    tblite = Calculator("GFN2-xTB", numbers, positions, **options)
    tblite.set("verbosity", 0)
    tblite.set("save-integrals", 1)
    result = tblite.singlepoint()
    return [np.asarray(result.get(f"{name}-matrix")) for name in ("density", "hamiltonian")]


@pytest.mark.parametrize("name", NAMES)
def test_pairs_and_atoms_sum_to_the_trace_of_density_and_hamiltonian(name: str) -> None:
    numbers, positions = _geometry(name)
    density, hamiltonian = _matrices(numbers, positions)
    found = gfn2_pair_energies(numbers, positions)
    expected = (density * hamiltonian).sum()
    assert np.triu(found.hamiltonian).sum() == pytest.approx(expected, abs=1e-7)
    np.testing.assert_allclose(found.total, found.total.T, atol=1e-12)
    assert np.diag(found.total) == pytest.approx(0)


def test_the_hamiltonian_does_not_know_the_charges() -> None:
    numbers, positions = _geometry("CH3CH2OH")
    (density, neutral), (other_density, cation) = (
        _matrices(numbers, positions, **options) for options in ({}, {"charge": 1.0, "uhf": 1})
    )
    np.testing.assert_allclose(neutral, cation, atol=1e-12)
    assert abs(density - other_density.reshape(-1, *density.shape).sum(axis=0)).max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_the_repulsion_is_that_of_tblite(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, positions = _geometry(name)
    tblite = Calculator("GFN2-xTB", numbers, positions)
    tblite.set("verbosity", 2)
    tblite.singlepoint()
    said = re.search(r"repulsion energy\s+(\S+) Eh", capsys.readouterr().out)
    assert said is not None
    found = np.triu(gfn2_repulsion(numbers, positions)).sum()
    assert found == pytest.approx(float(said.group(1)), abs=1e-9)


def test_hydrogen_is_bound_by_its_pair_alone() -> None:
    numbers, positions = np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 1.4]])
    assert gfn2_pair_energies(numbers, positions).total[0, 1] < -0.1
    far = gfn2_pair_energies(numbers, 20 * positions).total[0, 1]
    assert far == pytest.approx(0, abs=1e-6)


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(E3DError, match="no repulsion of GFN2-xTB is known here for Br"):
        gfn2_repulsion(np.array([35, 1]), np.array([[0, 0, 0], [0, 0, 2.7]]))
