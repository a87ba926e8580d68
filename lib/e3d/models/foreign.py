"""Allegro models made elsewhere, and why a file is none that can be read.

What the nequip framework writes: checkpoints (`.ckpt`) of nequip-train, packages (`.nequip.zip`) of
nequip-package, and compiled files of nequip-compile (`.nequip.pt2`, formerly TorchScript in
`.nequip.pth`). All of them can run code on loading; the caller asks for the user's trust first.
"""

from __future__ import annotations

import warnings
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from e3d.errors import E3DError
from e3d.models.checkpoint import one_line
from e3d.models.compiled import load_compiled

#: What to give instead of a file that cannot be read.
READABLE = "a `.ckpt` of nequip-train or a `.nequip.zip` of nequip-package"
#: Packages whose minor version decides what the tensors of a checkpoint mean: name as nequip
#: records it → name of the distribution.
_MEANING = {"nequip": "nequip", "allegro": "nequip-allegro"}


def load_module(path: Path, device: str | torch.device) -> torch.nn.Module:
    """The Allegro network in a file of the nequip framework.

    Raises E3DError with the reason for every other file: TorchScript, a compiled file without edge
    energies, a model of another kind, a checkpoint of another version, a damaged file.
    """
    from nequip.utils.global_state import set_global_state

    set_global_state()
    compiled = path.suffix == ".pt2"
    _check_container(path)
    if not compiled and not path.name.endswith(".nequip.zip"):
        _check_contents(path)
    try:
        module = load_compiled(path, device) if compiled else _load_saved(path)
    except E3DError:
        raise
    except Exception as error:  # nequip and torch raise whatever their readers meet
        raise E3DError(
            f"{path} cannot be loaded by nequip {version('nequip')}: {one_line(error)}; expected "
            f"{READABLE}"
        ) from error
    check_allegro(module, str(path))
    return module


def _load_saved(path: Path) -> torch.nn.Module:
    from nequip.model.saved_models.load_utils import load_saved_model

    with warnings.catch_warnings():  # nequip's advice on training means nothing to who loads
        warnings.simplefilter("ignore", UserWarning)
        return load_saved_model(str(path))


def _check_container(path: Path) -> None:
    """Raise E3DError unless the file is a complete archive, and no TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise E3DError(
            f"{path} cannot be loaded: it is truncated or no model file ({one_line(error)}); "
            f"copy it again, or give {READABLE}"
        ) from error
    # a package of nequip-package has its sources in folders of other names
    if any(name.split("/", 1)[-1].startswith("code/__torch__") for name in names):
        raise E3DError(
            f"{path} is TorchScript, which nequip {version('nequip')} refuses with PyTorch "
            f"{torch.__version__} (support ended with 2.10); give the checkpoint or package it was "
            f"compiled from: {READABLE}"
        )


def _check_contents(path: Path) -> None:
    """Raise E3DError unless a pickle is a checkpoint of the nequip framework, of these versions."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise E3DError(
            f"{path} is no checkpoint of the nequip framework: it needs the package "
            f"{error.name!r}. E3D reads Allegro models, whose energy is a sum over edges"
        ) from error
    except Exception as error:
        raise E3DError(
            f"{path} cannot be loaded: {one_line(error)}; is it damaged? Expected {READABLE}"
        ) from error
    if isinstance(stored, torch.nn.Module):
        kind = type(stored)
        raise E3DError(
            f"{path} is a pickled {kind.__module__}.{kind.__qualname__}, no checkpoint of the "
            f"nequip framework; E3D reads Allegro models, whose energy is a sum over edges: "
            f"{READABLE}"
        )
    try:
        versions = stored["hyper_parameters"]["info_dict"]["versions"]
    except (KeyError, TypeError, IndexError):
        raise E3DError(
            f"{path} holds weights or other data, but no model of nequip 0.7 or newer; expected "
            f"{READABLE}"
        ) from None
    _check_versions(path, versions)


def _check_versions(path: Path, versions: Any) -> None:
    """Raise E3DError for a checkpoint of another minor version, whose tensors may mean others."""
    for package, distribution in _MEANING.items():
        written = str(versions.get(package, "")) if isinstance(versions, dict) else ""
        try:
            installed = version(distribution)
        except PackageNotFoundError:
            continue
        if written and written.split(".")[:2] != installed.split(".")[:2]:
            raise E3DError(
                f"{path} was written by {package} {written}, and {installed} is installed, which "
                "may read its numbers in another way; make a package of it with the version that "
                "wrote it (`nequip-package build`), which carries its code along"
            )


def check_allegro(module: torch.nn.Module, name: str) -> None:
    """Raise E3DError unless the energy of a nequip model is a sum over edges."""
    children = list(module.modules())
    if any(hasattr(child, "edge_eng_sum") for child in children):
        return
    if any(type(child).__name__ in ("InteractionBlock", "ConvNetLayer") for child in children):
        kind = "a message-passing model (NequIP): its energy is a sum over atoms, not over edges"
    else:
        kind = "no Allegro model: it has no sum over edge energies"
    raise E3DError(f"{name} is {kind}; E3D needs an Allegro model of the nequip framework")
