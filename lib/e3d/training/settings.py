"""The settings of a training run, and of the machines that it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from e3d.data import spice2
from e3d.data.dataset import GRADIENT_LIMIT, TYPE_NAMES

#: Bytes from which on a data set is large: indexed once, before the training, and the index kept.
LARGE = 100_000_000


def is_large(path: Path) -> bool:
    """Whether the index of a data set is kept."""
    return path.stat().st_size >= LARGE


@dataclass(frozen=True)
class Settings:
    """All that determines a training run; lengths in Å, energies in eV.

    more_datasets, n_conformations, per_molecule and elements select the data, see `SpiceSplit`;
    n_validation: most conformations in each of the two validation parts (0: all); steps_per_epoch:
    gradient steps between two validations (0: one pass over the data); snapshots: steps after which
    the weights are kept; trainable_shifts: whether the atomic energies, a gauge that is otherwise
    fixed, are trained; initial_checkpoint: folder of a model to fine-tune; labels: `shuffled` is
    the null model of permuted labels.

    type_names: elements of the model (none: those of all models of this project); charges, subsets,
    without_subsets, gradient_limit: see `Selection`; level_of_theory of all labels, and
    atomic_energies in hartree, of isolated atoms of that level: for files that do not state theirs;
    n_statistics: conformations, drawn at random, from which the model takes the scale of its
    energies and the mean number of neighbours (0: all).
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
    type_names: tuple[str, ...] = ()
    charges: tuple[int, ...] = (0,)
    subsets: tuple[str, ...] = ()
    without_subsets: tuple[str, ...] = ()
    gradient_limit: float = GRADIENT_LIMIT
    radicals: bool = False
    level_of_theory: str = ""
    atomic_energies: dict[str, float] = field(default_factory=dict)
    n_statistics: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """All data sets."""
        return (self.dataset, *self.more_datasets)

    @property
    def types(self) -> tuple[str, ...]:
        """Elements of the model, in the order of its type indices."""
        return self.type_names or TYPE_NAMES


#: Conformations of SPICE 2 that statistics are taken from: their mean then has an error below 1 %.
_N_STATISTICS = 20_000


def resolved(settings: Settings) -> Settings:
    """The settings with `spice2` as a data set replaced by its file and all that belongs to it.

    What is not at its default is left as it is. Raises E3DError when the file is missing.
    """
    if settings.dataset != spice2.NAME:
        return settings
    known = tuple(spice2.ATOMIC_ENERGIES) + tuple(
        e for e in settings.atomic_energies if e not in spice2.ATOMIC_ENERGIES
    )
    return replace(
        settings,
        dataset=str(spice2.located(settings.dataset)),
        type_names=settings.type_names or known,
        level_of_theory=settings.level_of_theory or spice2.LEVEL,
        n_statistics=settings.n_statistics or _N_STATISTICS,
    )


@dataclass(frozen=True)
class Hardware:
    """Where a training runs; changes its result by rounding alone.

    devices (GPUs, or processes where there is none) on each of num_nodes machines; strategy: class
    of the Lightning strategy that several of them train by; num_workers: processes per device that
    read the data (0: none besides it); launcher: words before the command of nequip-train, such as
    `srun`, which starts all processes (none: Lightning starts those of one machine).
    """

    devices: int = 1
    num_nodes: int = 1
    strategy: str = "nequip.train.SimpleDDPStrategy"
    num_workers: int = 0
    launcher: str = ""

    @property
    def n_processes(self) -> int:
        return self.devices * self.num_nodes
