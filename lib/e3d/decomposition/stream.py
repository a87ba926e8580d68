"""Decompose a data set of any size with one model or several, one chunk of molecules at a time.

The statistics of the chunks are added in the order of the file, and every process works with one
thread, so that the result depends neither on the number of processes nor on interruptions.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from e3d import cluster, files
from e3d.data import spice2
from e3d.data.dataset import DAMAGED, Dataset
from e3d.data.guarded import require_opens
from e3d.decomposition import statistics_file
from e3d.decomposition.chunk import Job, evaluator, models_of, one_thread
from e3d.decomposition.compilation import decide
from e3d.decomposition.maps import FLAWED
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.errors import E3DError
from e3d.parallel import in_order

#: A chunk, the unit of work of a process, which an interruption costs, is full with so many
#: conformations, so many atoms in them, or one of so many equal parts of the file, though never
#: with fewer molecules than the last.
CONFORMATIONS, ATOMS, PARTS, MOLECULES = 10_000, 500_000, 64, 64
#: Bytes at either end of a data set by which it is known again.
ENDS = 1 << 20


def decompose_dataset(
    dataset: str | Path, model: str | Path, out: str | Path, **options: Any
) -> PairStatistics:
    """`decompose_with` for a single model."""
    (total,) = decompose_with(dataset, [model], out, **options).values()
    return total


def decompose_with(
    dataset: str | Path,
    models: Sequence[str | Path],
    out: str | Path,
    *,
    trust: bool = False,
    charged: bool = False,
    device: str | None = None,
    compile: str = "auto",
    n_workers: int | None = None,
    scheduler: str | None = None,
    length_step: float = 0.05,
    energy_step: float = 0.1,
    progress: bool = False,
) -> dict[str, PairStatistics]:
    """Decompose every usable conformation of a data set and write the statistics to `out`.

    dataset: a file, or `spice2`; models: checkpoints, see `load_model`, for all of which the data
    are read once. charged: charged molecules too, for models that were trained on them. device:
    `cpu`, `cuda` (each process takes its own one) or `cuda:N`; default the GPUs where there are
    any. compile: see `compilation.decide`. n_workers, scheduler: see `map_ordered`; default a
    process for each core or GPU. Bins of the map of length_step Å and energy_step eV. Returns the
    statistics by name of the model.

    A molecule that cannot be used never ends the call: it is left out, counted and named. The
    statistics so far are kept in `<out>.partial`, from which the same call resumes. A partial file
    of another data set (another size, time of change, or first or last MiB), model (by its
    contents), binning or choice of molecules is an error, because it may hold hours of work.

    An `out` that exists is replaced, but not one that appears in the meantime.

    Raises E3DError when no conformation is left or none can be decomposed, when another process
    writes `out`, and when processes die or the disk is full; then the partial file stays.
    """
    out, dataset = Path(out), spice2.located(dataset)
    require_opens(dataset)
    job = Job(
        dataset.resolve(), tuple(Path(model).resolve() for model in models), trust, charged,
        device, length_step, energy_step,
    )  # fmt: skip
    names = [network.name for network in models_of(job)]
    if len(set(names)) < len(names):
        raise E3DError(f"models of the same name: {', '.join(names)}; the file could not tell them")
    with files.locked(out):
        replace_out = out.exists()
        if out.is_dir() or (out.exists() and out.samefile(dataset)):
            raise E3DError(f"{out} is a folder or the data set itself; choose another output file")
        unfinished = out.with_name(f"{out.name}.partial")
        with one_thread(), Dataset(job.dataset) as data:
            size = _estimate(data) if compile == "auto" else 0
            job = replace(job, compiled=decide(compile, models_of(job), size))
        totals = _add_up(job, names, unfinished, n_workers, scheduler, progress)
        if any(total.n_conformations for total in totals.values()):
            files.publish(unfinished, out, overwrite=replace_out)
            return totals
        unfinished.unlink(missing_ok=True)
    reasons = "; ".join(next(iter(totals.values())).left_out.lines())
    raise E3DError(f"{dataset} has no conformation to decompose: {reasons or 'it is empty'}")


def _add_up(
    job: Job,
    names: Sequence[str],
    unfinished: Path,
    n_workers: int | None,
    scheduler: str | None,
    progress: bool,
) -> dict[str, PairStatistics]:
    """Statistics of all molecules, resumed from `unfinished` and kept there after every chunk."""
    settings = _settings(job)
    totals, done = {name: PairStatistics() for name in names}, 0
    if unfinished.exists():
        totals, done = _resume(unfinished, settings)
    with Dataset(job.dataset) as data:
        n_molecules = len(data)
        chunks = _chunks(data, done)
        bar = tqdm(total=n_molecules, initial=done, unit="molecule", desc=", ".join(names),
                   disable=not progress)  # fmt: skip
        with bar, closing(_parts(job, chunks, n_workers, scheduler)) as parts:
            for n_read, part in parts:
                totals = {
                    name: total + own
                    for (name, total), own in zip(totals.items(), part, strict=True)
                }
                done += n_read
                _refuse_hopeless(totals)
                statistics_file.write(unfinished, totals, settings=settings, n_read=done)
                bar.update(n_read)
    return totals


def _refuse_hopeless(totals: Mapping[str, PairStatistics]) -> None:
    """Raise E3DError for a model that has decomposed nothing so far, and failed at something."""
    for total in totals.values():
        flawed = total.left_out.reasons.get(FLAWED)
        if flawed and not total.n_conformations:
            raise E3DError(f"no conformation can be decomposed; {flawed.first[0]}")


def _chunks(data: Dataset, done: int) -> Iterator[list[str]]:
    """Names of the molecules of each chunk that is not done; sizes are looked up as they come."""
    most = max(MOLECULES, -(-len(data) // PARTS))
    chunk: list[str] = []
    n_conformations = n_atoms = 0
    for name, size, atoms in _sizes(data, done):
        if chunk and (
            len(chunk) >= most or n_conformations + size > CONFORMATIONS or n_atoms + atoms > ATOMS
        ):
            yield chunk
            chunk, n_conformations, n_atoms = [], 0, 0
        chunk.append(name)
        n_conformations, n_atoms = n_conformations + size, n_atoms + atoms
    if chunk:
        yield chunk


def _sizes(data: Dataset, done: int, at_a_time: int = 1_000) -> Iterator[tuple[str, int, int]]:
    """Name and `_size` of the molecules that are not done, in a file opened anew now and then: HDF5
    remembers all groups that it has seen."""
    for begin in range(done, len(data), at_a_time):
        with Dataset(data.path) as opened:
            sizes = [(name, *_size(opened, name)) for name in data.names[begin : begin + at_a_time]]
        yield from sizes


def _estimate(data: Dataset, n_looked_at: int = 200) -> int:
    """About how many conformations a data set has, from molecules all over the file."""
    names = data.names[:: max(1, len(data) // n_looked_at)]
    sizes = [_size(data, name)[0] for name in names]
    return round(sum(sizes) / max(len(sizes), 1) * len(data))


def _size(data: Dataset, name: str) -> tuple[int, int]:
    """Conformations of a molecule, and atoms in all of them; 1 where that cannot be read, which is
    for the process to tell that reads it all."""
    try:
        shape = data.group(name)["conformations"].shape
        return shape[0], shape[0] * shape[1]
    except (*DAMAGED, E3DError, IndexError, AttributeError):
        return 1, 1


def _parts(
    job: Job, chunks: Iterable[list[str]], n_workers: int | None, scheduler: str | None
) -> Generator[tuple[int, list[PairStatistics]], None, None]:
    """Size of each chunk and its statistics, in order.

    A single process, or a single chunk, needs no others.
    """
    remaining = iter(chunks)
    first = list(islice(remaining, n_workers or job.n_devices()))
    work = partial(evaluator, job)
    if scheduler is None and len(first) < 2:
        yield from map(work, chain(first, remaining))
        return
    with cluster.connected(len(first), scheduler) as client:
        yield from in_order(client, work, chain(first, remaining))


def _settings(job: Job) -> str:
    """All that the result depends on, as JSON: the models by their contents."""
    return json.dumps(
        {
            "dataset": _mark(job.dataset),
            "model": [files.digest(model) for model in job.models],
            "charged": job.charged,
            "compiled": job.compiled,
            "length_step_A": job.length_step,
            "energy_step_eV": job.energy_step,
        }
    )


def _mark(path: Path) -> str:
    """Digest of size, time of change and both ends of a file, which may be too large to read."""
    status = path.stat()
    found = sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
    with open(path, "rb") as stream:
        found.update(stream.read(ENDS))
        stream.seek(max(0, status.st_size - ENDS))
        found.update(stream.read(ENDS))
    return found.hexdigest()


def _resume(partial: Path, settings: str) -> tuple[dict[str, PairStatistics], int]:
    """Statistics of a partial file and the number of molecules read; refuses other settings."""
    totals, begun_with, n_read = statistics_file.read_all(partial)
    if begun_with != settings:
        before, now = json.loads(begun_with), json.loads(settings)
        other = ", ".join(key for key in now if before.get(key) != now[key])
        raise E3DError(
            f"{partial} was begun with another {other}; delete it to begin anew, or choose another "
            "output file"
        )
    return totals, n_read
