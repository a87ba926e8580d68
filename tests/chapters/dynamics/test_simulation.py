"""Dynamics: forces are those of the models, ends are seen, files come back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from examples import labelled, random_model, well

from chapters.dynamics import potentials, simulation, trajectories
from chapters.dynamics.simulation import BatchCalculator, Protocol, simulate
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.parallel import partial_path


def start(entry: Molecule) -> Atoms:
    return Atoms(entry.atomic_numbers, entry.positions[0])


def bonds(entry: Molecule) -> np.ndarray:
    return bond_pairs(from_mapped_smiles(entry.smiles))


def springs(entries: list[Molecule], stiffness: float = 20.0) -> potentials.Potential:
    """Springs in eV/Å² between all atoms of molecules, at rest at their starts."""
    upper = {start(m).get_chemical_formula(): start(m).get_all_distances() for m in entries}

    def potential(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        energies, forces = [], []
        for one in molecules:
            vectors = one.get_all_distances(vector=True)  # from the first atom to the second
            lengths = np.linalg.norm(vectors, axis=-1) + np.eye(len(one))
            longer = lengths - upper[one.get_chemical_formula()] - np.eye(len(one))
            energies.append(stiffness / 4 * (longer**2).sum())
            forces.append(stiffness * (longer / lengths)[..., None] * vectors)
        return np.array(energies), [force.sum(axis=1) for force in forces]

    return potential


def test_a_network_drives_molecules_together_as_nequip_drives_one() -> None:
    from nequip.integrations.ase import NequIPCalculator

    from e3d.models import batches

    model = random_model()
    molecules = [labelled(smiles) for smiles in ("CO", "O", "C=C")]
    energies, forces = potentials.allegro(model)([start(m) for m in molecules])
    for entry, energy, force in zip(molecules, energies, forces, strict=True):
        atoms = start(entry)
        atoms.calc = NequIPCalculator(
            model.module, model.device, transforms=batches.transforms(model)
        )
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(force, atoms.get_forces(), atol=1e-9)


def test_pair_forces_are_those_of_the_null_and_slopes_of_its_energy() -> None:
    potential, entry = well(), labelled("CO")
    energies, forces = potentials.pair(potential)([start(entry)])
    expected_energy, expected_forces = potential.predict(entry)
    assert energies == pytest.approx(expected_energy)
    np.testing.assert_allclose(forces[0], expected_forces[0], atol=1e-10)
    close = Atoms("H2", [[0, 0, 0], [0, 0, 0.3]])  # nearer than the first knot
    moved = [Atoms("H2", [[0, 0, 0], [0, 0, 0.3 + d]]) for d in (-1e-4, 1e-4)]
    (low, high), _ = potentials.pair(potential)(moved)
    _, (force,) = potentials.pair(potential)([close])
    assert force[1, 2] == pytest.approx(-(high - low) / 2e-4, rel=1e-4)


def test_the_pair_null_names_a_pair_that_it_lacks() -> None:
    with pytest.raises(E3DError, match="not fitted to N-N"):
        potentials.pair(well())([Atoms("N2", [[0, 0, 0], [0, 0, 1.1]])])


def test_gfn2_forces_are_slopes_and_warm_electrons_let_go_of_a_torn_bond() -> None:
    def stretched(r: float) -> Atoms:
        return Atoms("H2", [[0, 0, 0], [0, 0, r]])

    potential = potentials.potential_by_name("gfn2:5000")
    (low, high), _ = potential([stretched(1.499), stretched(1.501)])
    _, (force,) = potential([stretched(1.5)])
    assert force[1, 2] == pytest.approx(-(high - low) / 0.002, rel=1e-3)
    orders = {kelvin: potentials.gfn2_point(stretched(2.5), kelvin).orders[0, 1]
              for kelvin in (potentials.COLD_K, 5000.0)}  # fmt: skip
    assert orders[potentials.COLD_K] > 0.9
    assert orders[5000.0] < 0.3


def test_without_friction_the_energy_is_kept_better_by_shorter_steps() -> None:
    entry = labelled("O")
    spread = {}
    for step in (0.5, 1.0):
        protocol = Protocol(time_step_fs=step, length_fs=200, every_fs=2)
        (run,) = simulate(springs([entry]), [start(entry)], [bonds(entry)], protocol,
                          temperature_K=300, seed=[1])  # fmt: skip
        assert run.end == "whole"
        assert run.times[-1] == 200
        spread[step] = np.std(np.array(run.potential_energies) + run.kinetic_energies)
    assert 3 < spread[1.0] / spread[0.5] < 5, "velocity Verlet is of second order"
    assert spread[0.5] < 0.1 * np.std(run.kinetic_energies)


def test_the_thermostat_keeps_its_temperature_and_equal_seeds_give_equal_runs() -> None:
    from ase.units import kB

    entries = [labelled("CO"), labelled("O")] * 3
    protocol = Protocol(time_step_fs=1.0, length_fs=1000, every_fs=5, friction_per_fs=0.05)
    pairs = [bonds(m) for m in entries]
    runs = simulate(springs(entries), [start(m) for m in entries], pairs,
                    protocol, temperature_K=400, seed=[2])  # fmt: skip
    later = slice(100, None)
    found = [np.mean(run.kinetic_energies[later]) / (1.5 * len(m.atomic_numbers) * kB)
             for m, run in zip(entries, runs, strict=True)]  # fmt: skip
    assert np.mean(found) == pytest.approx(400, rel=0.1)
    again = simulate(springs(entries), [start(m) for m in entries], pairs,
                     Protocol(1.0, 50, 5, 0.05), temperature_K=400, seed=[2])  # fmt: skip
    np.testing.assert_array_equal(again[0].positions[-1], runs[0].positions[10])


def test_ends_are_told_apart_and_one_end_does_not_touch_the_others() -> None:
    water, heavy = labelled("O"), Atoms("CC", [[0, 0, 0], [0, 0, 1.5]])

    def potential(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Tears C2, crushes H2, gives NaN for O2, leaves water alone."""
        energies, forces = [], []
        for one in molecules:
            pull = {"C2": 40.0, "H2": -40.0}.get(one.get_chemical_formula(), 0.0)
            away = one.positions - one.positions.mean(axis=0)
            forces.append(pull * away / np.linalg.norm(away, axis=1)[:, None])
            energies.append(np.nan if one.get_chemical_formula() == "O2" else 0.0)
        return np.array(energies), forces

    starts = [heavy, Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), Atoms("O2", [[0, 0, 0], [0, 0, 1.2]]),
              start(water)]  # fmt: skip
    one = np.array([[0, 1]])
    protocol = Protocol(time_step_fs=0.5, length_fs=60, every_fs=1, after_break_fs=5)
    runs = simulate(potential, starts, [one, one, one, bonds(water)], protocol,
                    temperature_K=1, seed=[0])  # fmt: skip
    assert [run.end for run in runs] == ["broken", "collapsed", "lost", "whole"]
    assert runs[0].times[-1] == runs[0].broken_at + 5 < 60
    assert runs[3].times[-1] == 60
    drift = np.diff(np.array(runs[3].positions).mean(axis=1), axis=0)
    assert np.abs(np.diff(drift, axis=0)).max() < 1e-6, "water flies straight on"


