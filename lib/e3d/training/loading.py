"""The order in which conformations are trained on: in epochs, over processes, after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from e3d.errors import E3DError


class FixedLengthSampler(Sampler):  # type: ignore[misc]
    """Random passes over `size` items, cut into epochs of `length` items.

    An epoch is thus a fixed number of steps, whatever the size of the data set. What is left of a
    pass when an epoch ends is part of the state of a training.
    """

    def __init__(self, size: int, length: int, generator: torch.Generator | None = None):
        self.size, self.length, self.generator = size, length, generator
        self.left = torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        while len(self.left) < self.length:
            self.left = torch.cat([self.left, torch.randperm(self.size, generator=self.generator)])
        epoch, self.left = self.left[: self.length], self.left[self.length :].clone()
        return iter(epoch.tolist())


class Share(Sampler):  # type: ignore[misc]
    """What one of several processes takes of a sampler that is the same in all of them.

    equal: every process gets the same number of items, and up to `n_processes` − 1 are left out.
    """

    def __init__(self, sampler: Any, rank: int, n_processes: int, *, equal: bool):
        self.sampler, self.rank, self.n_processes = sampler, rank, n_processes
        self.total = len(sampler) - (len(sampler) % n_processes if equal else 0)

    def __len__(self) -> int:
        return len(range(self.rank, self.total, self.n_processes))

    def __iter__(self) -> Iterator[int]:
        # to its end, as one process does: a random sampler draws from its generator there
        for k, item in enumerate(self.sampler):
            if k < self.total and k % self.n_processes == self.rank:
                yield item


class Loader(DataLoader):  # type: ignore[misc]
    """A DataLoader that goes on after a restart as if there had been none.

    nequip and Lightning keep `state_dict` in the state of a training, written between two epochs.
    After a restart Lightning begins its first epoch twice: an epoch that is left unfinished is
    therefore the same when it begins again.
    """

    passes: FixedLengthSampler | None = None
    _begun: dict[str, Any] | None = None  # state before an epoch that is not finished

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self._begun is not None:
            self.load_state_dict(self._begun)
        self._begun = self.state_dict()
        if self.generator is not None and getattr(self, "_iterator", None) is not None:
            # torch draws a seed for every epoch, but for worker processes that persist only once:
            # the order of training must not depend on the number of processes that read
            torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        return self._counted(super().__iter__())

    def _counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        for k, batch in enumerate(batches, 1):
            if k == len(self):
                self._begun = None
            yield batch

    def state_dict(self) -> dict[str, Any]:
        state = {} if self.generator is None else {"generator": self.generator.get_state()}
        return state if self.passes is None else {**state, "left": self.passes.left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._begun = None
        if self.generator is not None and "generator" in state:
            self.generator.set_state(state["generator"])
        if self.passes is not None and "left" in state:
            self.passes.left = state["left"]


def loader(
    dataset: Dataset,
    *,
    steps_per_epoch: int,
    batch_size: int,
    generator: torch.Generator | None = None,
    shuffle: bool = False,
    **options: Any,
) -> Loader:
    """A torch DataLoader whose epoch has `steps_per_epoch` batches (0: one pass over the data).

    In a group of processes, each gets its share of every batch: their steps are those of one
    process with the same `batch_size`, up to rounding.

    Raises E3DError when a batch cannot be shared equally.
    """
    rank, n_processes = _group()
    if batch_size % n_processes:
        raise E3DError(
            f"a batch of {batch_size} conformations cannot be shared equally by {n_processes} "
            "processes; choose a multiple for batch_size"
        )
    passes: FixedLengthSampler | None = None
    sampler: Sampler | None = None
    if steps_per_epoch:
        size: int = len(dataset)  # type: ignore[arg-type]
        sampler = passes = FixedLengthSampler(size, steps_per_epoch * batch_size, generator)
    elif n_processes > 1:
        random = RandomSampler(dataset, generator=generator)  # type: ignore[arg-type]
        sampler = random if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
    if n_processes > 1:
        equal = bool(options.get("drop_last"))
        sampler = Share(sampler, rank, n_processes, equal=equal)
    made = Loader(
        dataset, batch_size=batch_size // n_processes, sampler=sampler, generator=generator,
        shuffle=None if sampler is not None else shuffle, **options,
    )  # fmt: skip
    made.passes = passes
    return made


def _group() -> tuple[int, int]:
    """Rank and number of the processes that train together."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
