"""Dynamics: forces are those of the models, ends and breaking bonds are seen, files come back."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from models import labelled, random_model
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from e3d import breaking, drivers, dynamics, trajectories
from e3d.dataset import Molecule
from e3d.dynamics import Protocol, Together, simulate
from e3d.errors import E3DError
from e3d.molecule import bond_pairs, from_mapped_smiles
from e3d.pair_null import PairPotential, spline_knots
from e3d.pieces import piece_of
from e3d.viewer import trajectory_html

KNOTS = spline_knots(0.5, 4.0, 0.2)


def start(entry: Molecule) -> Atoms:
    return Atoms(entry.atomic_numbers, entry.positions[0])


def bonds(entry: Molecule) -> np.ndarray:
    return bond_pairs(from_mapped_smiles(entry.smiles))


def well(depth: float = 5.0, at: float = 1.0) -> PairPotential:
    """A pair potential with one minimum for every pair of H, C and O."""
    centres = np.linspace(KNOTS[0] - 0.2, KNOTS[-1] - 0.6, len(KNOTS) - 1)
    shape = depth * ((1 - np.exp(-2.0 * (centres - at))) ** 2 - 1)
    pairs = [("C", "C"), ("C", "H"), ("C", "O"), ("H", "H"), ("H", "O"), ("O", "O")]
    return PairPotential(KNOTS, dict.fromkeys(pairs, shape))


def springs(entries: list[Molecule], stiffness: float = 20.0) -> drivers.Driver:
    """Springs in eV/Å² between all atoms of molecules, at rest at their starts."""
    upper = {start(m).get_chemical_formula(): start(m).get_all_distances() for m in entries}

    def driver(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
        energies, forces = [], []
        for one in molecules:
            vectors = one.get_all_distances(vector=True)  # from the first atom to the second
            lengths = np.linalg.norm(vectors, axis=-1) + np.eye(len(one))
            longer = lengths - upper[one.get_chemical_formula()] - np.eye(len(one))
            energies.append(stiffness / 4 * (longer**2).sum())
            forces.append(stiffness * (longer / lengths)[..., None] * vectors)
        return np.array(energies), [force.sum(axis=1) for force in forces]

    return driver


def test_a_network_drives_molecules_together_as_nequip_drives_one() -> None:
    from nequip.integrations.ase import NequIPCalculator

    from e3d import graphs

    model = random_model()
    molecules = [labelled(smiles) for smiles in ("CO", "O", "C=C")]
    energies, forces = drivers.network(model)([start(m) for m in molecules])
    for entry, energy, force in zip(molecules, energies, forces, strict=True):
        atoms = start(entry)
        atoms.calc = NequIPCalculator(
            model.module, model.device, transforms=graphs.transforms(model)
        )
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(force, atoms.get_forces(), atol=1e-9)


def test_pair_forces_are_those_of_the_null_and_slopes_of_its_energy() -> None:
    potential, entry = well(), labelled("CO")
    energies, forces = drivers.pair_forces(potential)([start(entry)])
    expected_energy, expected_forces = potential.predict(entry)
    assert energies == pytest.approx(expected_energy)
    np.testing.assert_allclose(forces[0], expected_forces[0], atol=1e-10)
    close = Atoms("H2", [[0, 0, 0], [0, 0, 0.3]])  # nearer than the first knot
    moved = [Atoms("H2", [[0, 0, 0], [0, 0, 0.3 + d]]) for d in (-1e-4, 1e-4)]
    (low, high), _ = drivers.pair_forces(potential)(moved)
    _, (force,) = drivers.pair_forces(potential)([close])
    assert force[1, 2] == pytest.approx(-(high - low) / 2e-4, rel=1e-4)


def test_the_pair_null_names_a_pair_that_it_lacks() -> None:
    with pytest.raises(E3DError, match="not fitted to N-N"):
        drivers.pair_forces(well())([Atoms("N2", [[0, 0, 0], [0, 0, 1.1]])])


def test_gfn2_forces_are_slopes_and_warm_electrons_let_go_of_a_torn_bond() -> None:
    def stretched(r: float) -> Atoms:
        return Atoms("H2", [[0, 0, 0], [0, 0, r]])

    driver = drivers.by_name("gfn2:5000")
    (low, high), _ = driver([stretched(1.499), stretched(1.501)])
    _, (force,) = driver([stretched(1.5)])
    assert force[1, 2] == pytest.approx(-(high - low) / 0.002, rel=1e-3)
    orders = {kelvin: drivers.gfn2_point(stretched(2.5), kelvin).orders[0, 1]
              for kelvin in (drivers.COLD_K, 5000.0)}  # fmt: skip
    assert orders[drivers.COLD_K] > 0.9
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
        spread[step] = np.std(np.array(run.potential) + run.kinetic)
    assert 3 < spread[1.0] / spread[0.5] < 5, "velocity Verlet is of second order"
    assert spread[0.5] < 0.1 * np.std(run.kinetic)


def test_the_thermostat_keeps_its_temperature_and_equal_seeds_give_equal_runs() -> None:
    from ase.units import kB

    entries = [labelled("CO"), labelled("O")] * 3
    protocol = Protocol(time_step_fs=1.0, length_fs=1000, every_fs=5, friction_per_fs=0.05)
    pairs = [bonds(m) for m in entries]
    runs = simulate(springs(entries), [start(m) for m in entries], pairs,
                    protocol, temperature_K=400, seed=[2])  # fmt: skip
    later = slice(100, None)
    found = [np.mean(run.kinetic[later]) / (1.5 * len(m.atomic_numbers) * kB)
             for m, run in zip(entries, runs, strict=True)]  # fmt: skip
    assert np.mean(found) == pytest.approx(400, rel=0.1)
    again = simulate(springs(entries), [start(m) for m in entries], pairs,
                     Protocol(1.0, 50, 5, 0.05), temperature_K=400, seed=[2])  # fmt: skip
    np.testing.assert_array_equal(again[0].positions[-1], runs[0].positions[10])


def test_ends_are_told_apart_and_one_end_does_not_touch_the_others() -> None:
    water, heavy = labelled("O"), Atoms("CC", [[0, 0, 0], [0, 0, 1.5]])

    def driver(molecules: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
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
    runs = simulate(driver, starts, [one, one, one, bonds(water)], protocol,
                    temperature_K=1, seed=[0])  # fmt: skip
    assert [run.end for run in runs] == ["broken", "collapsed", "lost", "whole"]
    assert runs[0].times[-1] == runs[0].broken_at + 5 < 60
    assert runs[3].times[-1] == 60
    drift = np.diff(np.array(runs[3].positions).mean(axis=1), axis=0)
    assert np.abs(np.diff(drift, axis=0)).max() < 1e-6, "water flies straight on"


def test_a_molecule_without_a_finite_energy_feels_no_force_and_its_energy_is_missing() -> None:
    joined = Atoms("H2O2", [[0, 0, 0], [0, 0, 0.74], [np.nan, 0, 0], [0, 0, 1.2]])
    joined.calc = Together(drivers.pair_forces(well()), [2, 2])
    forces = joined.get_forces()
    assert np.abs(forces[:2]).max() > 0
    assert (forces[2:] == 0).all()
    assert np.isnan(joined.calc.results["molecule_energies"]).tolist() == [False, True]
    assert not dynamics.is_sound(np.array([[0.0, 0, 0], [0, 0, 1e6]]))


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
    hot = trajectories.Task("hot", "gfn2:300", names, 300, 0, protocol, keep_fs=20, judged=True)
    cold = trajectories.Task("nve", "gfn2:300", names, 300, 0, Protocol(0.5, 20, 2), keep_fs=4)
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
    short = trajectories.Task("nve", "gfn2:300", ("O",), 300, 0, Protocol(0.5, 4, 2), keep_fs=4)
    other = replace(short, kind="other")
    out = tmp_path / "trajectories.h5"
    kept = piece_of(out, short.key)
    kept.parent.mkdir()
    trajectories.work(other, kept, molecules={"O": entries[0]}, potential=None)
    trajectories.run_tasks([short], entries, out, progress=False)
    assert [r.kind for r in trajectories.read(out)] == ["other"]
    assert not kept.parent.exists()


def test_frames_around_a_break_are_all_kept() -> None:
    protocol = Protocol(0.5, 200, 2, after_break_fs=10)
    task = trajectories.Task("hot", "pair", ("x",), 300, 0, protocol, keep_fs=20, window_fs=8)
    run = dynamics.Trajectory(times=list(np.arange(0, 112, 2.0)), broken_at=100.0, end="broken")
    times = np.array(run.times)[trajectories._kept(task, run)]
    assert times.tolist() == [0, 20, 40, 60, 80, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110]


def test_a_damaged_file_or_an_unknown_molecule_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(E3DError, match="no file of trajectories"):
        trajectories.read(path)
    task = trajectories.Task("nve", "pair", ("CO",), 300, 0, Protocol(0.5, 10, 2), keep_fs=4)
    with pytest.raises(E3DError, match="no molecule is called 'CO'"):
        trajectories.run_tasks([task], [], tmp_path / "new.h5")
    with pytest.raises(E3DError, match="needs a fitted potential"):
        drivers.by_name("pair")


def torn(smiles: str = "O", bond: int = 0, n_frames: int = 21) -> trajectories.Record:
    """A record in which one bond of a molecule is torn, a tenth of an Å per frame of 2 fs."""
    entry = labelled(smiles)
    pairs = bonds(entry)
    i, j = pairs[bond]
    away = entry.positions[0, j] - entry.positions[0, i]
    positions = np.repeat(entry.positions, n_frames, axis=0)
    positions[:, j] += 0.1 * np.arange(n_frames)[:, None] * away / np.linalg.norm(away)
    orders = np.ones((n_frames, len(pairs)))
    orders[:, bond] = np.linspace(1, 0, n_frames)
    zeros = np.zeros(n_frames)
    return trajectories.Record(
        "hot", "pair", smiles, entry.smiles, "train", "broken", 3000.0, 0.0, 0.5, 40.0, 10.0,
        entry.atomic_numbers, 2.0 * np.arange(n_frames), positions, zeros, zeros, orders, orders,
        zeros,
    )  # fmt: skip


def test_a_line_through_the_energy_is_its_drift() -> None:
    times = np.arange(0, 2000, 20.0)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(times))
    found = dynamics.energy_drift(times, 0.01 * times / 1000 * 4 - 7 + 4 * noise, 4)
    assert found.slope == pytest.approx(10, abs=4 * found.error)
    assert found.spread == pytest.approx(1, rel=0.2)
    with pytest.raises(E3DError, match="three frames"):
        dynamics.energy_drift(times[:2], times[:2], 4)


def test_a_crossing_is_the_last_one_and_lies_between_frames() -> None:
    times = np.arange(6.0)
    values = np.array([0.0, 2.0, 0.0, 0.5, 2.0, 3.0])
    assert breaking.crossing(times, values, 1.0, rising=True) == pytest.approx(3 + 1 / 3)
    assert breaking.crossing(times, -values, -1.0, rising=False) == pytest.approx(3 + 1 / 3)
    assert np.isnan(breaking.crossing(times, values, 4.0, rising=True))
    assert breaking.crossing(times, values + 5, 1.0, rising=True) == 0


def test_the_torn_bond_is_the_one_event_and_nothing_is_gone_at_the_start() -> None:
    record = torn()
    (energies,) = breaking.along(random_model(), [record])
    assert energies.gone.shape == (21, len(record.bonds))
    np.testing.assert_allclose(energies.gone[0], 0, atol=1e-12)
    assert energies.total[0] == 0
    (pair,) = breaking.along_pair(well(), [record])
    lengths = dynamics.bond_lengths(record.positions, record.bonds)
    expected = 1 - well()("H", "O", lengths[:, 0]) / well()("H", "O", lengths[:1, 0])
    np.testing.assert_allclose(pair[:, 0], expected)
    frames = breaking.frame_table([record], {"energy": [energies.gone], "pair": [pair]})
    events = breaking.breaking_events(frames, ["energy", "pair"])
    assert events["bond"].tolist() == [0]
    relaxed = lengths[0, 0]
    assert events["stretch"].item() == pytest.approx(0.5 * relaxed / 0.1 * 2, abs=1e-6)
    assert events["order"].item() == pytest.approx(20)
    torn_away = frames[frames["bond"] == 0]["elongation_A"]
    np.testing.assert_allclose(torn_away, 0.1 * np.arange(21), atol=1e-9)
    later = breaking.breaking_events(frames, ["pair"], gone=0.7)["pair"].item()
    assert later > events["pair"].item()


def test_far_beyond_the_cutoff_everything_is_gone() -> None:
    record = torn(n_frames=45)
    (energies,) = breaking.along(random_model(), [record])
    assert energies.gone[-1, 0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("times", "begin"), [
    ([0, 100, 200, 260, 262, 264], 260), ([0, 2, 4, 6], 0), ([0, 100, 102, 200, 202], 200),
    ([0], 0),
])  # fmt: skip
def test_frames_are_watched_from_the_last_gap_on(times: list[float], begin: float) -> None:
    record = replace(torn(), times=np.array(times, dtype=np.float32))
    assert breaking.watched_from(record) == begin


def test_agreement_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    broken = rng.random(300) < 0.3
    score = np.round(broken + rng.normal(size=300), 1)  # with ties
    assert breaking.area_under_curve(broken, score) == pytest.approx(roc_auc_score(broken, score))
    calls = score > 0.5
    assert breaking.kappa(broken, calls) == pytest.approx(cohen_kappa_score(broken, calls))
    assert np.isnan(breaking.area_under_curve(broken & False, score))
    assert np.isnan(breaking.kappa(broken | True, broken | True))


def test_thresholds_come_from_other_molecules_alone() -> None:
    broken = np.array([False, True] * 20)
    groups = np.repeat(["a", "b"], 20)
    score = broken + np.where(groups == "a", 0.0, 10.0)
    calls = breaking.calls_by_others(broken, score, groups)
    assert not calls[groups == "a"].any(), "the threshold of b is far above all of a"
    assert calls[groups == "b"].all()
    same = breaking.calls_by_others(broken, broken.astype(float), groups)
    np.testing.assert_array_equal(same, broken)


def shown(record: trajectories.Record) -> str:
    pairs, energies = breaking.pairs_of_path(random_model(), record, below_eV=-1e9)
    assert pairs.tolist() == record.bonds.tolist()
    symbols = record.structures()[0].get_chemical_symbols()
    curve = np.linspace(0, 1, len(record.times))
    return trajectory_html(
        symbols, record.times, record.positions, pairs, energies, {"gone": curve},
        title="A bond breaks", alt="Water loses an atom.", always_drawn=len(pairs),
    )  # fmt: skip


def test_the_viewer_needs_nothing_from_outside() -> None:
    html = shown(torn())
    assert not re.search(r"https?:|@import|<link|src=", html)
    stored = re.search(r'<script type="application/json">(.*?)</script>', html)
    assert stored is not None
    data = json.loads(stored.group(1))
    assert len(data["positions"]) == len(data["times"]) == len(data["energies"]) == 21
    assert "__" not in html.replace(stored.group(0), "")
    with pytest.raises(E3DError, match="as many frames"):
        trajectory_html(["H"], np.zeros(2), np.zeros((3, 1, 3)), np.zeros((0, 2), dtype=int),
                        np.zeros((3, 0)), {}, title="", alt="")  # fmt: skip


@pytest.mark.slow
def test_the_viewer_follows_its_slider_at_any_width(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium on this machine")
    page_file = tmp_path / "page.html"
    head = '<!doctype html><html data-theme="dark"><meta charset="utf-8"><body>'
    page_file.write_text(f"{head}{shown(torn())}</body></html>")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options, timeout=0)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.set_default_timeout(0)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"file://{page_file}")
        assert page.locator("output").inner_text() == "0 fs"
        before = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.locator("input").fill("20")
        assert page.locator("output").inner_text() == "40 fs"
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not wrong
        browser.close()