def test_a_molecule_without_a_finite_energy_feels_no_force_and_its_energy_is_missing() -> None:
    joined = Atoms("H2O2", [[0, 0, 0], [0, 0, 0.74], [np.nan, 0, 0], [0, 0, 1.2]])
    joined.calc = BatchCalculator(potentials.pair(well()), [2, 2])
    forces = joined.get_forces()
    assert np.abs(forces[:2]).max() > 0
    assert (forces[2:] == 0).all()
    assert np.isnan(joined.calc.results["molecule_energies"]).tolist() == [False, True]
    assert not simulation.is_evaluable(np.array([[0.0, 0, 0], [0, 0, 1e6]]))


def test_molecules_are_chosen_for_their_classes_held_out_ones_first() -> None:
    pool = [labelled(s) for s in ("C", "CC", "CO", "O", "N", "NN", "C=C", "N#N", "C=C=C", "CNC")]
    chosen = trajectories.choose(pool, held_out=2, trained=3, n_atoms=(3, 10))
    folds = [trajectories.split.fold(m.smiles) for m in chosen]
    assert folds == ["test"] * 2 + ["train"] * 3
    assert chosen == trajectories.choose(pool[::-1], held_out=2, trained=3, n_atoms=(3, 10))
    assert all(3 <= len(m.atomic_numbers) <= 10 for m in chosen)


