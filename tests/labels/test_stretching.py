"""Stretch curves: geometry, and the limits that broken-symmetry DFT must reach."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

from e3d import parallel, units
from e3d.chemistry import dft, levels
from e3d.data.dataset import read_molecules
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.labels import stretching
from e3d.units import EV_PER_HARTREE

pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def molecules() -> dict[str, Molecule]:
    return {m.canonical_smiles: m for m in read_molecules("data/dft-small.h5")[0]}


def test_one_side_moves_as_it_is(molecules: dict[str, Molecule]) -> None:
    job = stretching.stretch(molecules["CC"], "C-C", fractions=[0.9, 1.0, 2.0])
    assert len(job.moved) == 4
    assert job.j in job.moved
    assert job.i not in job.moved
    for length in job.lengths:
        moved = stretching.stretched(job, job.positions, length)
        assert np.linalg.norm(moved[job.i] - moved[job.j]) == pytest.approx(length)
        still = [k for k in range(8) if k not in job.moved]
        np.testing.assert_array_equal(moved[still], job.positions[still])
        shift = moved[list(job.moved)] - job.positions[list(job.moved)]
        np.testing.assert_allclose(shift, np.tile(shift[0], (4, 1)), atol=1e-12)
    np.testing.assert_allclose(
        stretching.stretched(job, job.positions, job.lengths[1]), job.positions, atol=1e-12
    )


def test_lengths_reach_the_largest() -> None:
    found = stretching.lengths(1.0, [1.5, 0.7, 1.0], 4.0, 5)
    np.testing.assert_allclose(found, [0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
    assert stretching.lengths(1.0, [1.0], 4.0, 0) == (1.0,)


@pytest.mark.parametrize(("smiles", "name", "order"), [
    ("CC", "C-C", 1), ("C=C", "C=C", 2), ("C#N", "C#N", 3), ("CO", "H-O", 1),
])  # fmt: skip
def test_the_bond_asked_for(
    molecules: dict[str, Molecule], smiles: str, name: str, order: int
) -> None:
    job = stretching.stretch(molecules[smiles], name, fractions=[1.0])
    ends = {molecules[smiles].symbols[job.i], molecules[smiles].symbols[job.j]}
    assert ends == set(name.replace("=", "-").replace("#", "-").split("-"))
    assert job.order == order


def test_no_such_bond(molecules: dict[str, Molecule]) -> None:
    with pytest.raises(E3DError, match="no bond of class C=O"):
        stretching.stretch(molecules["CC"], "C=O", fractions=[1.0])


def test_hydrogen_parts_into_atoms(molecules: dict[str, Molecule]) -> None:
    """At the minimum the closed shell, far apart two atoms: a closed shell would end far above."""
    job = stretching.stretch(molecules["[H][H]"], "H-H", fractions=[0.7, 1.0, 1.5], n_beyond=2)
    images = stretching.curve(job)
    lengths = [image.info["length_A"] for image in images]
    assert lengths == sorted(job.lengths)
    energies = np.array([image.info["energy_eV"] for image in images])
    assert energies.argmin() == 1
    numbers, positions = job.numbers, stretching.stretched(job, job.positions, job.lengths[1])
    closed, _ = dft.wb97m(numbers, positions / units.ANGSTROM_PER_BOHR)
    assert energies[1] == pytest.approx(closed * EV_PER_HARTREE, abs=1e-5)
    atom = levels.isolated_atoms("wb97m-d3bj/def2-tzvp", ["H"])["H"]
    assert energies[-1] == pytest.approx(2 * atom, abs=0.02)
    spins = [image.info["spin_square"] for image in images]
    assert spins[1] == pytest.approx(0, abs=1e-4)
    assert spins[-1] == pytest.approx(1, abs=0.02)  # half singlet, half triplet


def test_far_radicals_have_opposite_spins(molecules: dict[str, Molecule]) -> None:
    job = stretching.stretch(molecules["O"], "H-O", fractions=[1.0])
    far = stretching.stretched(job, job.positions, 4.0)
    up, down = stretching.broken_symmetry_guess(job, far, "def2-svp")
    mean_field = dft.kohn_sham(job.numbers, far / units.ANGSTROM_PER_BOHR,
                                   basis="def2-svp", unrestricted=True)  # fmt: skip
    overlap = mean_field.get_ovlp()
    first, last = np.array(mean_field.mol.aoslice_by_atom())[job.j][2:]
    spin = np.einsum("mn,nm->m", up - down, overlap)
    assert np.einsum("mn,nm->", up - down, overlap) == pytest.approx(0, abs=0.01)
    assert abs(spin[first:last].sum()) == pytest.approx(1, abs=0.01)


def hydrogen(length: float) -> Any:
    return dft.kohn_sham(
        np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, length]]) / units.ANGSTROM_PER_BOHR,
        basis="def2-svp", unrestricted=True,
    )  # fmt: skip


def test_spins_that_are_paired_part_where_that_is_lower() -> None:
    closed, mean_field = hydrogen(3.0), hydrogen(3.0)
    above = dft.converged_energy(closed)
    assert closed.spin_square()[0] == pytest.approx(0, abs=1e-6)
    below = dft.stable_energy(mean_field, closed.make_rdm1())
    assert below < above - 0.05
    assert mean_field.spin_square()[0] == pytest.approx(1, abs=0.05)


def test_a_direction_that_leads_up_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response of a meta-GGA may be noise: the state that was found stays."""
    closed, parted = hydrogen(3.0), hydrogen(3.0)
    above = dft.converged_energy(closed)
    energy = dft.stable_energy(parted, closed.make_rdm1())
    mean_field = hydrogen(3.0)
    asked = []

    def noise(of: Any, **_: Any) -> tuple[Any, bool]:
        asked.append(of.e_tot)
        return closed.mo_coeff, False  # from where an SCF stays closed, far above

    monkeypatch.setattr("pyscf.scf.stability.uhf_internal", noise)
    found = dft.stable_energy(mean_field, parted.make_rdm1())
    assert asked == pytest.approx([energy], abs=1e-7)
    assert found == pytest.approx(energy, abs=1e-7)
    assert found < above - 0.05
    assert mean_field.spin_square()[0] == pytest.approx(1, abs=0.05)


