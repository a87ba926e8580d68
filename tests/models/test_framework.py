"""Every kind of Allegro model of the nequip framework is decomposed; others are refused, and why.

The models are trained by `nequip-train` (see nequip_matrix.py) and packaged by `nequip-package`.
"""

import os
import subprocess
import sys
from pathlib import Path

import nequip_matrix
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from examples import random_model
from filelock import FileLock

from e3d.decomposition import edges
from e3d.errors import E3DError
from e3d.models import compiled, foreign
from e3d.models.allegro import Model, load_model
from e3d.training import evaluation

pytestmark = [
    # what nequip, lightning and PyTorch say of themselves while they load a file
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
MOLECULES = ["CH3CH2OH", "CH3CN", "C2H2"]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Folder of all trained models, one for all processes of the test run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # that of the whole run
    folder = shared / "nequip_matrix"
    with FileLock(shared / "nequip_matrix.lock"):
        if not (folder / "done").exists():
            run(nequip_matrix.__file__, str(folder))
            run("-m", "nequip.scripts.package", "build", str(folder / "zbl" / "model.ckpt"),
                str(folder / "zbl.nequip.zip"))  # fmt: skip
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session", params=[*nequip_matrix.VARIANTS, "zbl.nequip.zip"])
def model(request, trained) -> Model:
    name = request.param
    path = trained / name if name.endswith(".zip") else trained / name / "model.ckpt"
    return load_model(path, trust=True, device="cpu")


def one(model: Model, atoms: Atoms) -> edges.Decomposition:
    (found,) = edges.decompose(model, [atoms])
    return found


def by_nequip(model: Model, atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å by nequip's own calculator."""
    from nequip.integrations.ase import NequIPCalculator
    from nequip.integrations.utils import basic_transforms

    names = list(model.type_names)
    transforms = basic_transforms(
        model.module.metadata, model.cutoff, names, {name: name for name in names}
    )
    copy = atoms.copy()
    copy.calc = NequIPCalculator(model.module, device="cpu", transforms=transforms)
    return float(copy.get_potential_energy()), copy.get_forces()


def precision(model: Model) -> float:
    return 1e-9 if model.dtype == torch.float64 else 1e-5


def test_edges_and_atoms_sum_to_the_energy_that_nequip_gives(model):
    for name in MOLECULES:
        atoms = molecule(name)
        found = one(model, atoms)
        parts = found.edge_energies.sum() + found.atomic_energies.sum()
        assert parts == pytest.approx(by_nequip(model, atoms)[0], abs=precision(model) * len(atoms))
        assert abs(found.edge_energies).max() > 1e-3


def test_the_gradient_of_the_sum_is_minus_the_forces_of_nequip(model):
    atoms = molecule("CH3CH2OH")
    _, forces = by_nequip(model, atoms)
    direction = np.random.default_rng(1).normal(size=forces.shape)
    step, energies = (1e-5, []) if model.dtype == torch.float64 else (5e-3, [])
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * step * direction
        found = one(model, moved)
        energies.append(found.edge_energies.sum() + found.atomic_energies.sum())
    slope = (energies[0] - energies[1]) / (2 * step)
    tolerance = 1e-5 if model.dtype == torch.float64 else 1e-2
    assert slope == pytest.approx(-(forces * direction).sum(), rel=tolerance, abs=tolerance)
    _, (own, *_) = evaluation.predict(model, [atoms])
    np.testing.assert_allclose(own, forces, atol=100 * precision(model))


def test_edge_energies_follow_permutations_and_rotations(model):
    atoms = molecule("CH3CH2OH")
    order = np.random.default_rng(0).permutation(len(atoms))
    moved = atoms[order]
    moved.rotate(47, (1, 2, 3))
    first, second = one(model, atoms), one(model, moved)
    energies = dict(zip(map(tuple, first.edge_index.T.tolist()), first.edge_energies, strict=True))
    assert len(second.edge_energies) == len(energies)
    expected = [energies[order[i], order[j]] for i, j in second.edge_index.T]
    np.testing.assert_allclose(second.edge_energies, expected, atol=10 * precision(model))


def test_atoms_alone_and_too_far_apart_have_no_edges(model):
    structures = [Atoms("H"), Atoms("CO", [[0, 0, 0], [0, 0, 9]]), molecule("C2H2"), Atoms("O")]
    found = list(edges.decompose(model, structures))
    for atoms, parts in zip(structures, found, strict=True):
        zero = sum(model.atomic_energies[symbol] for symbol in atoms.symbols)
        if len(atoms) < 4:
            assert parts.edge_energies.size == 0
            assert parts.energy == pytest.approx(zero, abs=1e-9)
    assert found[2].edge_energies.size > 0


def test_a_package_is_the_checkpoint_that_it_was_made_from(trained):
    first, second = (
        one(load_model(path, trust=True, device="cpu"), molecule("CH3CN"))
        for path in (trained / "zbl" / "model.ckpt", trained / "zbl.nequip.zip")
    )
    np.testing.assert_allclose(first.edge_energies, second.edge_energies, atol=1e-10)


# What cannot be read is refused in one line


def refusal(path: Path) -> str:
    with pytest.raises(E3DError) as told:
        load_model(path, trust=True, device="cpu")
    assert "\n" not in str(told.value)
    return str(told.value)


def test_types_that_are_no_elements_are_named(trained):
    assert "H_w, C_a, N_a, O_w are no chemical symbols" in refusal(trained / "types/model.ckpt")


def test_message_passing_has_no_edge_energies(trained):
    assert "a message-passing model" in refusal(trained / "message-passing/model.ckpt")


@pytest.mark.parametrize("name", ["zbl/model.ckpt", "zbl.nequip.zip"])
def test_a_truncated_file_is_refused(trained, tmp_path, name):
    content = (trained / name).read_bytes()
    file = tmp_path / Path(name).name
    for size in (0, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        assert "truncated or no model file" in refusal(file)


def test_a_checkpoint_of_another_version_is_refused(trained, tmp_path):
    stored = torch.load(trained / "scalars/model.ckpt", weights_only=False)
    stored["hyper_parameters"]["info_dict"]["versions"]["nequip"] = "0.9.1"
    torch.save(stored, tmp_path / "old.ckpt")
    assert "was written by nequip 0.9.1" in refusal(tmp_path / "old.ckpt")


class ScaleShiftMACE(torch.nn.Module):
    """A model of another framework, as torch.save writes it."""


def test_pickles_of_other_things_are_refused(tmp_path):
    torch.save(ScaleShiftMACE(), tmp_path / "mace.model")
    assert "ScaleShiftMACE, no checkpoint of the nequip framework" in refusal(
        tmp_path / "mace.model"
    )
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.pth")
    assert "holds weights or other data" in refusal(tmp_path / "weights.pth")


def test_a_pickle_that_needs_another_package_is_refused(tmp_path, monkeypatch):
    torch.save({}, tmp_path / "mace.model")

    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'mace'", name="mace")

    monkeypatch.setattr(torch, "load", missing)
    assert "needs the package 'mace'" in refusal(tmp_path / "mace.model")


def test_torchscript_is_refused_because_nequip_does(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "model.nequip.pth")
    assert "TorchScript, which nequip" in refusal(tmp_path / "model.nequip.pth")


# Compiled files. nequip-compile takes minutes, so that a function with its inputs and outputs
# stands for what it writes.


class Compiled:
    """The eager model, with the inputs and outputs of a compiled one."""

    def __init__(self, model: Model, inputs=compiled.INPUTS, outputs=compiled.OUTPUTS):
        self.model, self.input_keys, self.output_keys = model, inputs, outputs

    def __call__(self, given: dict) -> dict:
        assert set(given) == set(self.input_keys)
        assert given["edge_index"].shape[1] >= 2, "compiled code cannot take an empty list"
        with torch.enable_grad():  # compiled code has its derivatives inside
            out = self.model.module(dict(given))
        return {key: out[key] for key in self.output_keys}

    def metadata(self) -> dict:
        return {
            "r_max": self.model.cutoff, "type_names": list(self.model.type_names),
            "model_dtype": str(self.model.dtype).removeprefix("torch."),
            "per_edge_type_cutoff": None,
        }  # fmt: skip


def load(function: Compiled, tmp_path: Path, monkeypatch) -> Model:
    from nequip.model import inference_models

    monkeypatch.setattr(
        inference_models, "load_compiled_model", lambda *_: (function, function.metadata())
    )
    monkeypatch.setattr(foreign, "_check_container", lambda _: None)
    path = tmp_path / "some.nequip.pt2"
    path.touch()
    return load_model(path, trust=True, device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_compiled_file_that_returns_its_edges_is_decomposed(tmp_path, monkeypatch, dtype):
    eager = random_model(dtype)
    model = load(Compiled(eager), tmp_path, monkeypatch)
    assert model.atomic_energies == pytest.approx(eager.atomic_energies, abs=1e-4)
    structures = [*(molecule(name) for name in MOLECULES), Atoms("H"),
                  Atoms("CO", [[0, 0, 0], [0, 0, 9]])]  # fmt: skip
    pairs = zip(edges.decompose(eager, structures), edges.decompose(model, structures), strict=True)
    for first, second in pairs:
        np.testing.assert_allclose(
            second.edge_energies, first.edge_energies, atol=10 * precision(eager)
        )
        np.testing.assert_allclose(second.edge_lengths, first.edge_lengths, atol=1e-6)
    for block, expected in zip(
        evaluation.predict(model, structures)[1], evaluation.predict(eager, structures)[1],
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(block, expected, atol=1e-5)


def test_a_compiled_file_without_edges_is_refused_with_what_it_returns(tmp_path, monkeypatch):
    ase = Compiled(random_model(), outputs=("atomic_energy", "total_energy", "forces"))
    with pytest.raises(E3DError, match=r"returns atomic_energy, total_energy, forces but not edge"):
        load(ase, tmp_path, monkeypatch)
    batch = Compiled(random_model(), inputs=(*compiled.INPUTS, "batch", "num_atoms"))
    with pytest.raises(E3DError, match="was compiled for the inputs"):
        load(batch, tmp_path, monkeypatch)


def test_a_compiled_pair_potential_cannot_be_told_apart(tmp_path, monkeypatch):
    zbl = nequip_matrix._zbl(["H", "C", "N", "O"])
    with pytest.raises(E3DError, match=r"not linear .* pair potential"):
        load(Compiled(random_model(pair_potential=zbl)), tmp_path, monkeypatch)
