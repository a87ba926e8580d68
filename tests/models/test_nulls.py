"""The nulls recover the energies that labels were made from, and are read as they were written."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e3d.chemistry.bonding import embed, mapped_smiles, parse_smiles
from e3d.data import split
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.models import additive, nulls, pair

ZERO = {"H": -13.6, "C": -1030.0, "N": -1486.0, "O": -2043.0}
SMILES = ("C", "CC", "C=C", "C#C", "CO", "C=O", "O", "CCO", "OCO", "[H][H]")
KNOTS = pair.spline_knots(0.4, 4.0, 0.3)


def molecule(smiles: str, *, n_conformations: int = 1, noise: float = 0.0) -> Molecule:
    """A molecule without labels yet; the first conformation is the relaxed one."""
    graph = parse_smiles(smiles)
    rng = np.random.default_rng(len(smiles))
    base = embed(graph, seed=1)
    positions = base + noise * rng.standard_normal((n_conformations, *base.shape))
    positions[0] = base
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    temperatures = np.array([0] + [300] * (n_conformations - 1))
    return Molecule(smiles, "test", mapped_smiles(graph), numbers, positions,
                    np.zeros(n_conformations), np.zeros(n_conformations),
                    np.zeros_like(positions), temperatures)  # fmt: skip


def labelled(source: Molecule, binding: np.ndarray, forces: np.ndarray | None = None) -> Molecule:
    symbols = {1: "H", 6: "C", 7: "N", 8: "O"}
    zero = sum(ZERO[symbols[int(z)]] for z in source.atomic_numbers)
    new = {"energies": binding + zero, "formation_energies": binding}
    return Molecule(
        **{**source.__dict__, **new, "forces": source.forces if forces is None else forces}
    )


def test_binding_energy_is_relative_to_the_atoms() -> None:
    water = labelled(molecule("O"), np.array([-10.1]))
    assert water.binding_energies(ZERO) == pytest.approx([-10.1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-12, -0.5), min_size=7, max_size=7))
def test_additive_recovers_planted_class_energies(values: list[float]) -> None:
    names = ["C#C", "C-C", "C-H", "C-O", "C=C", "C=O", "H-O"]
    planted = dict(zip(names, values, strict=True)) | {"H-H": -4.7}
    molecules = [
        labelled(m, np.array([sum(planted[name] for name in m.bond_classes)]))
        for m in map(molecule, SMILES)
    ]
    fitted = additive.fit_additive(molecules, ZERO)
    assert fitted.energies == pytest.approx(planted, abs=1e-6)
    assert fitted.rmse < 1e-6
    assert fitted.n_molecules["H-O"] == 4  # CO, O, CCO, OCO
    assert np.isnan(fitted.bond_energies(["C-H", "Si-Si"])).tolist() == [False, True]


def test_additive_energies_that_labels_do_not_determine_are_nan() -> None:
    methanol = labelled(molecule("CO"), np.array([-20.0]))
    hydrogen = labelled(molecule("[H][H]"), np.array([-4.7]))
    fitted = additive.fit_additive([methanol, hydrogen], ZERO)
    assert fitted.energies["H-H"] == pytest.approx(-4.7)
    assert all(np.isnan(fitted.energies[name]) for name in ("C-H", "C-O", "H-O"))


def test_additive_uses_relaxed_geometries_where_temperatures_are_known() -> None:
    hydrogen = labelled(molecule("[H][H]", n_conformations=3), np.array([-4.0, -3.0, -2.0]))
    assert additive.fit_additive([hydrogen], ZERO).energies["H-H"] == pytest.approx(-4.0)
    unknown = replace(hydrogen, temperatures=None)
    assert additive.fit_additive([unknown], ZERO).energies["H-H"] == pytest.approx(-3.0)


def test_additive_without_bonds_is_refused() -> None:
    with pytest.raises(E3DError, match="additive null needs"):
        additive.fit_additive([], ZERO)


def test_every_conformation_is_in_one_fold() -> None:
    molecules = [molecule(smiles, n_conformations=30) for smiles in (*SMILES, "CCCC", "CN", "C=N")]
    parts = {part: list(split.select(molecules, part)) for part in ("train", "validation", "test")}
    counted = {part: sum(map(len, found)) for part, found in parts.items()}
    assert sum(counted.values()) == 30 * len(molecules)
    assert counted["train"] > counted["test"] > 0


@settings(max_examples=20, deadline=None)
@given(st.floats(0.4, 4.5), st.booleans())
def test_splines_end_smoothly_at_the_cutoff(length: float, derivative: bool) -> None:
    values = pair.splines(KNOTS, np.array(length), derivative=derivative)
    assert values.shape == (len(KNOTS) - 1,)
    if length >= KNOTS[-1]:
        assert not values.any()
    near = pair.splines(KNOTS, np.array(KNOTS[-1] - 1e-4), derivative=derivative)
    assert np.abs(near).max() < 1e-6


def test_splines_add_up_to_one_away_from_the_cutoff() -> None:
    lengths = np.linspace(KNOTS[0], KNOTS[-4], 50)
    np.testing.assert_allclose(pair.splines(KNOTS, lengths).sum(axis=-1), 1, atol=1e-12)


def test_too_short_a_distance_is_refused() -> None:
    with pytest.raises(E3DError, match="below the first spline knot"):
        pair.splines(KNOTS, np.array([0.3]))
    with pytest.raises(E3DError, match="0 < start < cutoff"):
        pair.spline_knots(2.0, 1.0, 0.1)


@pytest.fixture(scope="module")
def planted() -> pair.PairPotential:
    rng = np.random.default_rng(3)
    pairs = [("C", "C"), ("C", "H"), ("C", "O"), ("H", "H"), ("H", "O"), ("O", "O")]
    return pair.PairPotential(KNOTS, {p: rng.normal(-1, 2, len(KNOTS) - 1) for p in pairs})


def with_pair_labels(source: Molecule, potential: pair.PairPotential) -> Molecule:
    return labelled(source, *potential.predict(source))


def test_pair_forces_are_minus_the_energy_gradient(planted: pair.PairPotential) -> None:
    ethanol = molecule("CCO")
    forces = planted.predict(ethanol)[1][0]
    step = 1e-5
    for atom, axis in ((0, 0), (2, 1), (5, 2)):
        shifted = np.repeat(ethanol.positions, 2, axis=0)
        shifted[:, atom, axis] += [step, -step]
        two = Molecule(**{**ethanol.__dict__, "positions": shifted, "energies": np.zeros(2)})
        plus, minus = planted.predict(two)[0]
        assert forces[atom, axis] == pytest.approx(-(plus - minus) / (2 * step), abs=1e-6)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12)


def test_pair_energy_is_the_sum_of_its_pairs(planted: pair.PairPotential) -> None:
    water = molecule("O")
    lengths = np.linalg.norm(water.positions[0, [0, 0, 1]] - water.positions[0, [1, 2, 2]], axis=1)
    expected = planted("O", "H", lengths[:2]).sum() + planted("H", "H", lengths[2:]).sum()
    assert planted.predict(water)[0] == pytest.approx([expected])
    assert np.isnan(planted("N", "N", lengths)).all()


def test_pair_null_recovers_a_planted_potential(planted: pair.PairPotential) -> None:
    sources = [molecule(s, n_conformations=40, noise=0.08) for s in SMILES]
    molecules = [with_pair_labels(m, planted) for m in sources]
    training = [m.select(np.arange(30)) for m in molecules]
    unseen = [m.select(np.arange(30, 40)) for m in molecules]
    penalties = [1e-10, 1.0]
    fitted = pair.fit_pair(
        training, unseen, ZERO, knots=KNOTS, energy_weight=1.0, penalties=penalties
    )
    assert fitted.penalty == min(penalties)  # exact labels need no regularisation
    for m in unseen:
        energies, forces = fitted.predict(m)
        np.testing.assert_allclose(energies, m.binding_energies(ZERO), atol=2e-3)
        np.testing.assert_allclose(forces, m.forces, atol=0.1)  # of about 10 eV/Å
    for first, second, length in (("C", "H", 1.09), ("H", "O", 0.96), ("C", "C", 1.5)):
        found, true = (p(first, second, np.array(length)) for p in (fitted, planted))
        assert found == pytest.approx(true, abs=2e-2)


def test_pair_null_refuses_other_elements_and_empty_folds(planted: pair.PairPotential) -> None:
    with pytest.raises(E3DError, match="has no potential for C-N"):
        planted.predict(molecule("CN"))
    with pytest.raises(E3DError, match="at least one training"):
        pair.fit_pair([], [], ZERO, knots=KNOTS, energy_weight=1.0, penalties=[1.0])


@settings(deadline=None)
@given(st.floats(-5, 5), st.lists(st.floats(0.5, 20), min_size=1, max_size=9))
def test_scale_factor_is_recovered(factor: float, sums: list[float]) -> None:
    values = np.array(sums)
    assert additive.scale_factor(factor * values, values) == pytest.approx(factor)


def test_scale_of_zero_energies_is_refused() -> None:
    with pytest.raises(E3DError, match="no factor scales them"):
        additive.scale_factor(np.ones(2), np.zeros(2))


def same(one: nulls.FittedNulls, other: nulls.FittedNulls) -> None:
    """Raises unless all numbers are the same, NaN included."""
    for part, of_other in zip(one[:2], other[:2], strict=True):
        np.testing.assert_equal(asdict(part), asdict(of_other))
    assert one[2:] == other[2:]


NUMBERS = st.floats(-1e6, 1e6)


@settings(max_examples=25, deadline=None)
@given(
    energies=st.lists(st.one_of(NUMBERS, st.just(float("nan"))), min_size=2, max_size=2),
    coefficients=st.lists(NUMBERS, min_size=len(KNOTS) - 1, max_size=len(KNOTS) - 1),
    factor=NUMBERS,
)
def test_reading_gives_the_numbers_that_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    energies: list[float],
    coefficients: list[float],
    factor: float,
) -> None:
    classes = dict(zip(("C#N", "H-O"), energies, strict=True))
    written = nulls.FittedNulls(
        additive.Additive(classes, dict.fromkeys(classes, float("nan")), {"C#N": 1, "H-O": 4}, 0.1),
        pair.PairPotential(KNOTS, {("C", "Si"): np.array(coefficients)}, 1e-6),
        {"untrained-s100": factor},
        {"H": -13.6 / 3},
    )
    folder = tmp_path_factory.mktemp("nulls") / "dft"
    nulls.write_nulls(folder, written)
    nulls.write_scale_factors(folder, written.untrained)
    same(nulls.read_nulls(folder), written)
    np.testing.assert_equal(asdict(nulls.read_pair(folder / "pair.json")), asdict(written.pair))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fitted = additive.Additive({"C-H": -4.0}, {"C-H": 0.1}, {"C-H": 3}, 0.1)
    coefficients = {("C", "H"): np.ones(len(KNOTS) - 1)}
    potential = pair.PairPotential(KNOTS, coefficients, 1.0)
    nulls.write_nulls(tmp_path, nulls.FittedNulls(fitted, potential, {}, ZERO))
    nulls.write_scale_factors(tmp_path, {"untrained-s0": 2.0})
    return tmp_path


@pytest.mark.parametrize("name", ["additive", "pair", "untrained", "atomic_energies"])
@pytest.mark.parametrize("text", [None, "", '{"knots_A": [0.5, ', "[]", '{"C-H": "x"}', "\x80"])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str, text: str | None) -> None:
    path = folder / f"{name}.json"
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(E3DError, match=rf"{name}\.json.*the stage") as caught:
        nulls.read_nulls(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("pair", '"C-H"', '"CH"', "unpack"),
        ("pair", "0.4", "9.0", "do not increase"),
        ("pair", '"penalty"', '"penality"', "penalty"),
        ("pair", '"C-H": [\n   1.0', '"C-H": [\n   NaN', "finite coefficients of C-H"),
        ("additive", '"C-H": 3', '"C-C": 3', "differ in their classes"),
        ("untrained", "2.0", "Infinity", "not finite"),
    ],
)
def test_inconsistent_content_is_refused(
    folder: Path, name: str, old: str, new: str, problem: str
) -> None:
    path = folder / f"{name}.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(E3DError, match=problem):
        nulls.read_nulls(folder)
