"""The null `readout`: a network of random weights, of which only the last layer is trained.

Everything up to the last layer of the readout keeps its random weights: a fixed, chemically blind
description of each edge. The energy is linear in the weights of the last layer, which ridge
regression fits to the binding energies of the same labels. Unlike `untrained`, whose one factor may
have either sign, it is on the scale of the labels and has seen them; unlike a trained network it
has learned no features.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from sklearn.linear_model import Ridge

from e3d import files
from e3d.data.molecule import Molecule, conformations
from e3d.errors import E3DError
from e3d.models.allegro import Model, load_model, untrained
from e3d.models.batches import CPU_BATCH, batched, transforms
from e3d.models.fitted import read_fitted
from e3d.parallel import map_ordered


class RandomFeatures(NamedTuple):
    """A network of fresh random weights with a fitted last layer; `load` makes a model of it.

    checkpoint: folder whose architecture it has; seed: of the random weights; weights: of the last
    layer; penalty: of the ridge regression; rmse_meV_per_atom: of the fit.
    """

    checkpoint: str
    seed: int
    weights: tuple[float, ...]
    penalty: float
    rmse_meV_per_atom: float

    def load(self) -> Model:
        """The model. Raises E3DError as `load_model` does, and for another number of weights."""
        model = untrained(load_model(self.checkpoint), seed=self.seed)
        layer = _last_layer(_energy_network(model))
        if layer.weight.numel() != len(self.weights):
            raise E3DError(
                f"the last layer of {self.checkpoint} has {layer.weight.numel()} weights, "
                f"{len(self.weights)} were fitted; was the checkpoint trained anew? Run the stage "
                "`decomposition` again"
            )
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(self.weights).view_as(layer.weight))
        return model


def fit_random_features(
    checkpoint: str,
    seed: int,
    training: Sequence[Molecule],
    validation: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    penalties: Sequence[float],
) -> RandomFeatures:
    """Ridge regression of binding energies per atom on the random features of a network.

    Every conformation of the molecules counts once. atomic_energies: μ in eV by element symbol;
    penalties: relative to the mean square of the features; of these the one with the smallest error
    on the validation conformations is used. Raises E3DError without training or validation
    conformations, and as `load_model` does.
    """
    model = untrained(load_model(checkpoint), seed=seed)
    (x, y), (x_check, y_check) = (
        _design(model, molecules, atomic_energies) for molecules in (training, validation)
    )
    scale = float((x**2).sum(axis=0).mean())
    fits = [Ridge(p * scale, fit_intercept=False, solver="svd").fit(x, y) for p in penalties]
    best = min(fits, key=lambda fit: float(((fit.predict(x_check) - y_check) ** 2).mean()))
    rmse = 1000 * float(np.sqrt(np.mean((best.predict(x) - y) ** 2)))
    return RandomFeatures(
        str(checkpoint), seed, tuple(best.coef_.tolist()), best.alpha / scale, rmse
    )


def fit_networks(
    networks: Mapping[str, tuple[str, int]],
    training: Sequence[Molecule],
    validation: Sequence[Molecule],
    atomic_energies: Mapping[str, float],
    *,
    penalties: Sequence[float],
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, RandomFeatures]:
    """`fit_random_features` of several networks, checkpoint and seed by name, in parallel."""
    fit = partial(
        _fit_network, training=training, validation=validation, atomic_energies=atomic_energies,
        penalties=penalties,
    )  # fmt: skip
    found = map_ordered(
        fit, list(networks.values()), unit="network", n_workers=n_workers, progress=progress
    )
    return dict(zip(networks, found, strict=True))


def _fit_network(network: tuple[str, int], **options: Any) -> RandomFeatures:
    return fit_random_features(*network, **options)


def energy_features(
    model: Model, structures: Iterable[Atoms]
) -> Float[np.ndarray, "n_structures n_features"]:
    """Derivatives of the energies, in eV, with respect to the weights of the last layer.

    An energy is these times the weights, plus Σ μ, whatever the weights.
    """
    prepare, remaining = transforms(model), iter(structures)
    chunks = iter(lambda: list(islice(remaining, CPU_BATCH)), [])
    return np.concatenate([part for chunk in chunks for part in _of_chunk(model, prepare, chunk)])


def _of_chunk(model: Model, prepare: list[Any], chunk: list[Atoms]) -> Iterator[np.ndarray]:
    from nequip.data import AtomicDataDict as Keys

    network: Any = _energy_network(model)
    layer, seen = _last_layer(network), {}

    def keep(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen["inputs"], seen["output"] = inputs[0], output

    hook = layer.register_forward_hook(keep)
    try:
        batch = batched(model, prepare, chunk)
        fields: Any = model.module.model_input_fields
        out = network({key: batch[key] for key in fields if key in batch})
        # the energy is linear in the raw edge energies, with factors of scale and neighbour number
        (factors,) = torch.autograd.grad(out[Keys.TOTAL_ENERGY_KEY].sum(), seen["output"])
    finally:
        hook.remove()
    rows = factors.double() * layer.alpha.double() * seen["inputs"].detach().double()
    frames = batch[Keys.BATCH_KEY][out[Keys.EDGE_INDEX_KEY][0]]
    sums = rows.new_zeros(len(chunk), rows.shape[1]).index_add_(0, frames, rows)
    yield sums.cpu().numpy()


def _energy_network(model: Model) -> torch.nn.Module:
    """The part of the model that maps positions to energies, without derivatives."""
    for child in model.module.modules():
        if hasattr(child, "edge_readout") and hasattr(child, "per_type_energy_scale_shift"):
            return child
    raise E3DError(f"model {model.name} has no readout of edges; expected an Allegro model")


def _last_layer(network: Any) -> Any:
    return network.edge_readout.mlp_module.mlp[-1]


def _design(
    model: Model, molecules: Sequence[Molecule], atomic_energies: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Features and binding energies (eV), both per atom, of all conformations."""
    if not sum(map(len, molecules)):
        raise E3DError("the null `readout` needs a training and a validation conformation")
    structures = conformations(molecules)
    sizes = np.concatenate([np.full(len(m), len(m.atomic_numbers)) for m in molecules])
    energies = np.concatenate([m.binding_energies(atomic_energies) for m in molecules])
    return energy_features(model, structures) / sizes[:, None], energies / sizes


def write_random_features(path: str | Path, fitted: Mapping[str, RandomFeatures]) -> None:
    """Write fitted networks by name, in full precision; `read_random_features` reads them."""
    content = {name: found._asdict() for name, found in fitted.items()}
    with files.replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False) + "\n")


def read_random_features(path: str | Path) -> dict[str, RandomFeatures]:
    """What `write_random_features` wrote. Raises E3DError when it is missing or damaged."""

    def decode(content: Any) -> dict[str, RandomFeatures]:
        found = {
            str(name): RandomFeatures(**(entry | {"weights": tuple(map(float, entry["weights"]))}))
            for name, entry in content.items()
        }
        if not all(math.isfinite(w) for entry in found.values() for w in entry.weights):
            raise ValueError("a weight is not finite")
        return found

    return read_fitted(Path(path), decode, stage="decomposition")
