"""Checkpoints: saved and loaded without pickle, refused with one line when they do not fit."""

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from safetensors.torch import load_file, save_file

from e3d import files
from e3d.data.dataset import TYPE_NAMES
from e3d.errors import E3DError
from e3d.models.allegro import build, from_checkpoint, load_model, untrained
from e3d.models.checkpoint import save_checkpoint
from e3d.training import evaluation

WATER = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
METHANOL = Atoms("COH4", [[0, 0, 0], [1.42, 0, 0], [1.75, 0.9, 0], [-0.4, 1, 0],
                          [-0.4, -0.5, 0.9], [-0.4, -0.5, -0.9]])  # fmt: skip


def architecture(**changes):
    return {
        "seed": 3,
        "model_dtype": "float32",
        "type_names": list(TYPE_NAMES),
        "r_max": 4.0,
        "l_max": 1,
        "num_layers": 1,
        "num_scalar_features": 8,
        "num_tensor_features": 2,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        "avg_num_neighbors": 7.5,
        "per_type_energy_scales": 1.3,
        "per_type_energy_shifts": {name: -10.0 - k for k, name in enumerate(TYPE_NAMES)},
        **changes,
    }


@pytest.fixture
def checkpoint(tmp_path):
    folder, module = tmp_path / "run", build(architecture())
    save_file(module.state_dict(), tmp_path / "weights-10.safetensors")
    save_checkpoint(
        folder, module, architecture(), dataset={"path": "none"}, training={}, cost={},
        history="step\n", snapshots=[tmp_path / "weights-10.safetensors"],
    )  # fmt: skip
    return folder


def test_a_loaded_checkpoint_reproduces_the_module_that_was_saved(checkpoint):
    saved, loaded = build(architecture()), load_model(checkpoint)
    energies, forces = evaluation.predict(loaded, [WATER, METHANOL])
    direct = evaluation.predict(
        type(loaded)(**{**loaded.__dict__, "module": saved.eval()}), [WATER, METHANOL]
    )
    np.testing.assert_array_equal(energies, direct[0])
    for block, expected in zip(forces, direct[1], strict=True):
        np.testing.assert_array_equal(block, expected)
    assert loaded.atomic_energies["O"] == architecture()["per_type_energy_shifts"]["O"]
    assert (loaded.cutoff, loaded.dtype, loaded.name) == (4.0, torch.float32, "run")


def test_forces_are_the_gradient_of_the_energy(checkpoint):
    model = load_model(checkpoint, dtype=torch.float64)
    _, (forces, *_) = evaluation.predict(model, [METHANOL])
    step, moved = 1e-4, []
    for sign in (1, -1):
        atoms = METHANOL.copy()
        atoms.positions[1, 0] += sign * step
        moved.append(atoms)
    (plus, minus), _ = evaluation.predict(model, moved)
    assert forces[1, 0] == pytest.approx(-(plus - minus) / (2 * step), abs=1e-6)
    assert abs(forces[1, 0]) > 1e-4


def test_in_double_precision_only_rounding_changes(checkpoint):
    single, _ = evaluation.predict(load_model(checkpoint), [WATER])
    double, _ = evaluation.predict(load_model(checkpoint, dtype=torch.float64), [WATER])
    assert single[0] == pytest.approx(double[0], abs=1e-4)
    assert single[0] != double[0]


def test_untrained_has_other_weights_and_the_same_zero(checkpoint):
    model = load_model(checkpoint)
    null = untrained(model, seed=7)
    assert null.name == "untrained-s7"
    assert null.atomic_energies == model.atomic_energies
    assert evaluation.predict(null, [WATER])[0] != evaluation.predict(model, [WATER])[0]
    lone = Atoms("O")
    for found in (model, null):
        assert evaluation.predict(found, [lone])[0][0] == pytest.approx(model.atomic_energies["O"])


