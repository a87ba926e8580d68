"""The reactive hydrocarbon potential of Brenner, a sum of bond energies that are known exactly.

    E = Σ_{i<j} V_ij,   V_ij = V_R(r_ij) − (B_ij + B_ji)/2 · V_A(r_ij)

D. W. Brenner, Phys. Rev. B 42, 9458 (1990), doi:10.1103/PhysRevB.42.9458, with the parameters of
its potential II and without its tabulated corrections for radicals and conjugation: the bond-order
form of Tersoff. It is used as a Hamiltonian whose division into bonds is known, not for its
chemistry. Isolated atoms have no energy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from jaxtyping import Float, Int

from e3d.errors import E3DError

_H, _C = 1, 6
#: Equilibrium distance in Å, depth in eV, decay in 1/Å, ratio S, and the range in Å over which
#: the bond is switched off, by the sum of the atomic numbers of its atoms.
_PAIRS = {
    _C + _C: (1.39, 6.0, 2.1, 1.22, 1.7, 2.0),
    _C + _H: (1.1199, 3.6422, 1.9583, 1.69077, 1.3, 1.8),
    _H + _H: (0.74144, 4.7509, 1.9436, 2.3432, 1.1, 1.7),
}
_DELTA = 0.5
#: Angular function of a carbon centre, and its constant value at hydrogen.
_A0, _C0, _D0, _G_HYDROGEN = 0.00020813, 330.0, 3.5, 12.33
#: 1/Å, where the centre or both of its neighbours are hydrogen; otherwise 0.
_ALPHA = 4.0


def bond_energies(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[torch.Tensor, "n_atoms 3"]
) -> Float[torch.Tensor, "n_atoms n_atoms"]:
    """V_ij in eV, symmetric, negative when bound; positions in Å. E = half the sum of all entries.

    Differentiable with respect to the positions. Raises E3DError for an element besides H and C.
    """
    if not set(np.asarray(numbers).tolist()) <= {_H, _C}:
        raise E3DError("the potential of Brenner knows H and C alone")
    n, kind = len(numbers), torch.as_tensor(np.asarray(numbers)).to(torch.int64)
    table = torch.zeros(2 * _C + 1, 6, dtype=positions.dtype)
    for key, values in _PAIRS.items():
        table[key] = torch.tensor(values, dtype=positions.dtype)
    r_e, depth, beta, ratio, inner, outer = table[kind[:, None] + kind[None, :]].unbind(-1)
    same = torch.eye(n, dtype=torch.bool)
    vectors = positions[None, :] - positions[:, None]  # from i to j
    r = torch.where(same, torch.ones(()), (vectors**2).sum(-1)).sqrt()
    switch = 0.5 * (1 + torch.cos(torch.pi * ((r - inner) / (outer - inner)).clamp(0, 1)))
    switch = switch.masked_fill(same, 0.0)
    repulsion = depth / (ratio - 1) * torch.exp(-torch.sqrt(2 * ratio) * beta * (r - r_e))
    attraction = depth * ratio / (ratio - 1) * torch.exp(-torch.sqrt(2 / ratio) * beta * (r - r_e))
    order = _bond_orders(kind, vectors / r[..., None], r - r_e, switch)
    return switch * (repulsion - 0.5 * (order + order.T) * attraction)


def _bond_orders(
    kind: torch.Tensor, directions: torch.Tensor, stretch: torch.Tensor, switch: torch.Tensor
) -> torch.Tensor:
    """B_ij (n, n): what the other neighbours k of atom i leave of the attraction to atom j."""
    cosine = torch.einsum("ijx,ikx->ijk", directions, directions)
    carbon = _A0 * (1 + _C0**2 / _D0**2 - _C0**2 / (_D0**2 + (1 + cosine) ** 2))
    hydrogen = kind == _H
    angular = torch.where(hydrogen[:, None, None], torch.tensor(_G_HYDROGEN).to(cosine), carbon)
    stiff = hydrogen[:, None, None] | (hydrogen[None, :, None] & hydrogen[None, None, :])
    exponent = _ALPHA * stiff * (stretch[:, :, None] - stretch[:, None, :])
    other = ~torch.eye(len(kind), dtype=torch.bool)
    # before the exponential: an overflow at a far atom would leave no finite gradient
    near = (switch[:, None, :] > 0) & (switch[:, :, None] > 0) & other[None]
    terms = angular * switch[:, None, :] * torch.exp(exponent.masked_fill(~near, 0.0))
    return (1 + terms.masked_fill(~near, 0.0).sum(-1)) ** -_DELTA


class Brenner(Calculator):  # type: ignore[misc]
    """ASE calculator of the potential, with its bond energies as the result `bond_energies`."""

    implemented_properties = ["energy", "forces", "bond_energies"]  # noqa: RUF012 (as ASE has it)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        positions = torch.tensor(self.atoms.positions, requires_grad=True)
        bonds = bond_energies(self.atoms.numbers, positions)
        energy = bonds.sum() / 2
        (gradient,) = torch.autograd.grad(energy, positions)
        self.results = {
            "energy": energy.item(),
            "forces": -gradient.numpy(),
            "bond_energies": bonds.detach().numpy(),
        }
