"""From ASE structures to the batched graphs that nequip models take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from ase import Atoms

from e3d.errors import E3DError
from e3d.model import Model


def transforms(model: Model) -> list[Callable]:
    """nequip's own preparation: atom types, then neighbours within the cutoff."""
    from nequip.integrations.utils import basic_transforms

    names = list(model.type_names)
    try:
        return basic_transforms(
            model.module.metadata, model.cutoff, names, {name: name for name in names}
        )
    except ValueError as error:
        raise E3DError(
            f"model {model.name} has types {names}, expected chemical symbols"
        ) from error


def _check(model: Model, atoms: Atoms) -> None:
    """Raise E3DError for a structure that the model cannot evaluate."""
    if unknown := sorted(set(atoms.symbols) - set(model.type_names)):
        problem = (
            f"model {model.name} does not know {', '.join(unknown)}; its elements are "
            f"{', '.join(model.type_names)}"
        )
    elif len(atoms) == 0 or not np.isfinite(atoms.positions).all():
        problem = "expected at least one atom and finite positions"
    elif any(atoms.pbc & (atoms.cell.lengths() == 0)):
        problem = "periodic along a direction that has no cell vector"
    else:
        return
    raise E3DError(f"{atoms.get_chemical_formula() or 'structure without atoms'}: {problem}")


def batched(
    model: Model, transforms: list[Callable], structures: list[Atoms]
) -> dict[str, torch.Tensor]:
    """One nequip AtomicDataDict of several structures, on the device of the model."""
    from nequip.data import AtomicDataDict, from_ase
    from nequip.utils.dtype import torch_default_dtype

    graphs = []
    for atoms in structures:
        _check(model, atoms)
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        with torch_default_dtype(torch.float64):
            graph = from_ase(bare)
        for transform in transforms:
            graph = transform(graph)
        graphs.append(graph)
    return AtomicDataDict.to_(AtomicDataDict.batched_from_list(graphs), model.device)
