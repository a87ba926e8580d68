"""Decompose a data set of any size, one chunk of molecules at a time.

The statistics of the chunks are added in the order of the file, so that the result depends neither
on the number of processes nor on interruptions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import h5py
import pandas as pd
from pandas.api.types import is_numeric_dtype
from tqdm import tqdm

from e3d import files
from e3d.data.dataset import DAMAGED, Dataset
from e3d.data.molecule import Molecule
from e3d.data.writing import saving
from e3d.decomposition import edges
from e3d.decomposition.maps import PairStatistics, summarise
from e3d.errors import E3DError
from e3d.models.allegro import Model, load_model
from e3d.parallel import WorkerDied, available_cores, map_ordered

#: Molecules in a chunk, the unit of work of a process; an interruption costs one of them.
CHUNK = 64


@dataclass(frozen=True)
class _Job:
    """What every process of the pool needs to know."""

    dataset: Path
    model: Path
    trust: bool
    length_step: float
    energy_step: float

    def open(self) -> tuple[Dataset, Model]:
        return Dataset(self.dataset), load_model(self.model, trust=self.trust)

    def settings(self) -> str:
        """All that the result depends on, data set and model by their digest."""
        contents = {name: files.digest(getattr(self, name)) for name in ("dataset", "model")}
        steps = {"length_step_A": self.length_step, "energy_step_eV": self.energy_step}
        return json.dumps(contents | steps)

    def chunk(self, dataset: Dataset, model: Model, names: Sequence[str]) -> PairStatistics:
        """Statistics of the molecules with these names."""
        dataset.names = list(names)
        used: list[str] = []

        def molecules() -> Iterator[Molecule]:
            for molecule in dataset.usable(model.type_names):
                used.append(molecule.name)
                yield molecule

        try:
            part = summarise(
                model, molecules(), length_step=self.length_step, energy_step=self.energy_step
            )
        except E3DError as error:
            told = str(error).startswith(str(dataset.path))
            raise (error if told else E3DError(f"{dataset.path}, {error}")) from None
        return replace(part, n_molecules=len(used), left_out=Counter(dataset.skipped))


_opened = lru_cache(maxsize=1)(_Job.open)


def _work(job: _Job, names: Sequence[str]) -> PairStatistics:
    """A chunk in a process of the pool, which opens data set and model only once."""
    return job.chunk(*_opened(job), names)


def decompose_dataset(
    dataset: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    trust: bool = False,
    n_workers: int | None = None,
    length_step: float = 0.05,
    energy_step: float = 0.1,
    progress: bool = False,
) -> PairStatistics:
    """Decompose every usable conformation of a data set and write the statistics to `out`.

    model: a checkpoint, see `load_model`; bins of the map of length_step Å and energy_step eV. The
    statistics so far are kept in `<out>.partial`, from which the same call resumes. A partial file
    of another data set, model or binning is an error, because it may hold hours of work.

    An `out` that exists is replaced, but not one that appears in the meantime.

    Raises E3DError for bad input, and then leaves nothing behind; when another process writes
    `out`; and when a process dies or the disk is full, and then the partial file stays.
    """
    out = Path(out)
    job = _Job(Path(dataset), Path(model), trust, length_step, energy_step)
    data, network = job.open()
    with data, files.locked(out):
        replace_out = out.exists()
        if out.is_dir() or (out.exists() and out.samefile(dataset)):
            raise E3DError(f"{out} is a folder or the data set itself; choose another output file")
        list(edges.decompose(network, []))  # refuses a model that is no sum over edges
        unfinished = out.with_name(f"{out.name}.partial")
        total = _add_up(job, data, network, unfinished, n_workers, progress)
        if total.n_conformations:
            files.publish(unfinished, out, overwrite=replace_out)
            return total
        unfinished.unlink(missing_ok=True)
    reasons = ", ".join(f"{count} {reason}" for reason, count in total.left_out.items())
    raise E3DError(f"{dataset} has no conformation to decompose: {reasons or 'it is empty'}")


def _add_up(
    job: _Job,
    data: Dataset,
    network: Model,
    unfinished: Path,
    n_workers: int | None,
    progress: bool,
) -> PairStatistics:
    """Statistics of all molecules, resumed from `unfinished` and kept there after every chunk.

    Bad input removes the file, which is useless then.
    """
    names, settings = data.names, job.settings()
    begun = unfinished.exists()
    total, done = _resume(unfinished, settings) if begun else (PairStatistics(), 0)
    chunks = [names[k : k + CHUNK] for k in range(done, len(names), CHUNK)]
    bar = tqdm(total=len(names), initial=done, unit="molecule", desc=network.name,
               disable=not progress)  # fmt: skip
    try:
        with bar, closing(_parts(job, data, network, chunks, n_workers)) as parts:
            for chunk, part in zip(chunks, parts, strict=True):
                total, done = total + part, done + len(chunk)
                _write(unfinished, total, settings, done)
                bar.update(len(chunk))
    except (WorkerDied, files.WriteError):
        raise
    except E3DError:
        unfinished.unlink(missing_ok=True)
        raise
    return total


def _parts(
    job: _Job,
    data: Dataset,
    network: Model,
    chunks: Sequence[Sequence[str]],
    n_workers: int | None,
) -> Generator[PairStatistics, None, None]:
    """Statistics of each chunk, in their order."""
    n_workers = min(n_workers or available_cores(), len(chunks))
    if n_workers > 1:
        work = partial(_work, job)
        yield from map_ordered(work, chunks, n_workers=n_workers, progress=False)
    else:
        yield from (job.chunk(data, network, chunk) for chunk in chunks)


_TABLES = ("map", "by_class", "by_separation")


def _write(path: Path, total: PairStatistics, settings: str, n_read: int) -> None:
    """Write a statistics file, atomically; n_read: molecules of the data set read so far."""
    with saving(path) as file:
        file.attrs.update(
            settings=settings,
            n_read=n_read,
            n_molecules=total.n_molecules,
            n_conformations=total.n_conformations,
            sum_rule_error_eV_per_atom=total.sum_rule_error,
            left_out=json.dumps(total.left_out),
        )
        for name in _TABLES:
            table: pd.DataFrame = getattr(total, name)
            if "m2_eV2" in table:
                table = table.assign(variance_eV2=table["m2_eV2"] / table["count"])
            for column, values in table.items():
                kind = values.dtype if is_numeric_dtype(values) else h5py.string_dtype()
                file.create_dataset(f"{name}/{column}", data=values.to_numpy(), dtype=kind)


def read(path: str | Path) -> PairStatistics:
    """Read a statistics file.

    Its groups map, by_class and by_separation hold the columns of the tables of `PairStatistics`,
    one array each, and variance_eV2 besides. Raises E3DError for any other file.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[PairStatistics, str, int]:
    """Statistics, settings and number of molecules read."""
    try:
        with h5py.File(path) as file:
            attributes = file.attrs
            tables = {
                name: _table(file[name], getattr(PairStatistics(), name).columns)
                for name in _TABLES
            }
            total = PairStatistics(
                **tables,
                n_molecules=int(attributes["n_molecules"]),
                n_conformations=int(attributes["n_conformations"]),
                sum_rule_error=float(attributes["sum_rule_error_eV_per_atom"]),
                left_out=Counter(json.loads(attributes["left_out"])),
            )
            return total, str(attributes["settings"]), int(attributes["n_read"])
    except (*DAMAGED, ValueError, TypeError) as error:
        raise E3DError(f"{path} is no statistics file of `e3d decompose` ({error})") from error


def _table(group: h5py.Group, columns: Iterable[str]) -> pd.DataFrame:
    stored = {column: group[column] for column in columns}
    return pd.DataFrame(
        {
            column: values.asstr()[()] if h5py.check_string_dtype(values.dtype) else values[()]
            for column, values in stored.items()
        }
    )


def _resume(partial: Path, settings: str) -> tuple[PairStatistics, int]:
    """Statistics of a partial file and the number of molecules read; refuses other settings."""
    total, begun_with, n_read = _read(partial)
    if begun_with != settings:
        before, now = json.loads(begun_with), json.loads(settings)
        other = ", ".join(key for key in now if before.get(key) != now[key])
        raise E3DError(
            f"{partial} was begun with another {other}; delete it to begin anew, or choose another "
            "output file"
        )
    return total, n_read
