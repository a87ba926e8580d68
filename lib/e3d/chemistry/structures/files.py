"""Structure files: their frames, as molecules with the bonds of the file or of the distances."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from ase import Atoms
from rdkit import Chem, rdBase

from e3d.chemistry import bonding
from e3d.chemistry.perception import assign_orders
from e3d.chemistry.structures import plausible, tables
from e3d.chemistry.structures.structure import Structure, check_elements, crystal, molecule
from e3d.errors import E3DError, said

#: How a file with a lattice is read: as one molecule without it, or as a crystal.
Kind = Literal["molecule", "crystal"]
#: What reading a file raises that is damaged, compressed or not.
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error)
_LATTICE, _PBC = re.compile(r"\blattice\s*=", re.I), re.compile(r"\bpbc\s*=", re.I)


class Frame(NamedTuple):
    """Atoms of a file; the bonds it lists, with orders or without; what is said of reading them."""

    atoms: Atoms
    graph: Chem.Mol | None = None
    ordered: bool = False
    notes: tuple[str, ...] = ()


def frames(path: Path) -> Iterator[Frame | E3DError]:
    """All frames, models or records of a file in turn, and the errors of those that are unreadable.

    Raises E3DError when the file does not exist, or its format cannot be read at all.
    """
    if not path.exists():
        raise E3DError(f"{path} does not exist; expected a SMILES or a structure file")
    if path.is_dir():
        raise E3DError(f"{path} is a folder; expected a SMILES or a structure file")
    suffix = Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()
    if suffix in tables.WITH_ORDERS:
        for record in tables.records(str(path), _text(path), suffix):
            if isinstance(record, E3DError):
                yield record
            else:
                yield Frame(tables.atoms_of(record), record, ordered=True)
    elif suffix in (".pdb", ".ent"):
        for block in tables.pdb_blocks(_text(path)):
            for atoms in _ase(path, io.StringIO(block), format="proteindatabank"):
                yield _pdb_frame(atoms, block)
    else:
        notes = _lattice_notes(path) if suffix in (".xyz", ".extxyz") else ()
        for atoms in _ase(path, path):
            yield Frame(atoms, notes=notes if atoms.pbc.any() else ())


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except UNREADABLE as error:
        raise E3DError(f"{path} cannot be read as text ({said(error)})") from error


def _ase(path: Path, source: Any, **options: Any) -> Iterator[Atoms]:
    """Frames that ASE reads, without the empty one that it makes of the end of some files."""
    import ase.io

    found = 0
    try:
        frames_of_ase = iter(ase.io.iread(source, index=":", **options))
        while (atoms := _next(frames_of_ase)) is not None:
            if len(atoms):
                found += 1
                yield atoms
    except Exception as error:  # ASE's readers raise whatever their parsers meet
        cause = " ".join(str(error).split()) or type(error).__name__
        raise E3DError(f"{path} cannot be read as a structure by ASE ({cause})") from error
    if not found:
        raise E3DError(f"{path}: expected at least one atom")


def _next(rest: Iterator[Atoms]) -> Atoms | None:
    """The next frame, without warnings: what is wrong ends in an error, or a check finds it."""
    with warnings.catch_warnings(action="ignore"):
        return next(rest, None)


def _lattice_notes(path: Path) -> tuple[str, ...]:
    """What is said of an extended XYZ file whose lattice may be periodic or a mere box."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as stream:
            head = "".join(islice(stream, 2))
    except UNREADABLE:
        return ()  # said on reading its atoms
    if not _LATTICE.search(head) or _PBC.search(head):
        return ()
    return (
        "it has a lattice and does not say whether it is periodic: read as a crystal, whose bonds "
        "carry no orders; with --molecule the lattice is ignored",
    )


def _pdb_frame(atoms: Atoms, block: str) -> Frame:
    """One model; a cell that its atoms do not fit into is PDB's word for none."""
    notes: tuple[str, ...] = ()
    if atoms.pbc.any() and (atoms.cell.lengths() < 1.5).all():
        sides = " × ".join(f"{side:g}" for side in atoms.cell.lengths())
        atoms.pbc, atoms.cell = False, np.zeros((3, 3))
        notes = (f"its cell of {sides} Å stands for none: read as a molecule",)
    return Frame(atoms, tables.pdb_bonds(block, atoms), notes=notes)


