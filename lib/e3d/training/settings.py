"""The settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """All that determines a training run; lengths in Å, energies in eV.

    more_datasets, n_conformations, per_molecule and elements select the data, see `SpiceSplit`;
    n_validation: most conformations in each of the two validation parts (0: all); steps_per_epoch:
    gradient steps between two validations (0: one pass over the data); snapshots: steps after which
    the weights are kept; trainable_shifts: whether the atomic energies, a gauge that is otherwise
    fixed, are trained; initial_checkpoint: folder of a model to fine-tune; labels: `shuffled` is
    the null model of permuted labels.
    """

    dataset: str
    more_datasets: tuple[str, ...] = ()
    n_conformations: int = 0
    per_molecule: int = 0
    elements: tuple[str, ...] = ()
    n_validation: int = 0
    seed: int = 0
    cutoff_A: float = 5.0
    l_max: int = 2
    n_layers: int = 2
    n_scalar_features: int = 32
    n_tensor_features: int = 8
    trainable_shifts: bool = False
    steps: int = 10_000
    steps_per_epoch: int = 0
    snapshots: tuple[int, ...] = ()
    batch_size: int = 16
    learning_rate: float = 2e-3
    optimizer: Literal["adam", "muon"] = "adam"
    energy_weight: float = 1.0
    force_weight: float = 1.0
    initial_checkpoint: str = ""
    labels: Literal["true", "shuffled"] = "true"
    compile: bool = True
