"""Stretched bonds: rises over the equilibrium, deviations from DFT, and the reach of a curve."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from examples import labelled, random_model, well
from matplotlib import pyplot as plt

from chapters import stretching
from e3d.errors import E3DError
from e3d.units import KCAL_PER_MOL_PER_EV

STRETCH = [0.9, 1.0, 1.5, 2.0, 3.0]


def curves(name: str = "a", energies: list[float] | None = None) -> pd.DataFrame:
    """One curve of a bond of 2 Å at equilibrium."""
    return pd.DataFrame({
        "name": name, "class": "C-C", "stretch": STRETCH, "length_A": 2.0 * np.array(STRETCH),
        "energy_eV": energies or [0.5, 0.2, 1.2, 2.2, 3.2],
    })  # fmt: skip


def hydrogen(length: float) -> Atoms:
    return Atoms("OH", [[0, 0, 0], [0, 0, length]], info={"i": 0, "j": 1})


def test_rises_begin_at_the_equilibrium_of_their_own_curve() -> None:
    both = pd.concat([curves("a"), curves("b", [8.0, 7.0, 9.0, 9.5, 9.9])], ignore_index=True)
    rise = stretching.rises(both, ["energy_eV"])["energy_eV"] / KCAL_PER_MOL_PER_EV
    assert rise.tolist() == pytest.approx([0.3, 0, 1, 2, 3, 1, 0, 2, 2.5, 2.9])


def test_a_curve_without_its_equilibrium_is_refused() -> None:
    far = curves().query("stretch > 1.2")
    with pytest.raises(E3DError, match="'a' has no point at its equilibrium"):
        stretching.rises(far, ["energy_eV"])


def test_the_envelope_falls_from_one_to_nothing_at_the_cutoff() -> None:
    x = np.linspace(0, 5, 51)
    envelope = stretching.cutoff_envelope(x, cutoff_A=4.0, exponent=6)
    assert envelope[0] == 1
    assert (np.diff(envelope) <= 0).all()
    assert (envelope[x >= 4.0] == 0).all()
    assert (envelope[x < 3.9] > 0).all()


def test_the_envelope_rises_by_the_depth_of_the_edge() -> None:
    table = curves().assign(one=[0.0, -3.0, 0.0, 0.0, 0.0], two=[0.0, -5.0, 0.0, 0.0, 0.0])
    rise = stretching.envelope_rises(table, ["one", "two"], cutoff_A=4.0, exponent=6)
    assert rise[1] == 0
    assert rise[4] == pytest.approx(4.0 * KCAL_PER_MOL_PER_EV)  # at 6 Å nothing is left of −4 eV
    assert rise[0] < 0 < rise[2] < rise[3]


def test_energies_of_a_model_along_a_stretch() -> None:
    totals, edges = stretching.model_energies(random_model(), [hydrogen(1.0), hydrogen(4.5)])
    assert edges[0] != 0
    assert edges[1] == 0  # beyond the cutoff of 4 Å
    assert totals[0] - totals[1] == pytest.approx(edges[0])  # a diatomic has no other pair


def test_energies_of_a_pair_potential_along_a_stretch() -> None:
    potential = well()
    water = Atoms("OHH", [[0, 0, 0], [0, 0, 1.0], [0, 1.5, 0]], info={"i": 0, "j": 2})
    totals, edges = stretching.pair_potential_energies(potential, [water])
    phi = [float(potential(*pair, np.array(r))) for pair, r in (
        (("O", "H"), 1.0), (("O", "H"), 1.5), (("H", "H"), np.hypot(1.0, 1.5)))]  # fmt: skip
    assert edges[0] == pytest.approx(phi[1])
    assert totals[0] == pytest.approx(sum(phi))


def test_the_longest_bond_of_a_class_is_over_all_conformations() -> None:
    entry = labelled("O")
    twice = np.concatenate([entry.positions, 1.5 * entry.positions])
    longest = stretching.longest_bonds([entry, replace(entry, positions=twice)])
    expected = 1.5 * np.linalg.norm(entry.positions[0, 1:] - entry.positions[0, 0], axis=1).max()
    assert longest.to_dict() == {"H-O": pytest.approx(expected)}


def test_deviations_are_means_over_each_curve() -> None:
    table = curves().assign(DFT=0.0, model=[1.0, -1.0, 2.0, -2.0, 4.0])
    both = pd.concat([table, table.assign(name="b", model=3.0)], ignore_index=True)
    assert stretching.deviations(both, ["model"])["model"].to_dict() == {"a": 2.0, "b": 3.0}


def test_a_curve_reaches_as_far_as_it_stays_within_the_tolerance() -> None:
    # shorter than equilibrium does not count; between 1.5 (off by 2) and 2.0 (off by 6)
    table = curves().assign(DFT=0.0, model=[50.0, 0.0, 2.0, -6.0, 0.0], other=3.0)
    found = stretching.reaches(table, ["model", "other"], 5.0)
    assert found.loc["C-C", "model"] == pytest.approx(1.875)
    assert found.loc["C-C", "other"] == 3.0


def test_a_panel_for_each_bond() -> None:
    table = curves().assign(DFT=np.arange(5.0), edge=1.0, longest_A=2.2)
    table = table.assign(**{"edge:a": 0.5, "edge:b": 2.0})
    both = pd.concat([table, table.assign(**{"name": "b", "class": "H-O"})], ignore_index=True)
    fig = stretching.curve_panels(both, ["a", "b"], {"edge": ("C0", "-")})
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["C-C", "H-O"]
    assert shown[0].lines[0].get_ydata() == pytest.approx(np.arange(5.0))
    low, high = shown[0].collections[0].get_datalim(shown[0].transData).intervaly
    assert (low, high) == (0.5, 2.0)
    plt.close(fig)
