"""Compiled Allegro models (`.nequip.pt2` of nequip-compile) that return their edge energies.

A compiled file is a function from fixed inputs to fixed outputs. The raw edge energies e_ij must be
among these (`nequip-compile --output-fields edge_energy …`); the constants that scale and shift
them are not stored as such, but follow exactly from E_i = c_t Σ_j e_ij + μ_t on a few dimers.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from e3d.errors import E3DError

#: What a file must take and return, as nequip-compile spells it.
INPUTS = ("pos", "edge_index", "atom_types", "cell", "edge_cell_shift")
OUTPUTS = ("edge_energy", "atomic_energy", "total_energy", "forces")
_OPTIONS = (
    f"--num-frames static --input-fields {' '.join(INPUTS)} --output-fields {' '.join(OUTPUTS)}"
)
#: Lengths of the dimers that the constants are read from, as fractions of the cutoff.
_STRETCHES = (0.25, 0.3, 0.4, 0.5)
#: Largest relative deviation of an atom's energy from the line, by precision.
_LINEARITY = {torch.float64: 1e-9, torch.float32: 1e-5}


def load_compiled(path: Path, device: str | torch.device) -> CompiledAllegro:
    """Load a compiled file. Raises E3DError when its edges have no energies."""
    from nequip.model.inference_models import load_compiled_model

    function, metadata = load_compiled_model(str(path), device)
    inputs, outputs = tuple(function.input_keys), tuple(function.output_keys)
    if lacking := [name for name in OUTPUTS if name not in outputs]:
        raise E3DError(
            f"{path} returns {', '.join(outputs)} but not {lacking[0]}, and what a compiled file "
            "does not return cannot be read from it; give the checkpoint or package that it was "
            f"compiled from, or compile that with {_OPTIONS}"
        )
    if set(inputs) != set(INPUTS):
        raise E3DError(
            f"{path} was compiled for the inputs {', '.join(inputs)}, expected those of one "
            f"structure: {', '.join(INPUTS)}; compile it with {_OPTIONS}"
        )
    return CompiledAllegro(function, metadata, device, str(path))


class _Constants(torch.nn.Module):
    """Scales and shifts (n_types, 1) in eV, in the place where a nequip model has them."""

    def __init__(self, scales: torch.Tensor, shifts: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("scales", scales)
        self.register_buffer("shifts", shifts)


class _EdgeSum(torch.nn.Module):
    """The norms of a nequip edge sum, here part of the scales."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_module = torch.nn.Module()
        self.norm_module.register_buffer("norm_const", torch.empty(0))


class CompiledAllegro(torch.nn.Module):
    """A compiled function in the guise of the eager network, one structure at a time.

    function: maps the tensors `INPUTS` to `OUTPUTS`; metadata: as nequip's loader returns it.
    Raises E3DError when the energies of dimers are not linear in their edge energies.
    """

    def __init__(
        self, function: Any, metadata: dict[str, Any], device: str | torch.device, name: str
    ) -> None:
        super().__init__()
        self.function, self.metadata = function, metadata
        self.type_names = list(metadata["type_names"])
        self.model_dtype = getattr(torch, metadata["model_dtype"])
        self.model_input_fields = (*INPUTS, "batch", "num_atoms")
        # the network's factor 1/√2 is taken out, because every user of the scales puts it in
        scales, shifts = self._constants(name, torch.device(device))
        self.edge_eng_sum = _EdgeSum()
        self.per_type_energy_scale_shift = _Constants(scales * np.sqrt(2), shifts)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch with raw edge energies, edge lengths in Å, energies in eV, forces in eV/Å."""
        n_frames = len(batch["num_atoms"])
        found = [self._frame(batch, k) for k in range(n_frames)]
        joined = {name: torch.cat([out[name] for out in found]) for name in OUTPUTS}
        pos, (i, j) = batch["pos"], batch["edge_index"]
        cells = batch["cell"].view(-1, 3, 3)[batch["batch"][i]]
        shifts = torch.einsum("ek,ekl->el", batch["edge_cell_shift"].to(pos.dtype), cells)
        lengths = torch.linalg.norm(pos[j] - pos[i] + shifts, dim=-1)
        return {**batch, **joined, "edge_lengths": lengths}

    def _frame(self, batch: dict[str, torch.Tensor], k: int) -> dict[str, torch.Tensor]:
        """Outputs of one structure; of one without edges, which compiled code cannot take, its
        atoms' shifts."""
        atoms = batch["batch"] == k
        first = int(torch.nonzero(atoms)[0])
        edges = atoms[batch["edge_index"][0]]
        types = batch["atom_types"].view(-1)[atoms]
        pos = batch["pos"][atoms]
        if not edges.any():
            stored: Any = self.per_type_energy_scale_shift.shifts
            shifts = stored[types].view(-1, 1)
            values = (
                pos.new_zeros(0, 1), shifts, shifts.sum().view(1, 1), torch.zeros_like(pos),
            )  # fmt: skip
            return dict(zip(OUTPUTS, values, strict=True))
        given = {
            "pos": pos,
            "edge_index": batch["edge_index"][:, edges] - first,
            "atom_types": types,
            "cell": batch["cell"].view(-1, 3, 3)[k : k + 1],
            "edge_cell_shift": batch["edge_cell_shift"][edges],
        }
        out = self.function(given)
        return {name: out[name].detach() for name in OUTPUTS}

    def _constants(self, name: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """c_t and μ_t in eV, each (n_types, 1), from dimers."""
        n_types = len(self.type_names)
        points: list[list[tuple[float, float]]] = [[] for _ in range(n_types)]
        lengths = float(self.metadata["r_max"]) * np.array(_STRETCHES)
        for a, b, length in product(range(n_types), range(n_types), lengths):
            out = self.function(_dimer(a, b, float(length), device))
            raw, energy = (out[key].detach().double().view(-1) for key in OUTPUTS[:2])
            points[a].append((float(raw[0]), float(energy[0])))
        scales, shifts = np.empty((2, n_types, 1))
        for t, rows in enumerate(points):
            raw, energy = np.array(rows).T
            design = np.column_stack([raw, np.ones_like(raw)])
            solution, *_ = np.linalg.lstsq(design, energy, rcond=None)
            error = np.abs(design @ solution - energy).max()
            tolerance = _LINEARITY.get(self.model_dtype, 1e-5)
            if not error <= tolerance * max(np.ptp(energy), 1.0):
                raise E3DError(
                    f"{name}: energies of {self.type_names[t]} atoms are not linear in the edge "
                    f"energies that it returns (by {error:.1e} eV); has it a pair potential? Give "
                    "the checkpoint or package that it was compiled from"
                )
            scales[t], shifts[t] = solution
        return torch.as_tensor(scales, device=device), torch.as_tensor(shifts, device=device)


def _dimer(a: int, b: int, length: float, device: torch.device) -> dict[str, torch.Tensor]:
    """Inputs of two atoms of types a and b, `length` Å apart."""
    pos = torch.zeros(2, 3, dtype=torch.float64, device=device)
    pos[1, 0] = length
    return {
        "pos": pos,
        "edge_index": torch.tensor([[0, 1], [1, 0]], device=device),
        "atom_types": torch.tensor([a, b], device=device),
        "cell": 1e5 * torch.eye(3, dtype=torch.float64, device=device)[None],
        "edge_cell_shift": torch.zeros(2, 3, dtype=torch.float64, device=device),
    }
