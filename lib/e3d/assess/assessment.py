"""`assess`: load models, evaluate them and the null networks, and score everything."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import DegenerateDataWarning
from tqdm import tqdm

from e3d import files
from e3d.assess import bse49, decomposition, scoring
from e3d.assess.cache import FOLDER, Cache
from e3d.assess.networks import Network, evaluate
from e3d.assess.sources import RESERVED, Group, Sources, combine
from e3d.assess.standard import Standard, elements_of, load
from e3d.bde.bse49.source import SOURCE_VARIABLE
from e3d.decomposition.maps import ensemble_of
from e3d.errors import E3DError
from e3d.models.allegro import load_model, untrained
from e3d.paths import CHECKPOINTS

#: Seeds of the random weights of the null, none that a model began from.
FRESH = 100
#: kcal/mol per atom of an element beyond which the zero of a model is said to be another.
ZERO_LIMIT = 2.0
_NO_BSE49 = (
    f"there is no copy of BSE49 (--bse49 or the variable {SOURCE_VARIABLE} names one): its test is "
    "left out"
)


@dataclass(frozen=True)
class Assessment:
    """report: what `e3d assess --json` prints; sources, standard: what figures are drawn from."""

    report: dict[str, Any]
    sources: Sources
    standard: Standard


def assess(
    paths: Sequence[str | Path],
    *,
    trust: bool = False,
    bse49_copy: str | Path | None = None,
    cache: str | Path = FOLDER,
    standard: Standard | None = None,
    n_resamples: int = 500,
    progress: bool = False,
) -> Assessment:
    """Score models on the standard tests; an interrupted call resumes.

    paths: checkpoints, see `load_model`. Those that lie in one folder and are named `<name>-s0`,
    `<name>-s1`, … are seeds of one model; any others stand side by side. bse49_copy: see
    `bse49.load`. standard: default, that of this checkout. Raises E3DError for a model that cannot
    be read, the same model twice, models without a common element, and as `standard.load` and
    `bse49.load` do.
    """
    if not paths:
        raise E3DError("expected at least one model; give a checkpoint folder or file")
    names = _names([Path(path) for path in paths])
    networks = [_network(name, path, trust=trust) for name, path in names.items()]
    groups = _groups(names)
    nulls = _null_networks()
    keeper = Cache(cache)
    standard = standard or load(keeper.folder, progress=progress)
    _check(networks, standard)
    everything = [*networks, *(network for part in nulls.values() for network in part)]
    elements = frozenset.intersection(*(network.elements for network in everything))
    reactions = bse49.load(bse49_copy, elements, progress=progress)
    pieces = evaluate(everything, standard, keeper, progress=progress)
    null_runs = {name: [network.name for network in part] for name, part in nulls.items()}
    sources = combine(groups, null_runs, pieces, standard)
    options = {"n_resamples": n_resamples, "seed": 0}
    further: Iterator[scoring.Score] = iter(())
    if reactions is not None and reactions.broken:
        rows = bse49.table(
            reactions, everything, keeper, additive=standard.additive, pair=standard.pair,
            progress=progress,
        )  # fmt: skip
        further = bse49.scores(reactions, rows, sources, options)
    with warnings.catch_warnings():
        # of a source without any error, whose interval rightly has no width
        warnings.simplefilter("ignore", DegenerateDataWarning)
        scores = chain(scoring.against_references(sources, standard, options), further,
                       decomposition.of_decomposition(sources, standard, options))  # fmt: skip
        tests = list(tqdm(scores, unit="score", desc="score", disable=not progress))
    by_name = {network.name: network for network in networks}
    report = {
        "models": [_about(group, names, by_name) for group in groups],
        "nulls": {name: runs for name, runs in null_runs.items() if runs}
        | {name: [] for name in ("additive", "pair") if getattr(standard, name) is not None},
        "warnings": [*_coverage(networks, standard), *_zeros(sources, standard)],
        "missing": [*standard.missing, *([] if reactions is not None else [_NO_BSE49])],
        "tests": tests,
    }
    return Assessment(report, sources, standard)


def _names(paths: list[Path]) -> dict[str, Path]:
    """Names of the models, unlike each other: as much of the path as that needs."""
    resolved = [path.resolve() for path in paths]
    for k, path in enumerate(resolved):
        if path in resolved[:k]:
            raise E3DError(f"{paths[k]} is given twice; give each model once")
    depth = 1
    while True:
        names = ["/".join([*path.parts[1:-1], _stem(path)][-depth:]) for path in resolved]
        if len(set(names)) == len(names) or depth > max(len(path.parts) for path in resolved):
            break
        depth += 1
    if len(set(names)) < len(names):  # a.ckpt beside a.nequip.zip
        names = [path.name for path in resolved]
    return dict(zip(names, paths, strict=True))


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem.removesuffix(".nequip")


def _groups(names: dict[str, Path]) -> list[Group]:
    """Seeds of one model, by the ends of their names, in one folder."""
    members: dict[tuple[Path, str], list[str]] = {}
    for name, path in names.items():
        members.setdefault((path.resolve().parent, ensemble_of(name)), []).append(name)
    named = [
        (ensemble if len(runs) > 1 else runs[0], tuple(runs))
        for (_, ensemble), runs in members.items()
    ]
    return [Group(f"{name} (model)" if name in RESERVED else name, runs) for name, runs in named]


def _network(name: str, path: Path, *, trust: bool) -> Network:
    model = load_model(path, trust=trust)
    return Network(name, model, f"{files.digest(path)} {model.device.type}")


def _null_networks() -> dict[str, list[Network]]:
    """Random weights in the shipped architecture, and the networks trained on shuffled labels."""
    found: dict[str, list[Network]] = {"untrained": [], "shuffled": []}
    for k, folder in enumerate(sorted(CHECKPOINTS.glob("finetuned-s[0-9]"))):
        own = _network(folder.name, folder, trust=False)
        fresh = untrained(own.model, seed=FRESH + k)
        digest = hashlib.sha256(f"{own.digest} fresh {FRESH + k}".encode()).hexdigest()
        found["untrained"].append(Network(f"null: {fresh.name}", fresh, digest))
    for folder in sorted(CHECKPOINTS.glob("shuffled-s[0-9]")):
        own = _network(folder.name, folder, trust=False)
        found["shuffled"].append(Network(f"null: {own.name}", own.model, own.digest))
    return found


def _check(networks: list[Network], standard: Standard) -> None:
    known = frozenset.intersection(*(network.elements for network in networks))
    if not known & set(elements_of(standard.relaxed)):
        raise E3DError(
            "the models have no element of the standard tests in common; assess them one by one"
        )


def _about(group: Group, names: dict[str, Path], networks: dict[str, Network]) -> dict[str, Any]:
    first = networks[group.runs[0]].model
    weights = sum(w.numel() for w in first.module.parameters())
    return {
        "name": group.name,
        "paths": [str(names[run]) for run in group.runs],
        "elements": sorted(set.intersection(*(set(networks[r].elements) for r in group.runs))),
        "cutoff_A": first.cutoff,
        "dtype": str(first.dtype).removeprefix("torch."),
        "n_weights": weights,
    }


def _coverage(networks: list[Network], standard: Standard) -> list[str]:
    """What models do not know of the elements of the tests."""
    wanted = set(elements_of(standard.relaxed))
    lines = [
        f"{network.name} does not know {', '.join(sorted(wanted - network.elements))}"
        for network in networks
        if wanted - network.elements
    ]
    if lines:
        lines.append("every test has only the molecules whose elements all the models know")
    return lines


def _zeros(sources: Sources, standard: Standard) -> list[str]:
    """Models whose zero of energy is not that of the free atoms of the tests."""
    table = scoring.atomisation_table(sources, standard)
    symbols = {m.name: m.symbols for m in standard.labelled}
    size = np.array([len(symbols[name]) for name in table["molecule"]])
    lines = []
    for group in sources.groups:
        moved = (table[f"aligned {group.name}"] - table[f"own {group.name}"]) / size
        if abs(moved.mean()) > ZERO_LIMIT:
            lines.append(
                f"{group.name}: atomisation energies are off by {-moved.mean():+.1f} kcal/mol per "
                "atom on average: its zero is not the energy of free atoms at the level of the "
                "tests, or its energies are poor; bond energies are shifted with them"
            )
    return lines
