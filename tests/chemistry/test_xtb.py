"""GFN2-xTB: bond orders, radicals, and one thread whatever else runs."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule as g2
from threadpoolctl import threadpool_info

from e3d.chemistry import xtb
from e3d.errors import E3DError
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE


def of(atoms: Atoms, **options) -> xtb.SinglePoint:
    return xtb.single_point(atoms.numbers, atoms.positions / ANGSTROM_PER_BOHR, **options)


def test_bond_orders_count_electron_pairs() -> None:
    ethene = of(g2("C2H4")).orders
    assert ethene[0, 1] == pytest.approx(2, abs=0.1)
    assert ethene[0, 2] == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(ethene, ethene.T)


def test_bond_orders_of_a_radical_are_those_of_all_its_electrons() -> None:
    """tblite adds orders of the spin density, which is on one atom."""
    methyl = of(g2("CH3"), unpaired=1)
    assert methyl.orders.shape == (4, 4)
    np.testing.assert_allclose(methyl.orders[0, 1:], 1, atol=0.1)
    np.testing.assert_allclose(methyl.orders[1:, 1:], 0, atol=0.05)
    assert of(Atoms("C"), unpaired=2).orders.shape == (1, 1)


def test_the_calculator_gives_the_same_as_a_single_point() -> None:
    atoms = g2("CH3OH")
    point = of(atoms)
    atoms.calc = xtb.calculator()
    assert atoms.get_potential_energy() == pytest.approx(point.energy * EV_PER_HARTREE, abs=1e-6)
    forces = -point.gradient * EV_PER_HARTREE / ANGSTROM_PER_BOHR
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-5)


def test_impossible_spins_are_refused() -> None:
    with pytest.raises(E3DError, match="9 electrons cannot have 0 unpaired"):
        of(Atoms("OH", [[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(E3DError, match="9 electrons cannot have 0 unpaired"):
        xtb.relax(np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 1]]))


def openmp_threads() -> set[int]:
    """Threads of the runtimes that were loaded with tblite; others may have come later."""
    loaded = {library["filepath"] for library in xtb._openmp().info()}
    assert loaded
    return {pool["num_threads"] for pool in threadpool_info() if pool["filepath"] in loaded}


def test_it_runs_on_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from tblite.interface import Calculator

    during = []
    work = Calculator.singlepoint

    def watched(*given, **options):
        during.append(openmp_threads())
        return work(*given, **options)

    monkeypatch.setattr(Calculator, "singlepoint", watched)
    with xtb._openmp().limit(limits=2):
        of(g2("H2O"))
        water = g2("H2O")
        water.calc = xtb.calculator()
        water.get_potential_energy()
        assert during == [{1}, {1}]
        assert openmp_threads() == {2}
