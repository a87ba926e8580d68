"""What an argument means: a SMILES, a structure file, a list of SMILES, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rdkit import Chem, rdBase

from e3d.chemistry.structures.files import Frame, Kind, frames, structure
from e3d.chemistry.structures.smiles import from_smiles
from e3d.chemistry.structures.structure import Structure
from e3d.errors import E3DError

#: Suffixes of lists of SMILES, one a line, with a title after it or without.
LISTS = {".smi", ".smiles", ".ism", ".txt"}
#: Suffixes of structure files that RDKit reads; ASE knows its own.
TABLES = {"sdf", "sd", "mol", "mdl", "mol2", "ent", "extxyz"}


def structures_of(
    text: str,
    *,
    elements: Sequence[str],
    charge: int = 0,
    seed: int = 1,
    frame: int | None = None,
    kind: Kind | None = None,
    progress: bool = False,
) -> Iterator[Structure | E3DError]:
    """Every structure that an argument stands for, and the error of each that cannot be used.

    text: a SMILES; a structure file, of which all frames, models or records are taken, or the one
    with the number `frame` (from 0, or from −1 backwards); a list of SMILES (`.smi`, `.txt`; `#`
    comments); or `-`, the same from standard input, line by line as they come. A SMILES that is
    also the name of a file is the SMILES, which is noted.
    elements: those that may occur; charge in e, of a file; seed of the conformers; kind: how a file
    with a lattice is read; progress: show a bar when a relaxation takes long.

    An error stands for one item, and the next may be good: the caller decides. Names of structures
    tell frames apart (`a.xyz[1]`).
    """
    options = {"elements": elements, "charge": charge, "seed": seed, "progress": progress}
    if text == "-":
        yield from _from_lines("standard input", sys.stdin, options)
        return
    try:
        path = _path(text)
        if path is None:
            found = from_smiles(text, **options)  # type: ignore[arg-type]
            named = (f"a file has this name too; ./{text} would read it",) if is_file(text) else ()
            yield replace(found, notes=found.notes + named)
        elif path.suffix.lower() in LISTS and path.is_file():
            with open(path, encoding="utf-8") as lines:
                yield from _from_lines(str(path), lines, options)
        else:
            yield from _from_frames(path, elements, charge, frame, kind)
    except UnicodeDecodeError as error:
        yield E3DError(f"{text} is not a text file of SMILES ({error})")
    except OSError as error:
        yield E3DError(f"{text} cannot be read ({error.strerror})")
    except E3DError as error:
        yield error


def structure_of(text: str, *, elements: Sequence[str], **options: Any) -> Structure:
    """The one structure that an argument stands for; options as of `structures_of`.

    Raises E3DError when it cannot be used, or stands for several.
    """
    several = list(islice(structures_of(text, elements=elements, **options), 2))
    if not several:
        raise E3DError(f"{text} holds no structure")
    if isinstance(several[0], E3DError):
        raise several[0]
    if len(several) > 1:
        raise E3DError(f"{text} holds several structures; expected one: choose it with --frame")
    return several[0]


def _from_frames(
    path: Path, elements: Sequence[str], charge: int, frame: int | None, kind: Kind | None
) -> Iterator[Structure | E3DError]:
    for label, item in _labelled(path, frame):
        try:
            if isinstance(item, E3DError):
                raise item
            yield structure(label, item, elements=elements, charge=charge, kind=kind)
        except E3DError as error:
            yield error


def _labelled(path: Path, frame: int | None) -> Iterator[tuple[str, Frame | E3DError]]:
    """Frames with the names they have in reports; of one alone, the name of the file."""
    if frame is not None:
        found = list(frames(path))
        if not -len(found) <= frame < len(found):
            raise E3DError(f"{path} has {len(found)} frames, counted from 0; there is no {frame}")
        yield (f"{path}[{frame % len(found)}]" if len(found) > 1 else str(path)), found[frame]
        return
    rest = iter(frames(path))
    first = list(islice(rest, 2))
    for k, item in enumerate(chain(first, rest)):
        yield (f"{path}[{k}]" if len(first) > 1 else str(path)), item


def _from_lines(
    source: str, lines: Iterable[str], options: dict
) -> Iterator[Structure | E3DError]:  # fmt: skip
    """One structure for each line that is neither empty nor a comment."""
    found = 0
    for number, line in enumerate(lines, start=1):
        smiles, *title = line.split(maxsplit=1)[:2] if line.strip() else [""]
        if not smiles or smiles.startswith("#") or (number == 1 and smiles.lower() == "smiles"):
            continue
        found += 1
        try:
            yield from_smiles(smiles, name="".join(title).strip(), **options)
        except E3DError as error:
            yield E3DError(f"{source}, line {number}: {error}")
    if not found:
        yield E3DError(f"{source} holds no SMILES")


def _path(text: str) -> Path | None:
    """The file that an argument names, None when it is a SMILES.

    A name without suffix or folder that is also a valid SMILES is the SMILES.
    """
    path = Path(text)
    if is_file(text):
        return None if path.name == text and not path.suffix and _parses(text) else path
    if _parses(text) or not _looks_like_a_file(path):
        return None
    return path


def is_file(text: str) -> bool:
    """Whether a file of this name exists; no text is too long for the question, or too strange."""
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # longer than a name may be; with a null character
        return False


def _parses(text: str) -> bool:
    with rdBase.BlockLogs():
        found = Chem.MolFromSmiles(text, sanitize=False)
    return found is not None and found.GetNumAtoms() > 0


def _looks_like_a_file(path: Path) -> bool:
    from ase.io.formats import extension2format, ioformats

    name = path.with_suffix("").name if path.suffix == ".gz" else path.name
    suffix = Path(name).suffix.lower().removeprefix(".")
    known = suffix in extension2format or suffix in TABLES or f".{suffix}" in LISTS
    return known or any(fnmatch(name, glob) for f in ioformats.values() for glob in f.globs)
