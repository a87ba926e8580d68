"""The forward pass compiled for this machine, several times as fast, and compared with eager."""

from __future__ import annotations

import sys
from typing import Any

import torch
from ase import Atoms

from e3d.decomposition.forward import Network, edge_energies, energy_network
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model
from e3d.models.checkpoint import one_line
from e3d.models.compiled import CompiledAllegro

#: Conformations from which on compiling, which takes about a minute, is worth its time.
WORTHWHILE = 50_000
#: Largest difference of an edge energy in eV from that of the eager network, by precision.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 5e-5}


class Compiled:
    """`energy_network(model)`, compiled for any sizes; every edge of its first batch is compared.

    Raises E3DError when it cannot be compiled, and when an edge energy differs from the eager one.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.network, self.compared = model, energy_network(model), False
        if isinstance(model.module, CompiledAllegro):
            raise E3DError(f"{model.name} is compiled already")
        import torch._inductor.config as options

        options.compile_threads = 1  # no processes of its own
        self._function: Any = torch.compile(self.network, dynamic=True)

    def __call__(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if inputs["edge_index"].shape[1] < 2 or len(inputs["num_atoms"]) < 2:
            return self.network(inputs)  # sizes of 0 and 1 would be compiled anew
        try:
            out = self._function(dict(inputs))
        except Exception as error:  # compilers raise whatever they meet
            cause = one_line(error)[:300]
            raise E3DError(
                f"{self.model.name} cannot be compiled: {cause}; use --compile no"
            ) from error
        if not self.compared:
            compare(self.model, self.network, inputs, out)
            self.compared = True
        return out


def compare(
    model: Model, network: Network, inputs: dict[str, torch.Tensor], out: dict[str, torch.Tensor]
) -> None:
    """Raise E3DError unless all edge energies in `out` are those of the eager network."""
    expected, found = (edge_energies(network, each) for each in (network(dict(inputs)), out))
    error = float((found - expected).abs().max())
    if not error <= TOLERANCE.get(model.dtype, 5e-5):
        raise E3DError(
            f"an edge energy of {model.name} is another one when compiled, by {error:.1e} eV; "
            "use the eager network, --compile no"
        )


def example(model: Model) -> dict[str, torch.Tensor]:
    """A batch that depends on the model alone: chains of its elements. No two sizes are equal, so
    that what is compiled for it does not take them to be the same."""
    names = model.type_names
    chains = [
        Atoms(
            [names[(k + n) % len(names)] for k in range(n)],
            [(1.2 * k, 0.4 * (k % 2), 0.3 * (k % 3)) for k in range(n)],
        )
        for n in (5, 6, 8)
    ]
    (batch,) = batches.batches(model, chains, len(chains))
    fields: Any = model.module.model_input_fields
    return {key: batch[key] for key in fields if key in batch}


def forward_of(model: Model) -> Compiled:
    """The compiled network. It is compiled for `example`, in every process alike, so that all get
    the same last digits. Raises E3DError as `Compiled` does."""
    forward = Compiled(model)
    with torch.no_grad():
        forward(example(model))
    forward.compared = False  # once more with the first batch of the data
    return forward


def decide(wish: str, models: list[Model], n_conformations: int) -> bool:
    """Whether to compile: `yes`, `no`, or `auto`, where it is possible and worth its time.

    Raises E3DError for another wish, and where `yes` is impossible.
    """
    if wish not in ("auto", "yes", "no"):
        raise E3DError(f"--compile {wish}: expected auto, yes or no")
    if wish == "no" or (wish == "auto" and n_conformations < WORTHWHILE):
        return False
    try:
        for model in models:
            forward_of(model)
    except E3DError as error:
        if wish == "yes":
            raise
        print(f"not compiled: {error}", file=sys.stderr)
        return False
    return True
