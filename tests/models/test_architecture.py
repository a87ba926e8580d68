"""What a checkpoint may say: what could run code or take forever is refused before it does."""

import math
import time
from pathlib import Path

import pytest
import torch
import yaml

from e3d.data.dataset import TYPE_NAMES
from e3d.errors import E3DError
from e3d.models import architecture as architectures
from e3d.models.allegro import build, from_checkpoint, load_model
from e3d.models.checkpoint import SIZE_LIMIT, read_metadata, save_checkpoint
from e3d.paths import CHECKPOINTS
from e3d.training.nequip import configuration
from e3d.training.settings import Settings

KNOWN = "allegro.nn.TwoBodyBesselScalarEmbed"


def architecture() -> dict:
    return {
        "seed": 3, "model_dtype": "float32", "type_names": list(TYPE_NAMES), "r_max": 4.0,
        "l_max": 1, "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 2,
        "radial_chemical_embed": {"_target_": KNOWN, "num_bessels": 4},
        "avg_num_neighbors": 7.5, "per_type_energy_scales": 1.3,
        "per_type_energy_shifts": dict.fromkeys(TYPE_NAMES, -10.0),
    }  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    save_checkpoint(
        folder, build(architecture()), architecture(), dataset={}, training={}, cost={}, history=""
    )
    return folder


def rewrite(folder: Path, changes: dict) -> None:
    metadata = yaml.safe_load((folder / "model.yaml").read_text())
    metadata["architecture"] = architecture() | changes
    (folder / "model.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False))


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return Path.touch, (self.marker,)


def attacks(marker: Path, pickle: Path) -> dict[str, dict]:
    """Entries of an architecture that make hydra create the file `marker`."""
    touch, code = f"touch {marker}", f"__import__('pathlib').Path({str(marker)!r}).touch()"
    system = {"_target_": "hydra.utils.get_method", "path": "os.system"}
    command = {"_target_": "os.system", "_args_": [touch]}
    return {
        "a command": command,
        "a command through functools.partial": {
            "_target_": "operator.call",
            "_args_": [{"_target_": "functools.partial", "_args_": [system, touch]}],
        },
        "a deserialiser of hydra": {
            "_target_": "hydra.utils.instantiate", "_args_": [command], "_recursive_": False,
        },
        "sympify": {"_target_": "sympy.sympify", "_args_": [code]},
        "eval": {"_target_": "builtins.eval", "_args_": [code]},
        "a pickle": {"_target_": "torch.load", "f": str(pickle), "weights_only": False},
        "a model that is trusted": {
            "_target_": "e3d.models.allegro.load_model", "path": str(pickle), "trust": True,
        },
    }  # fmt: skip


def places(entry: dict) -> dict[str, dict]:
    """An entry where architectures have one, where they have none, and deep inside others."""
    return {
        "radial_chemical_embed": {"radial_chemical_embed": entry},
        "radial_chemical_embed.num_bessels": {
            "radial_chemical_embed": {"_target_": KNOWN, "num_bessels": entry}
        },
        "pair_potential": {"pair_potential": entry},
        "r_max": {"r_max": entry},
        "avg_num_neighbors.H": {"avg_num_neighbors": {"H": entry}},
        "type_names[1][0]": {"type_names": ["H", [entry]]},
    }


@pytest.mark.parametrize("name", attacks(Path(), Path()))
def test_what_could_run_code_is_refused_and_runs_nothing(
    name: str, checkpoint: Path, tmp_path: Path
) -> None:
    marker, pickle = tmp_path / "marker", tmp_path / "bomb.ckpt"
    torch.save(Bomb(marker), pickle)
    entry = attacks(marker, pickle)[name]
    settings = Settings("data/dft-small.h5", initial_checkpoint=str(checkpoint))
    ways = (
        lambda: load_model(checkpoint),
        lambda: from_checkpoint(str(checkpoint), architecture()),
        lambda: configuration(settings, tmp_path),
    )
    for place, change in places(entry).items():
        rewrite(checkpoint, change)
        for way in ways:
            with pytest.raises(E3DError) as told:
                way()
            message = str(told.value)
            assert f"architecture.{place}._target_ is {entry['_target_']!r}, not {KNOWN}" in message
            assert message.endswith("give --trust")
            assert "\n" not in message
    assert not marker.exists()


@pytest.mark.parametrize("name", ["sympify", "a pickle", "a model that is trusted"])
def test_with_trust_the_same_runs(name: str, checkpoint: Path, tmp_path: Path) -> None:
    """What is refused would work. Hydra's own list of what it does not call has gaps."""
    marker, pickle = tmp_path / "marker", tmp_path / "bomb.ckpt"
    torch.save(Bomb(marker), pickle)
    entry = attacks(marker, pickle)[name]
    rewrite(checkpoint, places(entry)["radial_chemical_embed.num_bessels"])
    with pytest.raises(E3DError, match="no model can be built"):
        load_model(checkpoint, trust=True)
    assert marker.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_max": 1e9}, "r_max: 1000000000.0 is greater than the maximum of 20.0"),
        ({"r_max": math.nan}, "r_max: nan is not of type 'number'"),
        ({"avg_num_neighbors": math.inf}, "avg_num_neighbors: inf is not valid"),
        ({"num_layers": 10**9}, "num_layers: 1000000000 is greater"),
        ({"seed": 2**70}, "seed: .* is greater"),
        ({"num_layers": True}, "num_layers: True is not of type 'integer'"),
        ({"type_names": ["${oc.env:HOME}"]}, r"type_names\[0\]: .*oc\.env:HOME"),
        ({"radial_chemical_embed": {"_target_": KNOWN, "_partial_": True}}, "'_partial_' was unex"),
        ({"radial_chemical_embed": {}}, "radial_chemical_embed: '_target_' is a required property"),
    ],
)
def test_values_that_no_model_has_are_refused(change: dict, message: str) -> None:
    with pytest.raises(E3DError, match=rf"^architecture.*{message}") as told:
        architectures.check(architecture() | change)
    assert len(str(told.value)) < 700


