"""Conformers: the same for every way to write a molecule, the lowest of all, stereo kept."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from e3d.chemistry import bonding, conformers, embedding, relaxation, xtb
from e3d.chemistry.conformers import canonical_form
from e3d.errors import E3DError

SMILES = [
    "CCO", "[H][H]", "C[C@H](N)C(=O)O", "C/C=C\\C", "C[N+](=O)[O-]", "[2H]C([2H])O", "c1cc[nH]c1",
]  # fmt: skip
C60 = Path("tests/cases/c60.smi").read_text().split()[0]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(SMILES), st.randoms(use_true_random=False))
def test_the_canonical_form_maps_every_atom(smiles: str, random) -> None:
    graph = bonding.parse_smiles(smiles)
    shuffled = list(range(graph.GetNumAtoms()))
    random.shuffle(shuffled)
    graph = Chem.RenumberAtoms(graph, shuffled)
    canonical, order = canonical_form(graph)
    back = Chem.RenumberAtoms(canonical, order.tolist())
    assert sorted(order.tolist()) == list(range(graph.GetNumAtoms()))
    assert [a.GetAtomicNum() for a in back.GetAtoms()] == [
        a.GetAtomicNum() for a in graph.GetAtoms()
    ]
    np.testing.assert_array_equal(bonding.bond_pairs(back), bonding.bond_pairs(graph))
    assert Chem.MolToSmiles(Chem.RemoveHs(back)) == Chem.MolToSmiles(Chem.RemoveHs(graph))


def heavy_distances(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    graph = bonding.parse_smiles(smiles)
    positions, energies = conformers.conformers(graph)
    assert all(bonding.keeps_its_bonds(graph, p) for p in positions)
    first = positions[0]
    return energies, np.sort(np.linalg.norm(first[:, None] - first[None], axis=-1), axis=None)


def test_the_spelling_of_a_molecule_does_not_matter() -> None:
    tables = [heavy_distances(smiles) for smiles in ("CCCO", "OCCC", "C(CC)O", "[CH3:7]CCO")]
    energies, distances = tables[0]
    assert energies[0] == 0
    assert len(energies) > 1
    assert (np.diff(energies) > 0).all()
    assert energies[-1] <= conformers.THERMAL_EV
    for others in tables[1:]:
        np.testing.assert_array_equal(others[0], energies)
        np.testing.assert_allclose(others[1], distances, atol=1e-9)


def test_it_is_lower_than_a_single_embedding_relaxes_to() -> None:
    """Glycol: the OH groups point at each other, which one embedding need not find."""
    graph = bonding.parse_smiles("OCCO")
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])

    def energy(positions: np.ndarray) -> float:
        return Atoms(numbers, positions, calculator=xtb.calculator()).get_potential_energy()

    lowest = energy(conformers.conformers(graph)[0][0])
    for seed in (1, 2, 3):
        assert lowest <= energy(xtb.relax(numbers, bonding.embed(graph, seed=seed))) + 1e-3


@pytest.mark.parametrize("smiles", ["C/C=C\\C", "C/C=C/C", "C[C@H](N)O", "C[C@@H](N)O"])
def test_stereochemistry_is_kept(smiles: str) -> None:
    graph = bonding.parse_smiles(smiles)
    positions = conformers.conformers(graph)[0][0]
    conformer = Chem.Conformer(graph.GetNumAtoms())
    conformer.SetPositions(positions)
    graph.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(graph)
    assert Chem.MolToSmiles(Chem.RemoveHs(graph)) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("smiles", ["CC(O)C(C)F", "OC=CO", "CC(N)O"])
def test_conformers_are_of_one_isomer_where_the_graph_leaves_it_open(smiles: str) -> None:
    graph = bonding.parse_smiles(smiles)
    positions, _ = conformers.conformers(graph)
    isomers = {conformers._isomer(graph, p) for p in positions}
    assert len(isomers) == 1
    assert isomers != {Chem.CanonSmiles(smiles)}  # it is told


def test_the_curvature_is_that_of_the_force_field() -> None:
    """Distances that RDKit kept from the call before would make the stretches far too soft."""
    graph = bonding.parse_smiles("O")
    minimum = embedding.embedded(graph, 1, 1)[0]
    hessian = embedding.curvature(graph, minimum)
    assert np.linalg.eigvalsh(hessian)[-1] == pytest.approx(108, abs=15)  # O-H stretches
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9)


def test_large_molecules_are_refused_with_the_limit() -> None:
    with pytest.raises(E3DError, match="more than 200"):
        conformers.conformers(bonding.parse_smiles("C" * 100))


def test_embedding_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "EMBEDDING_LIMIT_S", 0.2)
    with pytest.raises(E3DError, match=r"within 0\.2 s"):
        embedding.embedded(bonding.parse_smiles(C60), 1, 1)


def test_a_long_relaxation_shows_how_far_it_is(monkeypatch, capsys) -> None:
    monkeypatch.setattr(relaxation, "BAR_DELAY_S", 0)
    conformers.conformers(bonding.parse_smiles("O"), progress=True)
    assert "conformer 1 of 1" in capsys.readouterr().err
    conformers.conformers(bonding.parse_smiles("O"))
    assert capsys.readouterr().err == ""


def test_relaxation_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformers, "RELAXATION_LIMIT_S", 0)
    with pytest.raises(E3DError, match="no GFN2-xTB minimum within 0 s"):
        conformers.conformers(bonding.parse_smiles("CC"))


def test_an_interrupt_of_the_embedding_is_one() -> None:
    """RDKit alone would swallow it and call C60 too strained."""
    fullerene = bonding.parse_smiles(C60)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bonding.embed(fullerene, seed=1)
    assert time.monotonic() - start < 20
