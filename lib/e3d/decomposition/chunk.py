"""A chunk of a data set, decomposed by one process, which loads the models only once."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from e3d.cluster import available_cores, worker_name
from e3d.data.dataset import Dataset
from e3d.decomposition.compilation import forward_of
from e3d.decomposition.forward import Forward, energy_network
from e3d.decomposition.maps import Settings, summarise_all
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.errors import E3DError
from e3d.models.allegro import Model, load_model
from e3d.models.batches import GPU_EDGES

#: Directed edges per batch on a CPU: a few thousand stay in the cache of a core.
CPU_EDGES = 2_000


@dataclass(frozen=True)
class Job:
    """What every process needs to know; the arguments of `stream.decompose_with`."""

    dataset: Path
    models: tuple[Path, ...]
    trust: bool
    charged: bool
    device: str | None
    length_step: float
    energy_step: float
    compiled: bool = False

    def n_devices(self) -> int:
        """Processes that can work at the same time: GPUs, or cores."""
        if self._on_gpu():
            return torch.cuda.device_count() if self.device in (None, "cuda") else 1
        return available_cores()

    def own_device(self) -> str:
        """The device of this process: of several GPUs, the one that its number tells."""
        if not self._on_gpu():
            return self.device or "cpu"
        name, n_devices = worker_name(), torch.cuda.device_count()
        if self.device in (None, "cuda") and name.isdigit() and n_devices > 1:
            return f"cuda:{int(name) % n_devices}"
        return self.device or "cuda"

    def _on_gpu(self) -> bool:
        if self.device is None:
            return torch.cuda.is_available()
        try:
            kind = torch.device(self.device).type
        except RuntimeError as error:
            raise E3DError(f"unknown device {self.device!r}; give cpu, cuda or cuda:N") from error
        if kind == "cuda" and not torch.cuda.is_available():
            raise E3DError(f"no device {self.device}: PyTorch {torch.__version__} sees no GPU here")
        return kind == "cuda"


@lru_cache(maxsize=1)
def models_of(job: Job) -> list[Model]:
    """The models of a job, on the device of this process.

    Raises E3DError as `load_model` does, and for a model whose energy is no sum over edges.
    """
    device = job.own_device()
    models = [load_model(path, trust=job.trust, device=device) for path in job.models]
    for model in models:
        energy_network(model)
    return models


@lru_cache(maxsize=1)
def _forwards_of(job: Job) -> list[Forward] | None:
    """The compiled networks of a job, None if they are to be as they are."""
    return [forward_of(model) for model in models_of(job)] if job.compiled else None


def evaluator(job: Job, names: Sequence[str]) -> tuple[int, list[PairStatistics]]:
    """Number of molecules with these names, and their statistics for each model."""
    models = models_of(job)
    max_edges = CPU_EDGES if models[0].device.type == "cpu" else GPU_EDGES
    settings = Settings(job.length_step, job.energy_step, max_edges)
    elements = sorted({name for model in models for name in model.type_names})
    # opened anew for every chunk: HDF5 remembers all groups that it has seen
    with one_thread(), Dataset(job.dataset) as dataset:
        dataset.names = list(names)
        usable = dataset.usable(elements, strict=False, charges=() if job.charged else (0,))
        parts = summarise_all(models, usable, settings, _forwards_of(job))
        unused = dataset.left_out
    _give_back_memory()
    return len(names), [replace(part, left_out=unused + part.left_out) for part in parts]


def _give_back_memory() -> None:
    """Return freed memory to the system, where the C library can: blocks of ever other sizes leave
    gaps in the heap."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch with one thread: sums do not depend on the number of cores then, and on molecules
    several threads mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
