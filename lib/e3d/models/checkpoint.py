"""Checkpoint folders: written complete or not at all, read without pickle, and checked.

A checkpoint is a folder: `model.yaml` (the architecture with every data-dependent number resolved,
and the SHA-256 of the weights), `weights.safetensors`, `history.csv`, and
`weights-STEP.safetensors` where weights were kept on the way.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from e3d import files
from e3d.errors import E3DError
from e3d.models import architecture as architectures

#: Version of the layout of checkpoint folders, written into every model.yaml.
FORMAT = 1
#: Bytes; a model.yaml has about 2,000.
SIZE_LIMIT = 65_536
_VERSIONED = ("torch", "nequip", "nequip-allegro", "e3nn", "lightning")


def save_checkpoint(
    folder: str | Path,
    module: torch.nn.Module,
    architecture: dict[str, Any],
    *,
    dataset: dict[str, Any],
    training: dict[str, Any],
    cost: dict[str, Any],
    history: str,
    snapshots: Sequence[Path] = (),
) -> None:
    """Write a checkpoint folder, complete or not at all.

    architecture: resolved arguments of `build`; dataset: path, sha256, level of theory and elements
    of the labels; training: the settings of the run; cost: the time it took; history: text of
    history.csv; snapshots: files `weights-STEP.safetensors` to keep beside the weights at the end.

    Raises E3DError when the folder cannot be written (full disk, missing rights).
    """
    folder = Path(folder)
    metadata = {
        "format": FORMAT,
        "architecture": architecture,
        "dataset": dataset,
        "training": training,
        "cost": cost,
        "versions": {package: version(package) for package in _VERSIONED},
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
            new = Path(name) / "new"
            _write_folder(new, module, metadata, history, snapshots)
            if folder.exists():
                folder.rename(Path(name) / "old")
            new.rename(folder)
    except (OSError, SafetensorError) as error:
        raise E3DError(
            f"cannot write checkpoint {folder}: {one_line(error)}; nothing was changed. Free "
            "space or choose another output folder"
        ) from error


def _write_folder(
    folder: Path,
    module: torch.nn.Module,
    metadata: dict[str, Any],
    history: str,
    snapshots: Sequence[Path],
) -> None:
    """Write the files of a checkpoint, model.yaml with the SHA-256 of weights and architecture."""
    folder.mkdir()
    weights = {key: value.contiguous() for key, value in module.state_dict().items()}
    save_file(weights, weights_file(folder))
    for snapshot in snapshots:
        shutil.copyfile(snapshot, folder / snapshot.name)
    digests = {file.name: files.sha256(file) for file in sorted(folder.iterdir())}
    known = {"architecture_sha256": _digest(metadata["architecture"]), "weights_sha256": digests}
    text = yaml.dump(metadata | known, Dumper=_Dumper, sort_keys=False)
    (folder / "model.yaml").write_text(text)
    (folder / "history.csv").write_text(history)


def snapshot_steps(folder: str | Path) -> list[int]:
    """Gradient steps after which a checkpoint folder kept weights, in order."""
    return sorted(int(f.stem.split("-")[1]) for f in Path(folder).glob("weights-*.safetensors"))


def read_metadata(folder: Path, *, trust: bool = False) -> dict[str, Any]:
    """Content of a checkpoint folder's model.yaml.

    Raises E3DError when it is missing or malformed, and, without `trust`, when its architecture
    does not pass `architecture.check` or is not the one that was saved.
    """
    file = folder / "model.yaml"
    if not file.is_file():
        raise E3DError(
            f"{folder} is no checkpoint: it has no model.yaml; was its training interrupted?"
        )
    metadata = _read_yaml(file)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("architecture"), dict):
        raise E3DError(f"{file} has no section 'architecture'; it was not written by E3D")
    if metadata.get("format") != FORMAT:
        raise E3DError(
            f"{file} has format {metadata.get('format')!r}, this version reads {FORMAT}; "
            "use the version of E3D that wrote it"
        )
    if not trust:
        try:
            architectures.check(metadata["architecture"])
        except E3DError as error:
            raise E3DError(
                f"{file}: {error}. Only what E3D writes is loaded, because an architecture can "
                "run any code; if you trust where it comes from, give --trust"
            ) from None
        # older checkpoints do not have it
        if (
            metadata.get("architecture_sha256", digest := _digest(metadata["architecture"]))
            != digest
        ):
            raise E3DError(
                f"{file}: its architecture is not the one that weights.safetensors was saved with; "
                "pull both again, or give --trust if it was changed on purpose"
            )
    return metadata


def _digest(architecture: dict[str, Any]) -> str:
    """SHA-256 of an architecture, whatever the order and layout of its entries."""
    return hashlib.sha256(json.dumps(architecture, sort_keys=True).encode()).hexdigest()


def _read_yaml(file: Path) -> Any:
    """Content of a small YAML file without aliases. Raises E3DError for any other file."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise E3DError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > SIZE_LIMIT:
        raise E3DError(f"{file} has more than {SIZE_LIMIT} bytes; it was not written by E3D")
    try:
        return yaml.load(content, Loader=_Loader)
    except Exception as error:  # PyYAML's constructors raise whatever their text meets
        raise E3DError(f"{file} is not valid YAML: {one_line(error)}") from error


class _Dumper(yaml.SafeDumper):
    """Writes plain YAML that `_Loader` reads."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    """Plain YAML without aliases: a few of them in each other stand for billions of entries."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name), which no checkpoint needs")
        return super().compose_node(parent, index)


def read_weights(
    folder: Path, metadata: dict[str, Any], *, step: int | None = None
) -> dict[str, torch.Tensor]:
    """Weights of a checkpoint folder by name; step: those kept after so many gradient steps.

    Raises E3DError when they are missing, damaged, or not those that `metadata` is about.
    """
    file = weights_file(folder, step)
    try:
        content = file.read_bytes()
        _verify(file, content, metadata)
        return load(content)
    except (OSError, SafetensorError) as error:
        raise E3DError(f"{file} is missing or damaged ({error}); pull it again") from error


def weights_file(folder: Path, step: int | None = None) -> Path:
    """Where the weights lie that a checkpoint folder kept after so many gradient steps."""
    return folder / ("weights.safetensors" if step is None else f"weights-{step}.safetensors")


def _verify(file: Path, content: bytes, metadata: dict[str, Any]) -> None:
    """Compare weights with the SHA-256 in model.yaml, which older checkpoints do not have."""
    if "weights_sha256" not in metadata:
        return
    expected = metadata["weights_sha256"]
    found = hashlib.sha256(content).hexdigest()
    if not isinstance(expected, dict) or expected.get(file.name) != found:
        raise E3DError(
            f"{file} is damaged or of another model: its SHA-256 is {found[:12]}…, not the one in "
            "model.yaml; pull both again"
        )


def one_line(error: Exception) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