def test_fine_tuning_starts_from_the_trained_weights_with_the_zero_of_the_new_labels(checkpoint):
    shifts = dict.fromkeys(TYPE_NAMES, -1.0)
    module = from_checkpoint(str(checkpoint), architecture(seed=9, per_type_energy_shifts=shifts))
    old = load_model(checkpoint)
    new = type(old)(**{**old.__dict__, "module": module.eval()})
    binding = evaluation.predict(old, [WATER])[0][0] - sum(
        old.atomic_energies[symbol] for symbol in WATER.symbols
    )
    assert evaluation.predict(new, [WATER])[0][0] + 3 == pytest.approx(binding, abs=1e-5)


def test_weights_of_another_model_are_refused_by_name(checkpoint):
    file = checkpoint / "weights.safetensors"
    weights = load_file(file)
    name = next(key for key, value in weights.items() if value.ndim == 2)
    save_file({**weights, name: torch.zeros(2, 3)}, file)
    rewrite(checkpoint, weights_sha256={file.name: files.sha256(file)})
    with pytest.raises(E3DError, match=r"does not fit .*model.yaml.*is \[2, 3\], expected"):
        load_model(checkpoint)


def rewrite(folder, **changes):
    """Change sections of model.yaml; None removes one."""
    metadata = yaml.safe_load((folder / "model.yaml").read_text()) | changes
    kept = {key: value for key, value in metadata.items() if value is not None}
    (folder / "model.yaml").write_text(yaml.safe_dump(kept))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_bit_in_the_weights_is_refused(checkpoint, place):
    for file in (checkpoint / "weights.safetensors", checkpoint / "weights-10.safetensors"):
        content = bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)
    for step in (None, 10):
        with pytest.raises(E3DError, match=r"is damaged or of another model: its SHA-256") as told:
            load_model(checkpoint, step=step)
        assert "\n" not in str(told.value)


def test_weights_without_a_hash_are_loaded_and_strange_hashes_refused(checkpoint):
    rewrite(checkpoint, weights_sha256=None)
    assert load_model(checkpoint).name == "run"
    for strange in ("text", [], {"weights-10.safetensors": "0"}):
        rewrite(checkpoint, weights_sha256=strange)
        with pytest.raises(E3DError, match="SHA-256"):
            load_model(checkpoint)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.yaml", None, "has no model.yaml"),
        ("model.yaml", "a: [", "not valid YAML"),
        ("model.yaml", "a: 1", "no section 'architecture'"),
        ("model.yaml", "architecture: [1]", "no section 'architecture'"),
        ("weights.safetensors", None, "missing or damaged"),
        ("weights.safetensors", "cut", "is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_refused(checkpoint, file, content, message):
    (checkpoint / file).unlink()
    if content is not None:
        (checkpoint / file).write_text(content)
    with pytest.raises(E3DError, match=message):
        load_model(checkpoint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_max": "four"}, r"architecture\.r_max: 'four' is not of type 'number'"),
        ({"nmu_layers": 1}, r"architecture: .*'nmu_layers' was unexpected"),
        ({"num_layers": 0}, r"architecture\.num_layers: 0 is less than the minimum of 1"),
        ({"avg_num_neighbors": {"H": 7.0}}, "no model can be built from its architecture"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_one_line(checkpoint, change, message):
    metadata = yaml.safe_load((checkpoint / "model.yaml").read_text())
    del metadata["architecture_sha256"]  # as written by hand, or by an older version
    metadata["architecture"] = architecture(**change)
    (checkpoint / "model.yaml").write_text(yaml.safe_dump(metadata))
    with pytest.raises(E3DError, match=rf"model\.yaml: {message}") as caught:
        load_model(checkpoint)
    assert "\n" not in str(caught.value)


def test_another_format_of_checkpoints_is_refused(checkpoint):
    rewrite(checkpoint, format=99)
    with pytest.raises(E3DError, match="format 99"):
        load_model(checkpoint)


def test_a_pickle_is_not_loaded_without_trust(tmp_path):
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"anything")
    with pytest.raises(E3DError, match="--trust"):
        load_model(file)
    with pytest.raises(E3DError, match="cannot be loaded"):
        load_model(file, trust=True)
    with pytest.raises(E3DError, match="does not exist"):
        load_model(tmp_path / "missing")
