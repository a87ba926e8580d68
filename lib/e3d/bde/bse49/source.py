"""BSE49, an external benchmark of bond separation energies: fetched, verified and read.

Prasad, Khalilian, Otero-de-la-Roza and DiLabio, Sci. Data 8, 300 (2021),
doi:10.1038/s41597-021-01088-2: energies of AB → A• + B• at the minima of all three by (RO)CBS-QB3,
electronic, without zero-point energy, in kcal/mol and positive when bound. Neither geometries nor
tables are part of this project.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from ase import Atoms
from tqdm import tqdm

from e3d.errors import E3DError
from e3d.paths import RUNS

#: The version of this project: commit of its repository, address, `digest` of its content, and
#: where the download is kept.
COMMIT = "e727ff833b687b2889e89b972078b293f3a8b5b9"
URL = f"https://github.com/aoterodelaroza/bse49/archive/{COMMIT}.tar.gz"
SHA256 = "334d1a9e8b3009c85b916f2498299500c4e5f914071fade3321c4703b8c67069"
CACHE = RUNS / "downloads" / f"bse49-{COMMIT}.tar.gz"
#: Environment variable with a folder or .tar.gz to use instead of the download.
SOURCE_VARIABLE = "E3D_BSE49"
#: The two parts: molecules known from experiments, and hypothetical ones.
SETS = ("Existing", "Hypothetical")
#: Most bytes that are downloaded or unpacked, ten times the size of BSE49.
SIZE_LIMIT = 100_000_000
_TIMEOUT_S = 60


def obtain(source: str, *, url: str, cache: str | Path, sha256: str) -> dict[str, bytes]:
    """Tables and geometries of BSE49, verified, by their path in its repository.

    source: a folder or .tar.gz to use instead of the download; if empty, the one in the environment
    variable `E3D_BSE49`, and without that `url`, kept as the file `cache`. sha256: see `digest`. An
    archive is read in memory; nothing is unpacked.

    Raises E3DError when nothing can be read or downloaded, and when the content differs.
    """
    source = source or os.environ.get(SOURCE_VARIABLE, "")
    path = Path(source or cache)
    if not source and not path.exists():
        _download(url, path)
    contents = _read_folder(path) if path.is_dir() else _read_archive(path)
    if (found := digest(contents)) != sha256:
        raise E3DError(
            f"{path} is not the BSE49 that was asked for: its tables and geometries have the "
            f"digest {found[:12]}…, expected {sha256[:12]}…; "
            + ("give the pinned version" if source else "delete the file and try again")
        )
    return contents


class _Bar(tqdm):
    """The progress of a download, which it ends at `SIZE_LIMIT`."""

    def __bool__(self) -> bool:
        return True  # pooch asks whether there is a bar, tqdm would tell whether it has a length

    def update(self, n: float | int | None = 1) -> bool | None:
        if self.n + (n or 0) > SIZE_LIMIT:
            raise E3DError(
                f"{self.desc} is longer than {SIZE_LIMIT} bytes; is its address the right one?"
            )
        return super().update(n)


def _download(url: str, target: Path) -> None:
    """Keep what is at the address as the file `target`; only `digest` verifies it.

    The hash of the archive itself is not known: GitHub makes it on request.
    """
    pooch.get_logger().setLevel("WARNING")  # it would recommend to pin that hash
    try:
        with _Bar(unit="B", unit_scale=True, desc=url) as bar:
            pooch.retrieve(
                url, known_hash=None, fname=target.name, path=target.parent,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT_S),
            )  # fmt: skip
    except (OSError, ValueError) as error:  # among them all that requests raises
        raise E3DError(
            f"BSE49 cannot be downloaded from {url} ({error}); on a machine without a network give "
            f"a folder or .tar.gz of it as `source` or in the variable {SOURCE_VARIABLE}"
        ) from error


def _read_archive(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                size += member.size
                if size > SIZE_LIMIT:
                    raise E3DError(f"{path} unpacks to more than {SIZE_LIMIT} bytes")
                stream = archive.extractfile(member) if member.isfile() else None
                if stream and (name := _used(member.name)):
                    found[name] = stream.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise E3DError(f"{path} is missing or no .tar.gz of BSE49 ({error})") from error
    return found


def _read_folder(folder: Path) -> dict[str, bytes]:
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".org", ".xyz"))
    if not any(p.name == f"BSE49_{SETS[0]}.org" for p in paths):
        raise E3DError(f"{folder} holds no BSE49_{SETS[0]}.org; give the folder of the repository")
    return {name: p.read_bytes() for p in paths if (name := _used(str(p.relative_to(folder))))}


def _used(path: str) -> str | None:
    """Path in the repository, wherever that lies, of a table or geometry; None for other files."""
    parts = Path(path).parts
    if parts and parts[-1] in [f"BSE49_{name}.org" for name in SETS]:
        return parts[-1]
    inside = len(parts) > 2 and parts[-3] == "Geometries" and parts[-2] in SETS
    return "/".join(parts[-3:]) if inside and parts[-1].endswith(".xyz") else None


def digest(contents: Mapping[str, bytes]) -> str:
    """SHA-256 of the sorted names and digests of the tables and of the geometries in them.

    The bytes of the archive do not enter, because one that is made on request may change.
    """
    named = {
        f"Geometries/{r.set}/{part}.xyz" for r in read_separations(contents) for part in r.parts
    }
    wanted = sorted(named | {f"BSE49_{name}.org" for name in SETS})
    lines = [f"{name} {hashlib.sha256(_content(contents, name)).hexdigest()}" for name in wanted]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content(contents: Mapping[str, bytes], name: str) -> bytes:
    if name not in contents:
        raise E3DError(f"{name} is missing in this copy of BSE49; is it complete?")
    return contents[name]


@dataclass(frozen=True)
class Separation:
    """AB → A• + B•: its set, the two elements of the broken bond, the names of the geometries of A,
    B and AB, and the reference in kcal/mol, positive when bound."""

    name: str
    set: str
    elements: tuple[str, str]
    parts: tuple[str, str, str]
    reference: float


def read_separations(contents: Mapping[str, bytes]) -> list[Separation]:
    """The entries of both tables. Raises E3DError for a line that is not `| name | 1 | A | 1 | B |
    -1 | AB | energy |`."""
    found = []
    for which in SETS:
        name = f"BSE49_{which}.org"
        for number, line in enumerate(_content(contents, name).decode().splitlines(), start=1):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            try:
                entry, one, first, other, second, minus, whole, energy = cells
                if (one, other, minus) != ("1", "1", "-1"):
                    raise ValueError("no dissociation into two")
                a, b = sorted(whole.split("_")[0].split("-"))
                found.append(
                    Separation(entry, which, (a, b), (first, second, whole), float(energy))
                )
            except ValueError as error:
                raise E3DError(f"{name}, line {number}: {error}; expected A + B - AB") from None
    return found


def structure(contents: Mapping[str, bytes], reaction: Separation, part: int) -> Atoms:
    """Geometry of A, B or AB (part 0, 1, 2), with `charge` and `multiplicity` in its `info`."""
    name = f"Geometries/{reaction.set}/{reaction.parts[part]}.xyz"
    lines = _content(contents, name).decode().splitlines()
    try:
        charge, multiplicity = map(int, lines[1].split())
        rows = [line.split() for line in lines[2 : 2 + int(lines[0])]]
        positions = np.array([[float(x) for x in row[1:4]] for row in rows])
        atoms = Atoms([row[0] for row in rows], positions)
    except (ValueError, KeyError, IndexError) as error:
        raise E3DError(f"{name} is no geometry with charge and multiplicity ({error})") from None
    atoms.info = {"charge": charge, "multiplicity": multiplicity}
    return atoms
