"""Bond orders and force constants against cases whose answer is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule as g2
from scipy.spatial.transform import Rotation

from e3d import parallel
from e3d.chemistry import bond_orders, dft, xtb
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels import bond_strengths
from e3d.paths import DATA
from e3d.units import ANGSTROM_PER_BOHR

pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def orders(name: str, turn: Rotation | None = None) -> dict[str, np.ndarray]:
    atoms = g2(name)
    positions = atoms.positions if turn is None else turn.apply(atoms.positions)
    mean_field = dft.kohn_sham(
        atoms.numbers, positions / ANGSTROM_PER_BOHR, unpaired=int(name == "CH3"), basis="def2-svp"
    )
    dft.converged_energy(mean_field)
    return bond_orders.mean_field_bond_orders(mean_field)


@pytest.mark.parametrize(("name", "pair", "order"), [
    ("H2", (0, 1), 1.0), ("N2", (0, 1), 3.0), ("C2H4", (0, 1), 2.0), ("C2H2", (0, 1), 3.0),
    ("CH4", (0, 1), 1.0), ("CH3", (0, 1), 1.0),
])  # fmt: skip
def test_orders_are_those_of_lewis(name: str, pair: tuple[int, int], order: float) -> None:
    for found in orders(name).values():
        # triple bonds lie between 2.6 and 3.5, by the basis and the measure
        assert found[pair] == pytest.approx(order, rel=0.2)
        np.testing.assert_allclose(found, found.T, atol=1e-10)
        assert not found.diagonal().any()


def test_orders_do_not_turn() -> None:
    still, turned = orders("H2O"), orders("H2O", Rotation.from_euler("xyz", [0.3, 1.1, -0.7]))
    for name, found in still.items():
        # the integration grid turns only in part
        np.testing.assert_allclose(found, turned[name], atol=1e-3)


def test_one_electron_pair_in_two_functions() -> None:
    """Minimal basis, overlap s: |g⟩ = (a + b)/√(2 + 2s) holds two electrons, both orders are 1."""
    overlap = np.array([[1.0, 0.4], [0.4, 1.0]])
    density = np.full((2, 2), 2 / (2 + 2 * 0.4))
    for found in bond_orders.bond_orders(density, overlap, np.array([0, 1])).values():
        assert found[0, 1] == pytest.approx(1.0)


def test_two_broken_bonds_have_no_order() -> None:
    """Spin up on one atom, spin down on the other: a bond that is broken, not ionic."""
    density = np.array([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    for found in bond_orders.bond_orders(density, np.eye(2), np.array([0, 1])).values():
        assert found[0, 1] == 0


def chain(constants: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Hessian of atoms on a line 1 Å apart with springs between neighbours, and their positions."""
    n = len(constants) + 1
    hessian = np.zeros((3 * n, 3 * n))
    for k, constant in enumerate(constants):
        ends = np.zeros(3 * n)
        ends[3 * k], ends[3 * k + 3] = -1, 1
        hessian += constant * np.outer(ends, ends)
    return hessian, np.column_stack([np.arange(n), np.zeros(n), np.zeros(n)]).astype(float)


def test_springs_have_their_own_constants() -> None:
    hessian, positions = chain([30.0, 20.0, 45.0])
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 2]])
    found = bond_orders.relaxed_force_constants(hessian, positions, pairs)
    # two springs in series between the outer atoms
    np.testing.assert_allclose(found, [30, 20, 45, 1 / (1 / 30 + 1 / 20)], rtol=1e-8)


def test_force_constants_do_not_turn_and_know_the_bond() -> None:
    atoms = g2("CH3CHO")
    positions = xtb.relax(atoms.numbers, atoms.positions)
    turn = Rotation.from_euler("xyz", [0.4, -0.2, 0.9])
    bonds = np.array([[0, 1], [1, 3]])  # C=O and C-C
    assert atoms.numbers[bonds].tolist() == [[8, 6], [6, 6]]
    found, turned = (
        bond_orders.relaxed_force_constants(xtb.gfn2_hessian(atoms.numbers, p), p, bonds)
        for p in (positions, turn.apply(positions))
    )
    np.testing.assert_allclose(found, turned, rtol=1e-3)
    assert found[0] > 2 * found[1] > 0


def water(name: str = "water") -> Molecule:
    smiles = "[O:1]([H:2])[H:3]"
    atoms = g2("H2O")
    return Molecule(
        name=name, subset="organic", smiles=smiles, atomic_numbers=atoms.numbers,
        positions=atoms.positions[None], energies=np.zeros(1), formation_energies=np.zeros(1),
        forces=np.zeros((1, 3, 3)), temperatures=np.zeros(1, dtype=int),
    )  # fmt: skip


def test_wiberg_table_names_the_bonds_of_the_data_set() -> None:
    with Dataset(DATA / "dft-small.h5") as dataset:
        some = [m for m in dataset.usable() if len(m.atomic_numbers) == 6][:3]
    table = bond_strengths.wiberg_table(some)
    assert list(table) == ["molecule", "i", "j", "wiberg"]
    assert set(table["molecule"]) == {m.name for m in some}
    assert (table["i"] < table["j"]).all()
    assert table["wiberg"].between(0.5, 3.2).all()


def test_one_row_per_bond_and_finished_molecules_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "bond_strengths.csv"
    done = pd.DataFrame({"molecule": ["done"], "class": ["H-O"], "mayer": [7.0]})
    piece = parallel.partial_path(out, "done")
    piece.parent.mkdir()
    done.to_csv(piece, index=False)
    both = [water("done"), water()]
    assert bond_strengths.label_bond_strengths(both, out, n_workers=1, progress=False) == {}
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    table = pd.read_csv(out)
    assert table["molecule"].tolist() == ["done", "water", "water"]
    assert table["mayer"][0] == 7.0
    new = table[table["molecule"] == "water"]
    assert new[["i", "j"]].to_numpy().tolist() == [[0, 1], [0, 2]]
    assert set(new["class"]) == {"H-O"}
    for name in ("mayer", "wiberg_lowdin", "wiberg_gfn2"):
        assert new[name].between(0.8, 1.2).all()
        assert np.ptp(new[name]) < 1e-3
    assert new["force_constant_eV_per_A2"].between(30, 70).all()  # experiment: 52 eV/Å²
    with pytest.raises(E3DError, match="never overwritten"):
        bond_strengths.label_bond_strengths(both, out, progress=False)
