"""Small data sets and models for streamed decompositions, and when two results are the same."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from e3d.data.dataset import Dataset
from e3d.data.rules import TYPE_NAMES
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.models.allegro import build
from e3d.models.checkpoint import save_checkpoint
from e3d.paths import ROOT

NAMES = ("C", "C1CCC1", "CC", "CCO", "CO", "N", "N#N", "[H][H]")


def random_checkpoint(folder: Path, **changes: object) -> Path:
    """A small random model."""
    architecture = {
        "seed": 3, "model_dtype": "float32", "type_names": list(TYPE_NAMES), "r_max": 4.0,
        "l_max": 1, "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 2,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 7.5, "per_type_energy_scales": 1.3,
    } | changes  # fmt: skip
    names = architecture["type_names"]
    architecture["per_type_energy_shifts"] = {name: -10.0 - k for k, name in enumerate(names)}
    save_checkpoint(
        folder, build(architecture), architecture, dataset={}, training={}, cost={}, history=""
    )
    return folder


def molecules_of(path: Path) -> list:
    with Dataset(path) as dataset:
        return list(dataset.usable())


def assert_equal(first: PairStatistics, second: PairStatistics) -> None:
    pd.testing.assert_frame_equal(first.map, second.map, check_dtype=False)
    for name in ("by_class", "by_separation"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name),
                                      check_dtype=False, rtol=1e-6, atol=1e-9)  # fmt: skip
    for name in ("n_molecules", "n_conformations"):
        assert getattr(first, name) == getattr(second, name)
    assert first.left_out.lines() == second.left_out.lines()


def e3d(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "e3d", "decompose", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300, **options,
    )  # fmt: skip
