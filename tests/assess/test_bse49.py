"""BSE49 as a test of `e3d assess`: what models make of the bonds that its reactions break."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from bse49_copies import archive, benchmark
from examples import random_model, well

from e3d.assess import bse49
from e3d.assess.cache import Cache
from e3d.assess.networks import Network, Pieces
from e3d.assess.sources import Group, Sources
from e3d.bde.bse49 import source
from e3d.decomposition.edges import bond_energies, decompose
from e3d.errors import E3DError
from e3d.models.additive import Additive
from e3d.units import KCAL_PER_MOL_PER_EV

NULLS = {"additive": Additive({"C-H": -4.0, "C-O": -3.5}, {}, {}, 0.0), "pair": well()}


@pytest.fixture
def reactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bse49.Reactions:
    contents = benchmark()
    (tmp_path / "copy.tar.gz").write_bytes(archive(contents))
    monkeypatch.setenv(source.SOURCE_VARIABLE, str(tmp_path / "copy.tar.gz"))
    monkeypatch.setattr(source, "SHA256", source.digest(contents))
    monkeypatch.setattr(bse49, "EVERY", 1)
    found = bse49.load(None, frozenset({"H", "C", "O"}))
    assert found is not None
    return found


def test_without_a_copy_there_is_no_test_and_a_wrong_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(source.SOURCE_VARIABLE, raising=False)
    monkeypatch.setattr(source, "CACHE", tmp_path / "none")
    assert bse49.load(None, frozenset("HC")) is None
    (tmp_path / "copy.tar.gz").write_bytes(archive(benchmark()))
    with pytest.raises(E3DError, match="give the pinned version"):
        bse49.load(tmp_path / "copy.tar.gz", frozenset("HC"))


def test_models_and_nulls_are_read_on_the_broken_bonds(
    reactions: bse49.Reactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (len(reactions.broken), reactions.n_drawn) == (4, 6)
    networks = [Network(f"own-s{k}", random_model("float64", seed=k), f"{k}") for k in range(2)]
    fresh = Network("null: fresh", random_model("float64", seed=9), "9")
    cache = Cache(tmp_path / "cache")
    rows = bse49.table(reactions, [*networks, fresh], cache, **NULLS)
    for broken, (_, row) in zip(reactions.broken, rows.iterrows(), strict=True):
        whole = Atoms(broken.whole.atomic_numbers, broken.whole.positions[0])
        *parts, of_whole = decompose(networks[0].model, [*broken.fragments, whole])
        bare = -np.median(bond_energies(of_whole, np.array(broken.pairs)))
        assert row["bare:own-s0"] == pytest.approx(bare * KCAL_PER_MOL_PER_EV, abs=1e-6)
        apart = sum(part.energy for part in parts) - of_whole.energy
        assert row["fragment:own-s0"] == pytest.approx(apart * KCAL_PER_MOL_PER_EV, abs=1e-5)
    monkeypatch.setattr(bse49, "_energies", lambda *_: pytest.fail("computed again"))
    assert bse49.table(reactions, [*networks, fresh], cache, **NULLS).equals(rows)

    group = Group("own", ("own-s0", "own-s1"))
    none = pd.DataFrame()
    sources = Sources(
        (group,), {"untrained": (fresh.name,)}, {fresh.name: 2.0}, Pieces(*[none] * 5), none, none
    )
    found = list(bse49.scores(reactions, rows, sources, {"n_resamples": 20, "seed": 0}))
    assert {score["of"] for score in found} == {6}
    bare = next(s for s in found if (s["quantity"], s["kind"]) == ("mean error", "bare"))
    assert list(bare["values"]) == ["own", "untrained", "additive", "pair"]
    both = rows[["bare:own-s0", "bare:own-s1"]].mean(axis=1) - rows[bse49.REFERENCE]
    assert bare["values"]["own"]["value"] == pytest.approx(both.mean())
    scaled = 2 * rows["bare:null: fresh"] - rows[bse49.REFERENCE]
    assert bare["values"]["untrained"]["value"] == pytest.approx(scaled.mean())