def test_trajectories_are_kept_resumed_and_read_back(tmp_path: Path) -> None:
    entries = [labelled("CO"), labelled("O")]
    names = tuple(m.name for m in entries)
    protocol = Protocol(0.5, 40, 2, friction_per_fs=0.02, after_break_fs=6)
    hot = trajectories.SimulationTask(
        "hot", "gfn2:300", names, 300, 0, protocol, keep_fs=20, with_bond_orders=True
    )
    cold = trajectories.SimulationTask(
        "nve", "gfn2:300", names, 300, 0, Protocol(0.5, 20, 2), keep_fs=4
    )
    out = tmp_path / "trajectories.h5"
    trajectories.run_tasks([hot, cold], entries, out, progress=False)
    records = trajectories.read(out)
    assert [r.kind for r in records] == ["hot", "hot", "nve", "nve"]
    first = records[0]
    np.testing.assert_allclose(first.positions[0], entries[0].positions[0], atol=1e-6)
    assert first.times.tolist() == [0, 20, 40]
    assert records[2].times.tolist() == [0, 4, 8, 12, 16, 20]
    assert first.orders is not None
    assert first.orders.shape == (3, len(first.bonds))
    assert records[2].orders is None
    assert first.orders[0].max() > 0.8
    assert first.classes.count("C-O") == 1
    with pytest.raises(E3DError, match="never overwritten"):
        trajectories.run_tasks([hot], entries, out)


def test_a_finished_task_is_not_run_again(tmp_path: Path) -> None:
    entries = [labelled("O")]
    short = trajectories.SimulationTask(
        "nve", "gfn2:300", ("O",), 300, 0, Protocol(0.5, 4, 2), keep_fs=4
    )
    other = replace(short, kind="other")
    out = tmp_path / "trajectories.h5"
    kept = partial_path(out, short.key)
    kept.parent.mkdir()
    trajectories.run_task(other, kept, molecules={"O": entries[0]}, fitted_pair=None)
    trajectories.run_tasks([short], entries, out, progress=False)
    assert [r.kind for r in trajectories.read(out)] == ["other"]
    assert not kept.parent.exists()


def test_frames_around_a_break_are_all_kept() -> None:
    protocol = Protocol(0.5, 200, 2, after_break_fs=10)
    task = trajectories.SimulationTask(
        "hot", "pair", ("x",), 300, 0, protocol, keep_fs=20, window_fs=8
    )
    run = simulation.Trajectory(times=list(np.arange(0, 112, 2.0)), broken_at=100.0, end="broken")
    times = np.array(run.times)[trajectories._kept(task, run)]
    assert times.tolist() == [0, 20, 40, 60, 80, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110]


def test_a_damaged_file_or_an_unknown_molecule_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(E3DError, match="no file of trajectories"):
        trajectories.read(path)
    task = trajectories.SimulationTask(
        "nve", "pair", ("CO",), 300, 0, Protocol(0.5, 10, 2), keep_fs=4
    )
    with pytest.raises(E3DError, match="no molecule is called 'CO'"):
        trajectories.run_tasks([task], [], tmp_path / "new.h5")
    with pytest.raises(E3DError, match="must be fitted first"):
        potentials.potential_by_name("pair")


def test_a_line_through_the_energy_is_its_drift() -> None:
    times = np.arange(0, 2000, 20.0)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(times))
    found = simulation.energy_drift(times, 0.01 * times / 1000 * 4 - 7 + 4 * noise, 4)
    assert found.slope == pytest.approx(10, abs=4 * found.error)
    assert found.spread == pytest.approx(1, rel=0.2)
    with pytest.raises(E3DError, match="three frames"):
        simulation.energy_drift(times[:2], times[:2], 4)
