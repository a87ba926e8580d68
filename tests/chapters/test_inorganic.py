"""Environments of bonds of oxygen, and differences between crystals and molecules."""

import numpy as np
import pandas as pd
import pytest
from tests.examples import labelled

from chapters import inorganic
from e3d.chemistry import bonding
from e3d.errors import E3DError


def bonds_of(*smiles: str) -> tuple[pd.DataFrame, list]:
    entries = [labelled(one) for one in smiles]
    rows = []
    for entry in entries:
        graph = bonding.from_mapped_smiles(entry.smiles)
        rows += [{"molecule": entry.name, "class": bonding.bond_class(graph, i, j), "i": i, "j": j}
                 for i, j in bonding.bond_pairs(graph).tolist()]  # fmt: skip
    return pd.DataFrame(rows), entries


def test_an_environment_is_what_the_oxygen_has_besides():
    bonds, entries = bonds_of("[SiH3]O", "CO", "O", "[SiH3]O[SiH3]")
    bonds["environment"] = inorganic.environments(bonds, entries)
    found = bonds.groupby("molecule")["environment"].agg(lambda x: sorted(set(x) - {""})).to_dict()
    assert found == {
        "[SiH3]O": ["H-O(-Si)", "Si-O(-H)"], "CO": ["H-O(-C)"], "O": ["H-O(-H)"],
        "[SiH3]O[SiH3]": ["Si-O(-Si)"],
    }  # fmt: skip
    assert (bonds.loc[bonds["class"] == "H-Si", "environment"] == "").all()


def table(mean: float, n: int, seeds: list[float], rng: np.random.Generator) -> pd.DataFrame:
    own = rng.normal(mean, 2.0, n)
    return pd.DataFrame({k: own + shift for k, shift in enumerate(seeds)})


def test_the_interval_of_a_difference_covers_structures_and_seeds():
    rng = np.random.default_rng(0)
    first, second = table(100, 400, [-3, 0, 3], rng), table(90, 400, [-3, 0, 3], rng)
    owners = np.arange(400) // 4
    apart = inorganic.difference(first, second, owners, owners)
    together = inorganic.difference(first, second, owners, owners, same_models=True)
    assert apart["value"] == pytest.approx(10, abs=0.5)
    assert together["value"] == pytest.approx(apart["value"])
    # a shift of the seed that both share cancels, and only then
    assert apart["high"] - apart["low"] > 5 * (together["high"] - together["low"])
    assert together["low"] < together["value"] < together["high"]


def test_a_single_structure_has_an_interval_of_seeds_alone():
    rng = np.random.default_rng(0)
    first, second = table(100, 4, [-1, 0, 1], rng), table(90, 40, [0], rng)
    found = inorganic.difference(first, second, ["one"] * 4, np.arange(40) // 4)
    spread = 4.303 / np.sqrt(3)  # Student's factor for three seeds with a standard deviation of one
    assert found["high"] - found["value"] == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize(
    ("low", "value", "high", "expected"),
    [(2, 5, 9, (-1, 2, 6)), (-9, -5, -2, (-1, 2, 6)), (-2, 1, 4, (-3, -2, 1))],
)
def test_a_difference_is_beyond_a_spread_in_either_direction(low, value, high, expected):
    found = inorganic.beyond({"value": value, "low": low, "high": high, "n": 4}, 3.0)
    assert (found["low"], found["value"], found["high"]) == expected


def test_a_difference_without_interval_decides_nothing():
    with pytest.raises(E3DError, match="without an interval"):
        inorganic.beyond({"value": 1.0, "low": None, "high": None, "n": 1}, 3.0)