def structure(
    label: str, frame: Frame, *, elements: Sequence[str], charge: int = 0, kind: Kind | None = None
) -> Structure:
    """A frame as a structure: a crystal if it is periodic, unless `kind` says otherwise.

    Bonds and orders are those of the file where it lists them, otherwise they are perceived from
    the distances; charge in e is that of a file without orders.

    Raises E3DError for an element that is not among `elements`, partial occupancies, atoms on top
    of each other, missing hydrogens and drawings in a plane, and positions that may be in bohr.
    """
    atoms = frame.atoms
    if not np.isfinite(atoms.positions).all():
        raise E3DError(f"{label}: expected finite positions")
    check_elements(label, set(atoms.symbols), elements)
    _check_occupancies(label, atoms)
    notes = list(frame.notes)
    if kind == "molecule" and atoms.cell.rank:
        notes = ["its lattice is ignored"]
        if cut := _bonds_across(atoms):
            notes = [f"its lattice is ignored, and with it {cut} bonds across the cell's faces"]
        atoms = atoms.copy()
        atoms.pbc, atoms.cell = False, np.zeros((3, 3))
    elif kind == "crystal":
        if atoms.cell.rank < 3:
            raise E3DError(f"{label}: no crystal, it has no lattice of three vectors")
        atoms = atoms.copy()
        atoms.pbc, notes = True, []
    plausible.check_distances(label, atoms)
    if atoms.pbc.any():
        return crystal(atoms, name=label, notes=notes)
    graph, charge = _graph(label, frame, atoms, charge, notes)
    plausible.check_solid(label, graph)
    for i, j in plausible.too_long(graph)[:1]:
        notes.append(f"the bond {i}-{j} is too long for its order: are atoms missing?")
    return molecule(_smiles(graph), atoms, graph, name=label, charge=charge, notes=notes)


def _graph(
    label: str, frame: Frame, atoms: Atoms, charge: int, notes: list[str]
) -> tuple[Chem.Mol, int]:
    """The bonds of a molecule, and its charge in e; adds to the notes what is to be said."""
    if frame.graph is not None and frame.ordered and frame.graph.GetNumBonds():
        found = tables.sanitized(frame.graph)
        if not isinstance(found, str):
            plausible.check_complete(label, found)
            total = Chem.GetFormalCharge(found)
            if charge not in (0, total):
                raise E3DError(f"{label}: charge {total:+d} by its own bonds, {charge:+d} as given")
            return found, total
        notes.append(f"its bond table is no valid molecule ({found}): bonds are perceived")
    distances = bonding.connected(atoms.numbers, atoms.positions)
    plausible.check_unit(label, atoms, distances)
    limit = int(atoms.numbers.sum())
    if abs(charge) > limit:
        raise E3DError(f"{label}: charge {charge:+d} of {limit} electrons; expected it in e")
    listed = distances if frame.graph is None or frame.ordered else frame.graph
    ordered = assign_orders(listed, charge=charge)
    plausible.check_hydrogens(label, ordered or distances, known=ordered is not None)
    if ordered is not None:
        return ordered, charge
    notes.append(
        "no valences fit its bonds, which carry no orders; is its charge right, are atoms missing?"
    )
    return bonding.without_orders(listed), charge


def _bonds_across(atoms: Atoms) -> int:
    """Number of bonds to atoms of other cells, were the structure periodic."""
    periodic = atoms.copy()
    periodic.pbc = atoms.cell.any(axis=1)
    shifts = crystal(periodic, name="").shifts
    return 0 if shifts is None else int(np.any(shifts, axis=1).sum())


def _check_occupancies(label: str, atoms: Atoms) -> None:
    """Raise E3DError for sites that are occupied in part, in CIF or PDB."""
    sites: dict[str, dict[str, float]] = atoms.info.get("occupancy") or {}
    shares = [(symbol, share) for site in sites.values() for symbol, share in site.items()]
    if atoms.has("occupancy") and atoms.arrays["occupancy"].any():
        shares += list(zip(atoms.symbols, atoms.arrays["occupancy"].tolist(), strict=True))
    partly = [(symbol, share) for symbol, share in shares if abs(share - 1) > 1e-3]
    if partly:
        symbol, share = partly[0]
        raise E3DError(
            f"{label}: {len(partly)} of {len(shares)} sites are occupied in part, the first "
            f"{symbol} with {share:g}; keep one of the alternatives, with occupancy 1"
        )


def _smiles(graph: Chem.Mol) -> str | None:
    """Canonical SMILES of a graph, None where an order is not known."""
    if any(bond.GetBondType() not in bonding.ORDER_SYMBOLS for bond in graph.GetBonds()):
        return None
    with rdBase.BlockLogs():  # such as on hydrogen atoms without neighbours
        return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(graph)))