def bombs() -> dict[str, bytes]:
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    laughs += ["format: 1", "architecture: {r_max: *a11}"]
    return {
        "billion laughs": "\n".join(laughs).encode(),
        "merged": b"a: &a {x: 1}\narchitecture:\n  <<: *a\n",
        "deep": b"architecture: " + b"[" * 60_000,
        "deep in blocks": b"\n".join(b" " * k + b"a:" for k in range(330)),
        "large": b"x: 1\n" * SIZE_LIMIT,
        "a long number": b"format: " + b"1" * 60_000,
        "a date that is none": b"format: 2024-99-99",
        "a tag": b"format: !!python/object/apply:os.system [true]",
        "not text": b"\xff\xfe\x00\xd8",
        "many types": b"format: 1\narchitecture: {type_names: [" + b"{a: 1}, " * 7_000 + b"]}",
        "many keys": b"architecture: {" + b",".join(b"k%d: 1" % k for k in range(6_000)) + b"}",
    }


@pytest.mark.parametrize("name", bombs())
def test_yaml_made_to_exhaust_its_reader_is_refused_in_seconds(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(bombs()[name])
    begun = time.process_time()
    with pytest.raises(E3DError) as told:
        load_model(tmp_path)
    assert time.process_time() - begun < 20
    assert "model.yaml" in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 2000


def test_what_the_bounds_allow_at_most_is_built_in_seconds() -> None:
    largest = {
        name: bounds["maximum"]
        for name, bounds in architectures.SCHEMA["properties"].items()
        if bounds.get("type") == "integer"
    }
    begun = time.process_time()
    given = architecture() | largest
    architectures.check(given)
    build(given)
    assert time.process_time() - begun < 120


@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in CHECKPOINTS.rglob("model.yaml")), ids=lambda p: p.name
)
def test_every_checkpoint_of_the_project_is_let_through_and_knows_damage(folder: Path) -> None:
    metadata = read_metadata(folder)
    assert set(metadata["weights_sha256"]) == {f.name for f in folder.glob("*.safetensors")}
    assert metadata["architecture_sha256"]
    assert metadata == yaml.safe_load((folder / "model.yaml").read_text())
