"""Damaged copies of small data sets, checked in processes of their own: what becomes of them.

`python tests/data/fuzz.py FIRST COUNT` prints a line of JSON for every case that is neither
refused nor harmless, and last the counts. `mutated(k)` makes the file of case k again.
"""

import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from e3d.data.check import check_dataset
from e3d.data.dataset import Dataset
from e3d.data.guarded import check_guarded
from e3d.errors import E3DError
from e3d.paths import DATA, ROOT

sys.path.append(str(ROOT / "bench"))
import damage

DFT = DATA / "dft-small.h5"
#: Seconds of processor time of one case; a sound file takes hundredths.
LIMIT_S = 4
#: Memory of one case beyond that of the libraries, bytes.
MEMORY = 2**30
#: Outcomes that cannot be better. `noted`: a field or attribute has lost its name. `ended`: HDF5
#: loops or dies, and the guarded check says so in a line. `other numbers`: bytes of coordinates,
#: energies or gradients themselves, which are as plausible as before and have no checksum; names,
#: SMILES and elements are the same.
GOOD = ("refused", "harmless", "noted", "ended", "other numbers")


@cache
def sound(kind: str) -> bytes:
    """A sound data set of two molecules, two conformations each, stored in one of four ways."""
    options = {
        "old": ("earliest", {}),
        "new": ("latest", {}),
        "chunked": ("earliest", {"chunks": True, "fletcher32": True}),
        "compressed": ("latest", {"chunks": True, "compression": "gzip", "shuffle": True}),
    }
    version, storage = options[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.h5"
        with (
            h5py.File(DATA / "dft-small.h5") as source,
            h5py.File(path, "w", libver=version) as new,
        ):
            new.attrs.update(source.attrs)
            for name in ("O", "CO"):
                group = new.create_group(name)
                for key, field in source[name].items():
                    values = field[:2]
                    numeric = key not in ("smiles", "subset")
                    if key == "atomic_numbers":
                        values = field[()]
                    made = group.create_dataset(
                        key, data=values, dtype=field.dtype, **(storage if numeric else {})
                    )
                    made.attrs.update(field.attrs)
        return path.read_bytes()


KINDS = ("old", "new", "chunked", "compressed")


def mutated(k: int) -> tuple[str, bytes]:
    """How case k is stored, and its damaged bytes; the same in every run."""
    rng = np.random.default_rng([22, k])
    kind = KINDS[k % len(KINDS)]
    return kind, damage.of_bytes(sound(kind), rng)


def read(path: Path) -> list[tuple]:
    """Everything that is read of a data set, comparable."""
    with Dataset(path) as dataset:
        zeros = [tuple(dataset.atomic_energies(zero).items()) for zero in ("isolated", "aligned")]
        return [
            (m.name, m.subset, m.smiles, *(a.tobytes() for a in (
                m.atomic_numbers, m.positions, m.energies, m.formation_energies, m.forces)),
             None if m.temperatures is None else m.temperatures.tobytes())
            for m in dataset.usable()
        ] + zeros  # fmt: skip


def outcome(path: Path, kind: str, expected: list[tuple]) -> str:
    """What becomes of a damaged file, by the check and by reading it."""
    report = check_dataset(path)
    if not report.ok:
        for strict in (True, False):  # must not break either
            try:
                with Dataset(path) as dataset:
                    for _ in dataset.usable(strict=strict):
                        pass
            except E3DError:
                pass
        assert "\x1b" not in report.text()
        return "refused"
    if report.n_notes:  # a sound file has none
        return "noted"
    found = read(path)
    if found == expected:
        return "harmless"
    same = [entry[:4] for entry in found] == [entry[:4] for entry in expected]
    return "other numbers" if same else "another molecule"


def case(k: int, folder: Path, expected: dict[str, list[tuple]]) -> str:
    """Outcome of case k in a process of its own."""
    kind, content = mutated(k)
    path = folder / f"{k}.h5"
    path.write_bytes(content)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _limit()
            try:
                said = outcome(path, kind, expected[kind])
            except E3DError as error:
                said = "refused" if "\n" not in str(error) else f"lines: {error}"
            except BaseException:
                said = f"traceback {traceback.format_exc()}"
            os.write(writing, said.encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read().decode()
    os.waitpid(child, 0)
    try:
        if said:
            return said
        report = check_guarded(path, patience=LIMIT_S, memory=MEMORY)  # HDF5 looped or died
        return "passes" if report.ok else "ended"
    except E3DError as error:
        return "ended" if "\n" not in str(error) else f"lines: {error}"
    finally:
        path.unlink()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + LIMIT_S, used + LIMIT_S + 1))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(first: int, count: int) -> None:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), {}
        for kind in KINDS:
            (folder / "sound.h5").write_bytes(sound(kind))
            assert check_dataset(folder / "sound.h5").ok
            expected[kind] = read(folder / "sound.h5")
        for k in range(first, first + count):
            said = case(k, folder, expected)
            counts[said if said in GOOD else "bad"] += 1
            if said not in GOOD:
                print(json.dumps({"case": k, "outcome": said}), flush=True)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
