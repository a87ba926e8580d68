"""Statistics of pair energies over many conformations, for the E3D map; shares by separation."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

import numpy as np
import pandas as pd

from e3d.chemistry.topology import APART_COLUMNS
from e3d.data.left_out import LeftOut
from e3d.data.molecule import Molecule, conformations
from e3d.data.rules import FOREIGN, NOT_FINITE
from e3d.decomposition import edges, pair_labels
from e3d.decomposition.forward import Forward
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.errors import E3DError
from e3d.models import batches as batches_
from e3d.models.allegro import Model
from e3d.models.batches import Batch
from e3d.statistics import intervals

#: Conformations whose pairs are held in memory at a time.
BLOCK = 512
#: Why molecules and conformations are left out.
NO_LABELS, FLAWED = "SMILES that does not fit the atoms", "energy that cannot be decomposed"
#: A molecule and the labels of all its pairs of atoms, see `pair_labels`.
_Labelled: TypeAlias = tuple[Molecule, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Settings:
    """Widths of the bins of the E3D map, in Å and eV, and the most edges in a batch (None: as
    `batches` does)."""

    length_step: float = 0.05
    energy_step: float = 0.1
    max_edges: int | None = None


def summarise(
    model: Model,
    molecules: Iterable[Molecule],
    *,
    length_step: float = 0.05,
    energy_step: float = 0.1,
) -> PairStatistics:
    """Statistics of all conformations of some molecules; bins of length_step Å, energy_step eV.

    Raises E3DError as `edges.decompose` does, and for a molecule whose SMILES has other atoms.
    """
    (total,) = summarise_all([model], molecules, Settings(length_step, energy_step))
    for reason in total.left_out.reasons.values():
        raise E3DError(f"molecule {reason.first[0]}")
    return total


def summarise_all(
    models: Sequence[Model],
    molecules: Iterable[Molecule],
    settings: Settings,
    forwards: Sequence[Forward] | None = None,
) -> list[PairStatistics]:
    """Statistics of each model; what it cannot decompose is counted and named in `left_out`.

    Models of the same `kind` share the graphs. forwards: of each model, see `decompose_batches`.
    """
    totals = [PairStatistics() for _ in models]
    used: list[set[str]] = [set() for _ in models]
    notes = [_Notes() for _ in models]
    kinds: dict[Hashable, list[int]] = {}
    for k, model in enumerate(models):
        kinds.setdefault(batches_.kind(model), []).append(k)
    for block in _blocks(molecules):
        labelled = list(_labelled(block, notes))
        for members in kinds.values():
            first = models[members[0]]
            known = list(_known(labelled, first, [notes[k] for k in members]))
            structures = conformations(molecule for molecule, _ in known)
            graphs: Iterable[Batch] = batches_.batches(
                first, structures, max_edges=settings.max_edges
            )
            graphs = list(graphs) if len(members) > 1 else graphs
            for k in members:
                forward = forwards[k] if forwards else None
                totals[k] += _statistics(
                    models[k], forward, known, graphs, settings, used[k], notes[k]
                )
    return [
        replace(total, n_molecules=len(names), left_out=own.left_out)
        for total, names, own in zip(totals, used, notes, strict=True)
    ]


class _Notes:
    """What one model leaves out; pieces of a molecule, which follow each other, count as one."""

    def __init__(self) -> None:
        self.left_out = LeftOut()
        self._last: dict[str, str] = {}

    def add(self, reason: str, name: str, n_conformations: int, cause: str = "") -> None:
        if self._last.get(reason) == name:
            self.left_out.reasons[reason].n_conformations += n_conformations
        else:
            self.left_out.add(reason, name, n_conformations, cause)
        self._last[reason] = name


def _blocks(molecules: Iterable[Molecule]) -> Iterator[list[Molecule]]:
    """Blocks of about `BLOCK` conformations; a molecule with more of them is divided."""
    block: list[Molecule] = []
    for molecule in molecules:
        for rows in np.split(np.arange(len(molecule)), range(BLOCK, len(molecule), BLOCK)):
            block.append(molecule.select(rows))
            if sum(map(len, block)) >= BLOCK:
                yield block
                block = []
    if block:
        yield block


def _labelled(block: Iterable[Molecule], notes: Sequence[_Notes]) -> Iterator[_Labelled]:
    """Molecules with the labels of their pairs, without conformations that have no place."""
    for molecule in block:
        finite = np.isfinite(molecule.positions).all(axis=(1, 2))
        try:
            if finite.any():
                yield molecule.select(finite), pair_labels.labels(molecule)
        except E3DError as error:
            for own in notes:
                own.add(NO_LABELS, molecule.name, len(molecule), str(error))
            continue
        for own in notes:
            if not finite.all():
                own.add(NOT_FINITE, molecule.name, int((~finite).sum()))


def _known(
    labelled: Iterable[_Labelled], model: Model, notes: Sequence[_Notes]
) -> Iterator[_Labelled]:
    """Molecules whose elements a model knows."""
    for molecule, labels in labelled:
        if foreign := sorted(set(molecule.symbols) - set(model.type_names)):
            for own in notes:
                own.add(FOREIGN, molecule.name, len(molecule), ", ".join(foreign))
        else:
            yield molecule, labels


def _statistics(
    model: Model,
    forward: Forward | None,
    labelled: Iterable[_Labelled],
    graphs: Iterable[Batch],
    settings: Settings,
    used: set[str],
    notes: _Notes,
) -> PairStatistics:
    """Statistics of one model and one block; names of the molecules decomposed go into `used`, and
    what cannot be decomposed into `notes`."""
    decompositions = edges.decompose_batches(model, graphs, forward=forward, strict=False)
    tables, errors = [], []
    for molecule, labels in labelled:
        good = []
        for decomposition in islice(decompositions, len(molecule)):
            if problem := edges.flaw(decomposition, model):
                notes.add(FLAWED, molecule.name, 1, problem)
            else:
                good.append(decomposition)
        if good:
            used.add(molecule.name)
            tables.append(pair_labels.table(labels, good))
            errors += [abs(d.sum_rule_error) / len(d.atomic_energies) for d in good]
    if not tables:
        return PairStatistics()
    part = PairStatistics.of_pairs(
        pd.concat(tables, ignore_index=True),
        length_step=settings.length_step,
        energy_step=settings.energy_step,
    )
    return replace(part, n_conformations=len(errors), sum_rule_error=max(errors))


def ensemble_of(run: str) -> str:
    """Name of a run without its seed: `finetuned-s0` belongs to `finetuned`."""
    return re.sub(r"-s\d+$", "", run)


def topological_shares(
    molecules: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Share of the binding energy on pairs 1, 2, 3, … bonds apart, by ensemble of models.

    molecules: the molecule table of one data set. A share is signed, Σε of these pairs over Σε of
    all, both summed over the molecules, and averaged over the seeds. Diatomic molecules are left
    out: their one pair is a bond. Columns: ensemble, apart, share, low, high (95 % interval over
    molecules), seed_std (None for one seed), n_molecules, n_runs.
    """
    rows = []
    larger = molecules[molecules["n_atoms"] > 2]
    for ensemble, own in larger.groupby(larger["run"].map(ensemble_of), sort=False):
        sums = own.pivot_table(index="molecule", columns="run", values=list(APART_COLUMNS))
        # (n_molecules, distances, runs)
        values = np.stack([sums[name].to_numpy() for name in APART_COLUMNS], axis=1)
        n_molecules, _, n_runs = values.shape
        by_run = _shares_of(values.sum(axis=0))
        drawn = np.random.default_rng(seed).multinomial(
            n_molecules, np.full(n_molecules, 1 / n_molecules), size=n_resamples
        )  # how often each molecule is in each resample
        resampled = _shares_of(np.tensordot(drawn, values, axes=1)).mean(axis=-1)
        for k, name in enumerate(APART_COLUMNS):
            found = intervals.interval(float(by_run[k].mean()), resampled[:, k], n_molecules)
            rows.append(
                {"ensemble": ensemble, "apart": name, "share": found["value"],
                 "low": found["low"], "high": found["high"],
                 "seed_std": by_run[k].std(ddof=1) if n_runs > 1 else None,
                 "n_molecules": n_molecules, "n_runs": n_runs}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _shares_of(sums: np.ndarray) -> np.ndarray:
    """Σε by distance over Σε of all; sums (…, distances, runs) in eV."""
    return sums / sums.sum(axis=-2, keepdims=True)
