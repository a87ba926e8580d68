"""The standard tests: molecules, reference values and null models that every model is scored with.

All of it comes from the project's own files. What has not been pulled or made is left out of the
tests, and `missing` says so; only the data set that everything is read from must be there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from e3d import files
from e3d.bde import bound, references
from e3d.bde.vertical import read_vertical
from e3d.chemistry.bonding import canonical_smiles
from e3d.data import split
from e3d.data.dataset import Dataset, read_molecules
from e3d.data.molecule import Molecule
from e3d.data.writing import write_dataset
from e3d.errors import E3DError
from e3d.labels import fragments
from e3d.models.additive import Additive
from e3d.models.nulls import read_additive, read_pair
from e3d.models.pair import PairPotential
from e3d.paths import DATA, LABELS, RESULTS
from e3d.units import KCAL_PER_MOL_PER_EV

#: DFT labels, of which the first file must be there.
DFT_LABELS = (DATA / "dft-small.h5", LABELS / "dft-organic.h5", LABELS / "dft-minor.h5")
#: Relaxed molecules of which bond orders are told, and parents of further reactions.
FURTHER = LABELS / "bulk.h5"
#: Of the further molecules: the test fold, the parents of reactions, and others at random.
N_FURTHER = 2000
REFERENCES, PARENTS = DATA / "bde_reference.csv", DATA / "reference_molecules.csv"
SPECIES, VERTICAL, NULLS = LABELS / "fragments.xyz", LABELS / "vertical", RESULTS / "nulls" / "dft"
#: Single bonds of which the project has enough fragment BDEs.
CLASSES = ("C-C", "C-H", "C-N", "C-O", "H-N", "H-O")


@dataclass(frozen=True)
class Standard:
    """What models are scored with. Energies of tables in kcal/mol, positive when bound.

    labelled: molecules with DFT labels, all conformations; further: relaxed molecules; zero: μ of
    the DFT labels in eV by element; reactions: as of `references.reaction_table`; broken: fragment
    BDEs, columns molecule, smiles, i, j, class, fragments, reference; complete: bonds of molecules
    all of whose bonds have a D_e, columns molecule, smiles, i, j, class, de, atomisation; vertical:
    as of `read_vertical`, single bonds; additive, pair: null models fitted to the same labels;
    missing: what is not there, in words; digest: of all files that this was read from.
    """

    labelled: list[Molecule]
    further: list[Molecule]
    zero: dict[str, float]
    reactions: pd.DataFrame
    broken: pd.DataFrame
    complete: pd.DataFrame
    vertical: pd.DataFrame
    additive: Additive | None
    pair: PairPotential | None
    missing: list[str] = field(default_factory=list)
    digest: str = ""

    @property
    def relaxed(self) -> list[Molecule]:
        """Relaxed geometries, those with DFT labels first; each name once."""
        own = [m.relaxed for m in self.labelled if _has_relaxed(m)]
        known = {m.name for m in own}
        return own + [m for m in self.further if m.name not in known]

    @property
    def held_out(self) -> list[Molecule]:
        """Molecules with DFT labels on which nothing is trained."""
        return list(split.select(self.labelled, "test", "molecules"))


def _has_relaxed(molecule: Molecule) -> bool:
    return molecule.temperatures is not None and bool((molecule.temperatures == 0).any())


def load(cache: Path, *, n_further: int = N_FURTHER, progress: bool = False) -> Standard:
    """The standard tests from the files of this checkout.

    cache: folder where the drawn further molecules are kept, because reading all of them takes
    long. Raises E3DError when the first file of DFT labels or a reference table is missing, or when
    any file is damaged.
    """
    paths = [path for path in DFT_LABELS[1:] if path.exists()]
    missing = [_lacking(path) for path in DFT_LABELS[1:] if path not in paths]
    labelled, zero = read_molecules([DFT_LABELS[0], *paths])
    parents = pd.read_csv(PARENTS)
    reactions = references.reaction_table(references.read_references(REFERENCES), parents)
    further: list[Molecule] = []
    if FURTHER.exists():
        named = set(parents["smiles"].map(canonical_smiles))
        further = _drawn(cache, named, n_further, progress)
    else:
        missing.append(_lacking(FURTHER))
    broken, complete = _fragments(labelled, zero, reactions, missing)
    used = [DFT_LABELS[0], *paths, REFERENCES, PARENTS, FURTHER, SPECIES, *sorted(NULLS.glob("*")),
            *sorted(VERTICAL.glob("*.csv"))]  # fmt: skip
    return Standard(
        labelled, further, zero, reactions, broken, complete,
        _vertical(missing),
        _null(read_additive, NULLS / "additive.json", missing),
        _null(read_pair, NULLS / "pair.json", missing),
        missing, _digest([n_further], used),
    )  # fmt: skip


def _lacking(path: Path) -> str:
    return f"{path.name} is not there (`make pull` fetches it): its tests are left out"


def _digest(settings: Iterable[object], paths: Iterable[Path]) -> str:
    listing = [*map(str, settings), *(f"{p.name} {files.sha256(p)}" for p in paths if p.exists())]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def _unread(name: str, smiles: str) -> Molecule:
    """A molecule of which only the name and the SMILES have been read."""
    none = np.empty(0)
    return Molecule(name, "", smiles, none, np.empty((0, 0, 3)), none, none, np.empty((0, 0, 3)))


def _drawn(cache: Path, named: set[str], n_further: int, progress: bool) -> list[Molecule]:
    """The further molecules, relaxed; drawn once, and read from the cache afterwards."""
    path = cache / f"further-{_digest([n_further, *sorted(named)], [FURTHER])[:16]}.h5"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with Dataset(FURTHER) as source:
            entries = [
                _unread(name, source.group(name)["smiles"].asstr()[0])
                for name in tqdm(source.names, unit="molecule", desc="draw", disable=not progress)
            ]
            drawn = split.draw(entries, n_further, keep=named)
            chosen = (source[entry.name] for entry in drawn)
            bar = tqdm(chosen, total=len(drawn), unit="molecule", desc="read", disable=not progress)
            write_dataset(
                path, (m.relaxed for m in bar if _has_relaxed(m)),
                level_of_theory="as in the source", atomic_energies=source.atomic_energies(),
                provenance=f"relaxed molecules of {FURTHER.name}",
            )  # fmt: skip
    with Dataset(path) as dataset:
        return list(dataset)


def _fragments(
    labelled: list[Molecule], zero: dict[str, float], reactions: pd.DataFrame, missing: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bonds with fragment BDEs, and the bonds of molecules with a D_e for each of them."""
    keys = ["molecule", "smiles", "i", "j", "class"]
    if not SPECIES.exists():
        missing.append(_lacking(SPECIES))
        empty = pd.DataFrame(columns=[*keys, "fragments", "reference"])
        return empty, pd.DataFrame(columns=[*keys, "de", "atomisation"])
    species = fragments.read_species(SPECIES)
    known = [m for m in labelled if m.canonical_smiles in species.index and _has_relaxed(m)]
    broken = fragments.fragment_bdes_of_bonds(known, CLASSES, species)
    broken = broken.rename(columns={"fragment_bde_kcal_per_mol": "reference"})
    bonds = bound.bonds_to_break(known)
    calculated = bound.fragment_energies(bonds, bound.lowest_states([SPECIES]))
    bonds["de"] = calculated.fillna(bound.literature_energies(bonds, reactions))
    energies = {m.name: float(m.relaxed.binding_energies(zero)[0]) for m in known}
    bonds["atomisation"] = -KCAL_PER_MOL_PER_EV * bonds["molecule"].map(energies)
    return broken, bound.complete(bonds, "de")


