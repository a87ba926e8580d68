"""Reaction paths: ends, saddle points, their data set, and what is read from it."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms

from chapters.reactions import barriers, end_points, labelled_paths, path_search, saddle_points
from chapters.reactions.reaction import COLUMNS, Reaction, ReactionPath, read_reactions
from e3d import parallel
from e3d.chemistry import vibrations
from e3d.chemistry.bonding import bond_lengths
from e3d.chemistry.levels import isolated_atoms
from e3d.chemistry.xtb import single_point
from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.errors import E3DError
from e3d.paths import DATA
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE, KCAL_PER_MOL_PER_EV

SHAPE = {
    "ammonia": ("[N:1]([H:2])([H:3])[H:4]", "mirror"),
    "nitrous-acid": ("[H:1][O:2][N:3]=[O:4]", "turn 1 2 3 4 180"),
    "ethane": ("[H:1][C:4]([H:2])([H:3])[C:5]([H:6])([H:7])[H:8]", "turn 1 4 5 6 120"),
    "methanimine": ("[H:1][C:2]([H:3])=[N:4][H:5]", "permute 3 2 1 4 5"),
}
AMMONIA, NITROUS, ETHANE, METHANIMINE = (
    Reaction(name, name, "shape", smiles, smiles, rule) for name, (smiles, rule) in SHAPE.items()
)
HCN = Reaction("hcn", "HCN → HNC", "bonds", "[H:1][C:2]#[N:3]", "[C-:2]#[N+:3][H:1]")
CYANIC = Reaction("cyanic-acid", "HNCO → HOCN", "bonds", "[H:1][N:2]=[C:3]=[O:4]",
                  "[N:2]#[C:3][O:4][H:1]")  # fmt: skip
#: Its reactant has conformers, of which the reaction needs the less stable one.
FORMIC = Reaction("formic", "HCOOH → H₂ + CO₂", "bonds", "[H:1][C:2](=[O:3])[O:4][H:5]",
                  "[H:1][H:5].[O:3]=[C:2]=[O:4]")  # fmt: skip


def kcal_per_mol(path: ReactionPath) -> np.ndarray:
    """GFN2-xTB along a path, relative to the reactant."""
    numbers = path.reaction.numbers
    found = [single_point(numbers, r / ANGSTROM_PER_BOHR).energy for r in path.positions]
    return EV_PER_HARTREE * KCAL_PER_MOL_PER_EV * (np.array(found) - found[0])


@pytest.fixture(scope="module")
def found() -> dict[str, ReactionPath]:
    return {one.name: path_search.find_path(one) for one in (AMMONIA, ETHANE, HCN, FORMIC)}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, found: dict[str, ReactionPath]) -> Path:
    """A file of two paths with GFN2-xTB labels."""
    out = tmp_path_factory.mktemp("paths") / "paths.h5"
    paths = [labelled_paths.label_path(found[name], "gfn2") for name in ("ammonia", "hcn")]
    labelled_paths.write_paths(out, paths, "gfn2", isolated_atoms("gfn2", ["H", "C", "N"]))
    return out


def test_the_table_holds_reactions_whose_ends_have_the_same_atoms() -> None:
    table = read_reactions(DATA / "reactions.csv")
    assert len(table) >= 12
    for one in table:
        breaking, forming = one.changed_bonds()
        assert one.kind in ("bonds", "shape")
        assert bool(breaking or forming) == (one.kind == "bonds") == (not one.rule)


@pytest.mark.parametrize("name", ["ammonia", "ethane", "hcn", "formic"])
def test_a_path_goes_over_one_saddle_point_and_no_other_hill(
    found: dict[str, ReactionPath], name: str
) -> None:
    path = found[name]
    numbers, energies = path.reaction.numbers, kcal_per_mol(path)
    assert len(path.positions) == 7
    assert path.saddle == energies.argmax() == 3
    assert np.all(np.diff(energies[:4]) > -path_search.BUMP)
    assert np.all(np.diff(energies[3:]) < path_search.BUMP)
    assert np.all(np.diff(path.coordinate) > 0)
    assert path.coordinate[[0, -1]] == pytest.approx([0, 1])
    modes = vibrations.frequencies(numbers, path.positions[path.saddle])
    assert (modes < -vibrations.SOFT).sum() == 1
    assert modes[0] == pytest.approx(-path.frequency, abs=1)
    for place in (0, path.saddle, -1):  # all three are stationary
        gradient = single_point(numbers, path.positions[place] / ANGSTROM_PER_BOHR).gradient
        assert np.abs(gradient).max() < 2e-4
    for end in (0, -1):
        assert vibrations.frequencies(numbers, path.positions[end]).min() > -vibrations.SOFT


def test_the_inversion_of_ammonia_is_symmetric_and_planar_at_its_top(
    found: dict[str, ReactionPath],
) -> None:
    path = found["ammonia"]
    energies = kcal_per_mol(path)
    assert energies[-1] == pytest.approx(0, abs=0.01)
    assert 3 < energies.max() < 9  # measured: 5.8
    assert path.coordinate[path.saddle] == pytest.approx(0.5, abs=0.01)
    volumes = [np.linalg.det(image[1:] - image[0]) for image in path.positions]
    assert abs(volumes[path.saddle]) < 0.02
    assert volumes[0] * volumes[-1] < 0  # the same atoms, turned inside out


def test_a_flat_rotation_ends_in_its_minima(found: dict[str, ReactionPath]) -> None:
    """Forces beside the top of such a rotation are small: a minimiser may stop there."""
    angles = [Atoms("H3C2H3", r[[0, 1, 2, 3, 4, 5, 6, 7]]).get_dihedral(0, 3, 4, 5)
              for r in found["ethane"].positions]  # fmt: skip
    assert angles[0] % 120 == pytest.approx(60, abs=1)
    assert (angles[-1] - angles[0]) % 360 == pytest.approx(120, abs=2)
    assert 2 < kcal_per_mol(found["ethane"]).max() < 4  # measured: 2.9


def test_a_path_begins_with_the_conformer_that_its_saddle_point_leads_to(
    found: dict[str, ReactionPath],
) -> None:
    lowest = end_points.conformers(FORMIC.graphs[0])[0]
    energies = [single_point(FORMIC.numbers, r / ANGSTROM_PER_BOHR).energy
                for r in (lowest, found["formic"].positions[0])]  # fmt: skip
    assert EV_PER_HARTREE * KCAL_PER_MOL_PER_EV * (energies[1] - energies[0]) > 3
    h, h_of_oxygen = found["formic"].positions[-1][[0, 4]]
    assert np.linalg.norm(h - h_of_oxygen) == pytest.approx(0.74, abs=0.06)


def test_a_turn_begins_with_turned_images() -> None:
    ends = end_points.end_points(NITROUS)
    guess = end_points.first_guess(NITROUS, ends, n_images=5)
    assert saddle_points.distance(guess[0], ends[0]) < 1e-6
    assert saddle_points.distance(guess[-1], ends[1]) < 1e-6
    angles = [Atoms("HONO", image).get_dihedral(0, 1, 2, 3) for image in guess]
    assert abs(angles[2] % 180 - 90) < 5
    lengths = np.linalg.norm(guess[:, 0] - guess[:, 1], axis=1)
    assert np.ptp(lengths) < 0.1


def test_rules_make_the_second_end() -> None:
    start = end_points.conformers(METHANIMINE.graphs[0])[0]
    swapped = end_points.by_rule(METHANIMINE, start)
    assert swapped[[2, 1, 0, 3, 4]] == pytest.approx(start)
    through = replace(NITROUS, rule="through 1 2 3 4 90")
    bent = Atoms("HONO", end_points.conformers(NITROUS.graphs[0])[0])
    bent.set_dihedral(0, 1, 2, 3, 60, indices=[3])
    other = Atoms("HONO", end_points.by_rule(through, bent.positions))
    assert other.get_dihedral(0, 1, 2, 3) == pytest.approx(120)


def test_alignment_turns_but_does_not_mirror() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(5, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    assert saddle_points.distance(start, start @ turn + 3.0) < 1e-6
    assert saddle_points.distance(start, start * [1, 1, -1]) > 0.1


def test_what_breaks_and_what_forms() -> None:
    assert HCN.changed_bonds() == ([(0, 1)], [(0, 2)])
    assert AMMONIA.changed_bonds() == ([], [])
    assert FORMIC.molecules == {"O=CO", "[H][H]", "O=C=O"}


def test_bad_reactions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match="do not agree"):
        _ = Reaction("x", "", "bonds", "[H:1][C:2]#[N:3]", "[C-:1]#[N+:3][H:2]").numbers
    with pytest.raises(E3DError, match="unknown rule"):
        end_points.end_points(replace(AMMONIA, rule="flip"))
    table = tmp_path / "reactions.csv"
    with pytest.raises(E3DError, match="does not exist"):
        read_reactions(table)
    table.write_text("reaction,reactant\nx,C\n")
    with pytest.raises(E3DError, match="no column 'title'"):
        read_reactions(table)
    header = ",".join(COLUMNS)
    table.write_text(f"{header}\nx,x,shape,C,C,mirror\nx,x,shape,C,C,mirror\n")
    with pytest.raises(E3DError, match="'x' twice"):
        read_reactions(table)


def test_a_way_that_only_falls_is_refused() -> None:
    """GFN2-xTB has no barrier of H₂O₂ in the plane: its minimum is there."""
    smiles = "[H:1][O:2][O:3][H:4]"
    flat = Reaction("flat", "", "shape", smiles, smiles, "through 1 2 3 4 180")
    with pytest.raises(E3DError, match="no barrier"):
        path_search.find_path(flat)


def test_a_failing_calculation_leaves_out_one_reaction(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("SCF not converged")

    monkeypatch.setattr(path_search, "elastic_band", fails)
    with pytest.raises(E3DError, match="GFN2-xTB calculation failed"):
        path_search.find_path(AMMONIA)


def test_labelled_paths_pass_the_check_and_come_back_as_they_were(
    labelled: Path, found: dict[str, ReactionPath]
) -> None:
    assert not check_dataset(labelled).problems
    for one in labelled_paths.read_paths(labelled):
        path = found[one.reaction.name]
        assert one.reaction == path.reaction
        assert one.path.saddle == path.saddle
        assert one.path.frequency == path.frequency
        assert one.path.coordinate == pytest.approx(path.coordinate)
        assert one.labels.positions == pytest.approx(path.positions, abs=1e-5)
        assert set(one.labels.temperatures) == {-1}
        assert one.stable is None
    with h5py.File(labelled) as file:
        assert file["ammonia"]["reaction_coordinate"].attrs["units"] == "1"


def test_a_stopped_search_goes_on_where_it_was(
    tmp_path: Path, labelled: Path, found: dict[str, ReactionPath]
) -> None:
    out = tmp_path / "paths.h5"
    known = replace(found["hcn"], frequency=-7.0)  # to be recognised
    piece = parallel.partial_path(out, "gfn2 1 hcn")
    piece.parent.mkdir()
    labelled_paths.write_paths(piece, [labelled_paths.label_path(known, "gfn2")], "gfn2",
                          isolated_atoms("gfn2", ["H", "C", "N"]))  # fmt: skip
    left_out = labelled_paths.label_paths(
        [HCN, AMMONIA, replace(AMMONIA, name="flip", rule="flip")], out, method="gfn2",
        n_between=1, n_workers=1, progress=False,
    )  # fmt: skip
    assert list(left_out) == ["flip"]
    assert "unknown rule" in left_out["flip"]
    lengths = {one.reaction.name: len(one.labels) for one in labelled_paths.read_paths(out)}
    assert lengths == {"ammonia": 5, "hcn": 7}
    assert labelled_paths.read_paths(out)[1].path.frequency == -7.0


def test_a_group_that_is_no_path_is_refused() -> None:
    with pytest.raises(E3DError, match="is no reaction path"):
        labelled_paths.read_paths(DATA / "dft-small.h5")


@pytest.mark.parametrize(("length", "stable"), [(0.75, True), (2.5, False)])
def test_a_broken_pair_is_no_closed_shell(length: float, stable: bool) -> None:
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, length]])
    assert labelled_paths.is_stable(np.array([1, 1]), positions) is stable


def test_forward_less_reverse_is_the_energy_of_reaction(labelled: Path) -> None:
    paths = labelled_paths.read_paths(labelled)
    rng = np.random.default_rng(1)
    energies = {"model": [rng.normal(size=len(one.labels)) - 500.0 for one in paths]}
    rows = barriers.barrier_table(paths, energies).groupby("quantity")["model"]
    forward, reverse, reaction = (rows.get_group(name).to_numpy() for name in barriers.QUANTITIES)
    assert forward - reverse == pytest.approx(reaction)
    own = energies["model"][0]
    assert forward[0] == pytest.approx((own[3] - own[0]) * KCAL_PER_MOL_PER_EV)
    for one, again in zip(paths, barriers.gfn2_energies(paths), strict=True):
        assert again == pytest.approx(one.labels.energies, abs=1e-5)


def test_the_mean_null_knows_other_compositions_alone(labelled: Path) -> None:
    ammonia, hcn = labelled_paths.read_paths(labelled)
    other = replace(ammonia, path=replace(ammonia.path, reaction=NITROUS))
    paths = [ammonia, other, hcn]
    energies = [np.array([0, 0, 0, barrier, 0, 0, 1.0]) for barrier in (2.0, 4.0, 8.0)]
    means = barriers.mean_barriers(paths, energies)
    assert means[0] == pytest.approx([0, 0, 0, 3.5, 0, 0, 0])  # of 4 and 3, not of 2 and 1
    assert means[1] == pytest.approx([0, 0, 0, 1.5, 0, 0, 0])
    assert np.isnan(means[2][3])  # the only one where bonds change


def test_the_crossing_is_where_what_forms_overtakes_what_breaks() -> None:
    s = np.linspace(0, 1, 11)
    assert barriers.order_crossing(s, 1 - s, s) == pytest.approx(0.5)
    assert barriers.order_crossing(s, 2 * (1 - s), s) == pytest.approx(2 / 3)
    assert np.isnan(barriers.order_crossing(s, np.ones(11), np.zeros(11)))
    assert np.isnan(barriers.order_crossing(s, s, 1 - s))  # overtaken, not overtaking


def test_lengths_of_pairs_along_a_path(labelled: Path) -> None:
    _, hcn = labelled_paths.read_paths(labelled)
    lengths = bond_lengths(hcn.labels.positions, np.array([[0, 1], [0, 2]]))
    assert lengths.shape == (7, 2)
    assert lengths[0, 0] == pytest.approx(1.07, abs=0.02)
    assert lengths[-1, 1] == pytest.approx(1.0, abs=0.02)
    assert lengths[0, 1] > 2
    orders = barriers.pauling_orders(np.array([[1.54 - 0.71 * np.log10(2)], [1.54]]))
    assert orders[0, 0] / orders[1, 0] == pytest.approx(2)  # a double bond, 0.21 Å shorter


def test_halves_share_no_composition(labelled: Path) -> None:
    one, _ = labelled_paths.read_paths(labelled)
    named = [AMMONIA, NITROUS, HCN, CYANIC, replace(HCN, name="again")]
    made = [replace(one, path=replace(one.path, reaction=reaction)) for reaction in named]
    of = labelled_paths.halves(made)
    assert set(of.values()) == set(labelled_paths.HALVES)
    assert of["hcn"] == of["again"] != of["cyanic-acid"]


def test_a_path_with_a_held_out_end_trains_nothing() -> None:
    assert labelled_paths.may_train(HCN)
    assert not labelled_paths.may_train(CYANIC)  # HOCN is of the test fold


def test_halves_for_training_leave_out_what_is_held_out_or_unstable(
    labelled: Path, tmp_path: Path
) -> None:
    ammonia, hcn = labelled_paths.read_paths(labelled)
    paths = [
        replace(one, labels=replace(one.labels, name=reaction.name), stable=stable,
                path=replace(one.path, reaction=reaction))
        for one, reaction, stable in (
            (hcn, HCN, True), (hcn, replace(HCN, name="unstable"), False), (hcn, CYANIC, True),
            (ammonia, AMMONIA, None),
        )
    ]  # fmt: skip
    out = tmp_path / "paths.h5"
    labelled_paths.write_paths(out, paths, "gfn2", isolated_atoms("gfn2", ["H", "C", "N"]))
    assert labelled_paths.write_halves(out) == {"first": 14, "second": 0}
    with Dataset(tmp_path / "paths-first.h5") as dataset:
        assert dataset.names == ["ammonia", "hcn"]
    assert not (tmp_path / "paths-second.h5").exists()