def test_curves_are_written_once_and_finished_ones_kept(
    molecules: dict[str, Molecule], tmp_path: Path
) -> None:
    out = tmp_path / "stretching.xyz"
    jobs = [stretching.stretch(molecules["[H][H]"], "H-H", fractions=[1.0, 2.0], relaxed=relaxed)
            for relaxed in (False, True)]  # fmt: skip
    done = stretching.curve(jobs[0])
    done[0].info["energy_eV"] = -1.0  # to be recognised
    piece = parallel.partial_path(out, stretching._key(jobs[0]))
    piece.parent.mkdir()
    ase.io.write(piece, done, format="extxyz")
    assert stretching.label_stretches(jobs, out, n_workers=1, progress=False) == {}
    images = ase.io.read(out, index=":", format="extxyz")
    assert [image.info["relaxed"] for image in images] == [False, False, True, True]
    assert images[0].info["energy_eV"] == -1.0
    # nothing is left to relax in a diatomic molecule
    np.testing.assert_allclose(images[3].info["energy_eV"], images[1].info["energy_eV"], atol=1e-6)


@pytest.mark.slow
def test_all_else_relaxes_at_the_length_asked_for(molecules: dict[str, Molecule]) -> None:
    fractions = [1.0, 2.0]
    rigid, relaxed = (
        stretching.curve(
            stretching.stretch(molecules["N"], "H-N", fractions=fractions, relaxed=relaxed)
        )
        for relaxed in (False, True)
    )
    for one, other in zip(rigid, relaxed, strict=True):
        pair = one.info["i"], one.info["j"]
        assert other.get_distance(*pair) == pytest.approx(one.get_distance(*pair), abs=1e-6)
        # minima of a small basis, energies of a large one
        assert other.info["energy_eV"] < one.info["energy_eV"] + 0.1
