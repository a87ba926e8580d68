"""Allegro models: built from an architecture, loaded from a checkpoint, or with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols

from e3d.errors import E3DError
from e3d.memory import keep_freed
from e3d.models.checkpoint import one_line, read_metadata, read_weights, weights_file
from e3d.models.foreign import check_allegro, load_module


@dataclass(frozen=True)
class Model:
    """An Allegro potential, ready to be evaluated.

    `module` maps a nequip AtomicDataDict to one with energies and forces. `cutoff` in Å;
    `atomic_energies`, the zero μ_t of the decomposition, in eV; `metadata` is the content of
    `model.yaml`, empty for a model from elsewhere.
    """

    name: str
    module: torch.nn.Module
    type_names: tuple[str, ...]
    cutoff: float
    atomic_energies: dict[str, float]
    dtype: torch.dtype
    device: torch.device
    metadata: dict[str, Any]


def build(architecture: dict[str, Any], *, compile_mode: str = "eager") -> torch.nn.Module:
    """nequip GraphModel of an architecture: the keyword arguments of `allegro.model.AllegroModel`.

    Among them `seed`, `model_dtype`, `type_names`, `r_max` (Å), `avg_num_neighbors`,
    `per_type_energy_scales` (eV) and `per_type_energy_shifts` (eV).
    """
    from allegro.model import AllegroModel
    from nequip.utils.global_state import set_global_state

    set_global_state()
    return AllegroModel(**architecture, compile_mode=compile_mode)


def from_checkpoint(
    checkpoint: str,
    architecture: dict[str, Any],
    compile_mode: str = "eager",
) -> torch.nn.Module:
    """Model builder for fine-tuning: `architecture`, with the trained weights of a checkpoint.

    Only the shifts are those of `architecture`: the zero of the energy belongs to the new labels.
    """
    folder = Path(checkpoint)
    metadata = read_metadata(folder)
    module = build(architecture, compile_mode=compile_mode)
    _load_weights(module, folder, metadata, keep=("energy_scale_shift.shifts",))
    return module


def load_model(
    path: str | Path,
    *,
    trust: bool = False,
    step: int | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Model:
    """Load a checkpoint folder, or, with `trust`, a model file made elsewhere, see `foreign`.

    trust: load what can run any code that its author chose. That is a `.ckpt` or `.nequip.zip`,
    which are pickles, a compiled `.nequip.pt2`, and a checkpoint folder whose architecture E3D did
    not write, see `architecture.check`. step: the weights kept after so many gradient steps
    (default: those at the end). dtype: converts a checkpoint folder's weights, e.g. to float64 for
    strict tests. device: default the GPU where there is one.

    Raises E3DError when the checkpoint is missing, damaged or untrusted, when its weights do not
    fit its architecture, and for a model whose energy is no sum over edges or whose atom types are
    no elements.
    """
    path = Path(path)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not path.exists():
        raise E3DError(f"checkpoint {path} does not exist; `make pull` fetches the project's")
    if path.is_file():
        return _load_foreign(path, trust=trust, device=device)
    metadata = read_metadata(path, trust=trust)
    architecture = dict(metadata["architecture"])
    if dtype is not None:
        architecture["model_dtype"] = str(dtype).removeprefix("torch.")
    try:
        module = build(architecture)
    except Exception as error:  # nequip's builders raise whatever their arguments meet
        raise E3DError(
            f"{path / 'model.yaml'}: no model can be built from its architecture "
            f"({one_line(error)}); was it edited?"
        ) from error
    _load_weights(module, path, metadata, step=step)
    name = path.name if step is None else f"{path.name}-step-{step}"
    return _as_model(name, module, device, metadata | {"architecture": architecture})


def _load_weights(
    module: torch.nn.Module,
    folder: Path,
    metadata: dict[str, Any],
    *,
    keep: tuple[str, ...] = (),
    step: int | None = None,
) -> None:
    """Copy the stored weights into `module`, except those whose name ends in one of `keep`."""
    stored = read_weights(folder, metadata, step=step)
    own = module.state_dict()
    wrong = [
        f"{name} is {list(stored[name].shape) if name in stored else 'missing'}, "
        f"expected {list(own[name].shape) if name in own else 'nothing'}"
        for name in sorted(own.keys() | stored.keys())
        if name not in own or name not in stored or own[name].shape != stored[name].shape
    ]
    if wrong:
        raise E3DError(
            f"{weights_file(folder, step)} does not fit its model.yaml: {wrong[0]} ({len(wrong)} "
            "such tensors); the two files are of different models"
        )
    kept = {name: own[name] for name in own if name.endswith(keep)} if keep else {}
    module.load_state_dict(stored | kept)


def _as_model(
    name: str, module: Any, device: str | torch.device, metadata: dict[str, Any]
) -> Model:
    check_allegro(module, f"the model {name}")
    if torch.device(device).type == "cpu":
        keep_freed()
    module = module.to(device).eval()
    type_names = tuple(module.type_names)
    if strange := [name for name in type_names if name not in chemical_symbols[1:]]:
        raise E3DError(
            f"the model {name} has the atom types {', '.join(type_names)}; {', '.join(strange)} "
            "are no chemical symbols, so that nothing says which atoms they stand for. Train it "
            "with one type per element, named by its symbol"
        )
    shifts = _shifts(module).flatten().tolist()
    shifts = shifts * len(type_names) if len(shifts) == 1 else shifts or [0.0] * len(type_names)
    return Model(
        name=name,
        module=module,
        type_names=type_names,
        cutoff=float(module.metadata["r_max"]),
        atomic_energies=dict(zip(type_names, shifts, strict=True)),
        dtype=module.model_dtype,
        device=torch.device(device),
        metadata=metadata,
    )


def _shifts(network: Any) -> torch.Tensor:
    """Per-type energies in eV of an Allegro model: none, one, or one per type."""
    owners = (m for m in network.modules() if hasattr(m, "scales") and hasattr(m, "shifts"))
    return next(owners).shifts


def _load_foreign(path: Path, *, trust: bool, device: str | torch.device) -> Model:
    if not trust:
        raise E3DError(
            f"{path} is a pickle or compiled code: loading it runs what its author chose. "
            "If you trust where it comes from, give --trust"
        )
    return _as_model(_stem(path), load_module(path, device), device, {})


def _stem(path: Path) -> str:
    """The file's name without its endings, `.nequip.zip` being one of two."""
    return path.stem.removesuffix(".nequip")


def untrained(model: Model, *, seed: int) -> Model:
    """The same architecture, scales and shifts with fresh random weights: the `untrained` null."""
    if "architecture" not in model.metadata:
        raise E3DError(
            f"the architecture of {model.name} is not known, so no untrained copy of it can be "
            "built; use a checkpoint folder"
        )
    architecture = model.metadata["architecture"] | {"seed": seed}
    module = build(architecture)
    return _as_model(f"untrained-s{seed}", module, model.device, model.metadata)
