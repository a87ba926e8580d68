"""Equivalent bonds have equal symmetry classes; correlations know which columns have seeds."""

import numpy as np
import pandas as pd
import pytest
from examples import labelled

from chapters import bond_strengths
from e3d.chemistry.bonding import bond_pairs, from_mapped_smiles
from e3d.statistics.ranks import rank_correlations


def classes_of(*smiles: str) -> pd.DataFrame:
    molecules = [labelled(text) for text in smiles]
    bonds = pd.concat([
        pd.DataFrame(bond_pairs(from_mapped_smiles(m.smiles)), columns=["i", "j"]).assign(
            molecule=m.name
        )
        for m in molecules
    ])  # fmt: skip
    first, last = bond_strengths.symmetry_classes(molecules, bonds).T
    return bonds.assign(first=first, last=last)


@pytest.mark.parametrize(
    ("smiles", "n_kinds"),
    [("C", 1), ("CC", 2), ("CCO", 5), ("C=CC=C", 4), ("c1ccccc1", 2), ("CC(=O)OC", 6)],
)
def test_equivalent_bonds_are_of_one_kind(smiles: str, n_kinds: int) -> None:
    kinds = classes_of(smiles)
    assert len(kinds.drop_duplicates(["first", "last"])) == n_kinds


def test_only_molecules_with_bonds_are_looked_at_and_ends_are_sorted() -> None:
    found = classes_of("CO", "C")
    assert (found["first"] <= found["last"]).all()
    some = found[found["molecule"] == "C"]
    alone = bond_strengths.symmetry_classes([labelled("CO"), labelled("C")], some)
    np.testing.assert_array_equal(alone, some[["first", "last"]])


def test_the_spread_over_seeds_widens_the_energy_that_has_them_alone() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"order": np.arange(30.0), "length": rng.normal(size=30)})
    table["s0"], table["s1"] = table["order"], -table["order"]
    table["energy"] = table["order"] + rng.normal(size=30)
    ranks = rank_correlations(
        table, ["energy", "length", "s0", "s1", "order"], classes=np.zeros(30),
        groups=np.arange(30), n_resamples=50,
    )  # fmt: skip
    found = bond_strengths.correlations(
        ranks, ["energy", "length"], ["order"], seeds={"energy": ["s0", "s1"]}
    )
    assert list(found) == [("energy", "order"), ("length", "order")]
    assert found["length", "order"] == ranks.of("length", "order")
    low = found["energy", "order"]["low"]
    assert low is not None
    assert low < -1  # two seeds that contradict each other leave nothing known
