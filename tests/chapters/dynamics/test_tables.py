"""Tables of stored trajectories."""

from dataclasses import replace

import numpy as np
import pytest
from examples import torn

from chapters.dynamics import tables
from e3d.errors import E3DError


@pytest.mark.parametrize(("driver", "name"), [
    ("gfn2:5000", "GFN2-xTB"), ("pair", "pair potential"),
    ("checkpoints/finetuned-s0", "finetuned-s0"),
    ("checkpoints/finetuned-s0:float64", "finetuned-s0, float64"),
])  # fmt: skip
def test_drivers_have_names(driver: str, name: str) -> None:
    assert tables.driver_name(driver) == name


def test_a_run_is_a_row() -> None:
    (row,) = tables.run_table([torn("O")]).to_dict("records")
    assert row == {"kind": "hot", "driver": "pair potential", "molecule": "O", "fold": "train",
                   "temperature_K": 3000, "time_step_fs": 0.5, "end": "broken", "length_fs": 40.0,
                   "n_atoms": 3}  # fmt: skip


def test_drifts_are_of_intact_runs_at_constant_energy() -> None:
    record = torn("O")
    rising = replace(record, kind="nve", end="whole", potential=0.003 * record.times)
    found = tables.drift_table([record, replace(rising, end="broken"), rising])
    assert len(found) == 1
    # 3 meV/fs of three atoms
    assert found["slope"].item() == pytest.approx(1000.0)
    assert found["spread"].item() == pytest.approx(0, abs=1e-8)


def test_the_fraction_of_intact_runs_has_an_exact_interval() -> None:
    found = tables.intact_fraction(["whole"] * 10)
    assert found["value"] == 1
    assert found["high"] == 1
    assert found["low"] == pytest.approx(0.025**0.1)  # Clopper-Pearson with no failure
    assert tables.intact_fraction(["whole", "lost", "broken", "whole"])["value"] == 0.5


def test_bond_lengths_fluctuate_after_the_first_tenth() -> None:
    record = torn("O", n_frames=20)
    found = tables.bond_fluctuations(record)
    assert found[0] == pytest.approx(0.1 * np.arange(2, 20).std())
    assert found[1] == pytest.approx(0, abs=1e-9)
    calm = replace(record, kind="stability", end="whole", driver="gfn2")
    wide = tables.fluctuation_table([calm, replace(calm, driver="pair"), record])
    assert wide["class"].tolist() == ["H-O", "H-O"]
    assert wide["GFN2-xTB"].tolist() == wide["pair potential"].tolist() == found.tolist()


def test_energies_deviate_per_atom_from_the_reference() -> None:
    record = torn("O", n_frames=4)
    reference = np.array([-5.0, -4.0, -3.0, np.nan])
    own = replace(record, gfn2=reference)
    found = tables.energy_deviations([own], {"model": [np.array([0.0, 1.3, 1.4, 9.0])]})
    assert found["model"].tolist() == pytest.approx([100.0, 200.0])  # 0.3 and 0.6 eV, three atoms
    assert (found["stretch"] > 1).all()
    with pytest.raises(E3DError, match="without GFN2-xTB energies"):
        tables.energy_deviations([replace(record, gfn2=None)], {})
