"""Where an ensemble was trained: elements, size, surroundings of bonds, spread over the models.

Surroundings are compared in the last layer of each model, see `latent`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Int

from e3d import files
from e3d.decomposition.edges import bond_energies
from e3d.decomposition.features import edge_features
from e3d.decomposition.latent import (
    QUANTILE,
    Latent,
    directed_pairs,
    fit_latent,
    last_layer,
)
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.paths import RESULTS
from e3d.units import KCAL_PER_MOL_PER_EV

DOMAIN = RESULTS / "domain.npz"


@dataclass(frozen=True)
class Domain:
    """What an ensemble was trained on, and where it was tested.

    models: SHA-256 of weights (`fingerprint`) → the model's bonds; heavy_atoms: of the largest
    molecule; n_molecules, of training and held out; spread_kcal_per_mol: standard deviation of −ε
    over the models that `QUANTILE` of the held-out molecules stay below with all their bonds.
    """

    models: dict[str, Latent]
    elements: tuple[str, ...]
    heavy_atoms: int
    n_molecules: int
    n_held_out: int
    spread_kcal_per_mol: float


def fingerprint(model: Model) -> str:
    """SHA-256 of a model's weights, by which files about it know it again."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def fit(
    models: Sequence[Model],
    trained: Sequence[tuple[Atoms, np.ndarray]],
    held_out: Sequence[tuple[Atoms, np.ndarray]],
) -> Domain:
    """The domain of an ensemble, from molecules with their bonds (n_bonds, 2).

    trained: molecules that the models, or those that they began from, were trained on; held_out:
    molecules that they were not.

    Raises E3DError when either is empty.
    """
    if not trained or not held_out:
        raise E3DError(
            f"expected molecules of training and held-out ones, got {len(trained)} and "
            f"{len(held_out)}"
        )
    latents, energies = {}, []
    for model in models:
        rows, names, of_model = [], [], []
        everything = [*trained, *held_out]
        edges = edge_features(model, [atoms for atoms, _ in everything])
        for found, (atoms, bonds) in zip(edges, everything, strict=True):
            rows.append(last_layer(found, bonds))
            names.append(directed_pairs(atoms.numbers, bonds))
            of_model.append(bond_energies(found.decomposition, bonds))
        n = len(trained)
        latents[fingerprint(model)] = fit_latent(rows[:n], names[:n], rows[n:], names[n:])
        energies.append(of_model[n:])
    spreads = [
        np.std(of_one, axis=0, ddof=1).max() if len(models) > 1 else np.nan
        for of_one in zip(*energies, strict=True)
    ]
    numbers = [atoms.numbers for atoms, _ in trained]
    return Domain(
        models=latents,
        elements=tuple(chemical_symbols[z] for z in np.unique(np.concatenate(numbers))),
        heavy_atoms=max(map(_heavy, numbers)),
        n_molecules=len(trained),
        n_held_out=len(held_out),
        spread_kcal_per_mol=float(np.quantile(spreads, QUANTILE)) * KCAL_PER_MOL_PER_EV,
    )


def _heavy(numbers: Int[np.ndarray, " n_atoms"]) -> int:
    """Number of atoms besides hydrogen."""
    return int((numbers > 1).sum())


def write(path: str | Path, domain: Domain) -> None:
    """Write a domain as a NumPy archive of float32, without pickle. Raises WriteError."""
    facts = {
        key: getattr(domain, key)
        for key in ("elements", "heavy_atoms", "n_molecules", "n_held_out", "spread_kcal_per_mol")
    }
    facts["thresholds"] = {key: latent.threshold for key, latent in domain.models.items()}
    facts["pairs"] = {key: list(latent.means) for key, latent in domain.models.items()}
    arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts))}
    for key, latent in domain.models.items():
        arrays[f"{key}.means"] = np.stack(list(latent.means.values())).astype(np.float32)
        arrays[f"{key}.whitening"] = latent.whitening.astype(np.float32)
    with files.replacing(path) as new, open(new, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read(path: Path = DOMAIN) -> Domain | None:
    """A domain that `write` wrote, None where there is no such file.

    Raises E3DError for another file.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            facts: Mapping[str, Any] = json.loads(str(arrays["facts"]))
            models = {
                key: Latent(
                    dict(zip(facts["pairs"][key], arrays[f"{key}.means"], strict=True)),
                    arrays[f"{key}.whitening"],
                    facts["thresholds"][key],
                )
                for key in facts["thresholds"]
            }
        return Domain(
            models, tuple(facts["elements"]), facts["heavy_atoms"], facts["n_molecules"],
            facts["n_held_out"], facts["spread_kcal_per_mol"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise E3DError(
            f"{path} is no description of a training domain ({error}); make it again"
        ) from error


def training_molecules(
    paths: Iterable[str | Path], *, most: int, seed: int = 0
) -> tuple[list[tuple[Atoms, np.ndarray]], list[tuple[Atoms, np.ndarray]]]:
    """Relaxed molecules of data sets with their bonds: of the training fold, and held out.

    At most `most` of each data set, drawn at random, and its largest. Molecules that occur in
    several sets are taken from the first. Raises E3DError as `Dataset` does.
    """
    from e3d.chemistry import bonding
    from e3d.data.dataset import Dataset
    from e3d.data.split import fold

    trained: list[tuple[Atoms, np.ndarray]] = []
    held_out: list[tuple[Atoms, np.ndarray]] = []
    seen = set()
    for path in paths:
        with Dataset(path) as dataset:
            molecules = list(dataset.relaxed())
        chosen = {*np.random.default_rng(seed).permutation(len(molecules))[:most].tolist()}
        known = [k for k, one in enumerate(molecules) if fold(one.canonical_smiles) == "train"]
        chosen |= {*sorted(known, key=lambda k: _heavy(molecules[k].atomic_numbers))[-1:]}
        for molecule in (molecules[k] for k in sorted(chosen)):
            if (smiles := molecule.canonical_smiles) not in seen and len(molecule.bond_classes):
                seen.add(smiles)
                pairs = bonding.bond_pairs(bonding.from_mapped_smiles(molecule.smiles))
                entry = (Atoms(molecule.atomic_numbers, molecule.positions[0]), pairs)
                (trained if fold(smiles) == "train" else held_out).append(entry)
    return trained, held_out