def _vertical(missing: list[str]) -> pd.DataFrame:
    """Vertical dissociation energies of single bonds, column `reference`."""
    if not list(VERTICAL.glob("*.csv")):
        missing.append(_lacking(VERTICAL))
        columns = ["molecule", "smiles", "i", "j", "class", "order", "reference"]
        return pd.DataFrame(columns=columns)
    table = read_vertical(VERTICAL).rename(columns={"vertical_kcal_per_mol": "reference"})
    return table[table["order"] == 1].reset_index(drop=True)


def _null(read, path: Path, missing: list[str]):  # type: ignore[no-untyped-def]
    """A fitted null model, None where its file is missing."""
    if path.exists():
        return read(path)
    missing.append(_lacking(path))
    return None


def known_to(molecules: Iterable[Molecule], elements: Iterable[str]) -> list[Molecule]:
    """The molecules whose elements are all among `elements`."""
    known = set(elements)
    return [m for m in molecules if set(m.symbols) <= known]


def elements_of(molecules: Iterable[Molecule]) -> list[str]:
    """Element symbols that occur in the molecules, sorted."""
    found = sorted({symbol for m in molecules for symbol in m.symbols})
    if not found:
        raise E3DError("no molecule in the standard tests; `make pull` fetches the data sets")
    return [str(s) for s in np.array(found)]
