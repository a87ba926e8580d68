"""BSE49 as a test: what models make of the bonds that its reactions break.

See `scoring` for what a score is. The data set is not part of the project; without a copy of it
there is no such test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from e3d import files
from e3d.assess.cache import Cache
from e3d.assess.networks import Network
from e3d.assess.scoring import MIN_MOLECULES, STATISTICS, Score, against, score
from e3d.assess.sources import NULLS, Sources
from e3d.bde.bse49 import matching, source
from e3d.bde.bse49.matching import Broken
from e3d.decomposition.tables import edge_tables
from e3d.models.additive import Additive
from e3d.models.allegro import Model
from e3d.models.pair import PairPotential
from e3d.statistics import ranks
from e3d.units import KCAL_PER_MOL_PER_EV

#: One of so many reactions is taken, so that the test takes a minute.
EVERY = 4
#: What is compared with the energy of a reaction, and how it is called in a report.
KINDS = {"bare": "bare", "dressed": "dressed", "fragment": "E(A) + E(B) − E(AB)"}
REFERENCE = "reference_kcal_per_mol"
_TEST = "BSE49 bond separations"
#: The modules that decide, besides those of every piece, what is in one of this test.
_CODE = [files.sha256(module) for module in (__file__, matching.__file__)]


@dataclass(frozen=True)
class Reactions:
    """Reactions whose broken bond is known, of those drawn; digest: of the copy of BSE49."""

    broken: list[Broken]
    n_drawn: int
    digest: str


def load(
    given: str | Path | None, elements: frozenset[str], *, progress: bool = False
) -> Reactions | None:
    """Reactions of molecules of `elements`; None where there is no copy of BSE49.

    given: a folder or .tar.gz; without it that in the environment variable `E3D_BSE49`, and without
    that what `notebooks/make/bse49_scores.ipynb` has downloaded. Nothing is downloaded here.

    Raises E3DError when a copy cannot be read or is of another version.
    """
    path = str(given or os.environ.get(source.SOURCE_VARIABLE, ""))
    if not path and not source.CACHE.exists():
        return None
    contents = source.obtain(path, url=source.URL, cache=source.CACHE, sha256=source.SHA256)
    drawn = source.read_separations(contents)[::EVERY]
    broken, _ = matching.match_all(contents, drawn, sorted(elements), progress=progress)
    return Reactions(broken, len(drawn), source.SHA256)


def table(
    reactions: Reactions, networks: Sequence[Network], cache: Cache, *,
    additive: Additive | None, pair: PairPotential | None, progress: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """One row per reaction: smiles, class, `REFERENCE`, energies in kcal/mol, positive if bound.

    Of each network `bare:<name>`, `dressed:<name>` and `fragment:<name>`, what is in the cache not
    computed again, and those of `matching.of_nulls`.
    """
    found = reactions.broken
    names = [broken.whole.name for broken in found]
    rows = matching.identities(found)
    with tqdm(networks, unit="model", desc="BSE49", disable=not progress) as bar:
        for network in bar:
            part = cache.get(
                lambda network=network: _energies(found, network.model).reset_index(),  # type: ignore[misc]
                "BSE49", _CODE, network.digest, reactions.digest, *names,
            ).set_index("reaction")  # fmt: skip
            columns = {kind: f"{kind}:{network.name}" for kind in KINDS}
            rows = rows.join(part[list(KINDS)].rename(columns=columns))
    lengths = _bonds(found)
    nulls = matching.of_nulls(found, lengths, additive, pair)
    return rows.join(nulls).reset_index()


def _bonds(found: Sequence[Broken]) -> pd.DataFrame:
    """The bonds that the reactions may mean: molecule, i, j, class, length_A."""
    rows = []
    for broken in found:
        positions = broken.whole.positions[0]
        for i, j in broken.pairs:
            length = float(np.linalg.norm(positions[i] - positions[j]))
            rows.append((broken.whole.name, i, j, broken.bond_class, length))
    return pd.DataFrame(rows, columns=["molecule", "i", "j", "class", "length_A"])


def _energies(found: Sequence[Broken], model: Model) -> pd.DataFrame:
    """By reaction: bare, dressed and fragment of one model, kcal/mol, positive when bound."""
    wholes = [broken.whole for broken in found]
    zero = dict.fromkeys({symbol for whole in wholes for symbol in whole.symbols}, 0.0)
    bonds, sums = edge_tables({"own": model}, wholes, atomic_energies=zero)
    energies = matching.of_broken_bonds(bonds, found).loc[[whole.name for whole in wholes]]
    of_whole = sums.set_index("molecule")["model_eV"].loc[energies.index]
    fragments = matching.binding_energies(found, model) - of_whole
    own = energies[["bare:own", "dressed:own"]].assign(fragment=fragments)
    own = own.rename(columns={"bare:own": "bare", "dressed:own": "dressed"})
    return (own * KCAL_PER_MOL_PER_EV).rename_axis("reaction")


def scores(
    reactions: Reactions, rows: pd.DataFrame, sources: Sources, options: Mapping[str, Any]
) -> Iterator[Score]:
    """Scores of all sources on the rows of `table`; options: n_resamples and seed."""
    of = reactions.n_drawn
    counts = rows.groupby("class")["smiles"].transform("nunique")
    for kind, text in KINDS.items():
        own, columns, seeds = _with_sources(rows, sources, kind)
        for quantity, (statistic, unit, better) in STATISTICS.items():
            found = against(own, REFERENCE, statistic, columns, seeds, options)
            yield score(_TEST, quantity, text, unit, better, of, found)
        large = own[counts >= MIN_MOLECULES]
        # the additive null has one value per class, hence no rank within it
        ranked = {name: column for name, column in columns.items() if name != "additive"}
        found = against(large, REFERENCE, ranks.within_class_spearman, ranked, seeds, options,
                        within="class")  # fmt: skip
        yield score(_TEST, "rank correlation within classes", text, "", "high", of, found)


def _with_sources(
    rows: pd.DataFrame, sources: Sources, kind: str
) -> tuple[pd.DataFrame, dict[str, str], dict[str, list[str]]]:
    """The rows with a column of every source, its name, and the columns of seeds of groups.

    Null models are read bare, as in the other tests, where `kind` is dressed.
    """
    values: dict[str, pd.Series] = {}
    seeds: dict[str, list[str]] = {}
    for group in sources.groups:
        columns = [f"{kind}:{run}" for run in group.runs]
        values[group.name] = rows[columns].mean(axis=1)
        if len(columns) > 1:
            seeds[group.name] = columns
    of_nulls = "bare" if kind == "dressed" else kind
    for null in NULLS:
        if runs := sources.null_runs.get(null, ()):
            scaled = [sources.factors.get(run, 1.0) * rows[f"{of_nulls}:{run}"] for run in runs]
            values[null] = pd.concat(scaled, axis=1).mean(axis=1)
        elif f"{of_nulls}:{null}" in rows:
            values[null] = rows[f"{of_nulls}:{null}"]
    names = {name: f"source:{name}" for name in values}
    return rows.assign(**{names[n]: v for n, v in values.items()}), names, seeds
