"""A compiled model gives the edges of the eager one, or none."""

import shutil

import numpy as np
import pytest
import torch
from ase.build import molecule
from examples import random_model

from e3d.decomposition import compilation, edges
from e3d.decomposition.compilation import Compiled, decide, forward_of
from e3d.errors import E3DError
from e3d.models import batches
from e3d.models.allegro import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("float32", num_layers=1)


def test_only_large_data_sets_are_worth_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(compilation, "forward_of", lambda one: tried.append(one))
    assert not decide("no", [model], 10**6)
    assert not decide("auto", [model], compilation.WORTHWHILE - 1)
    assert not tried
    assert decide("auto", [model], compilation.WORTHWHILE)
    assert decide("yes", [model], 1)
    assert tried == [model, model]
    with pytest.raises(E3DError, match="expected auto, yes or no"):
        decide("maybe", [model], 1)


@pytest.mark.parametrize("wrong", ["edge", "compiler"])
def test_what_differs_or_cannot_be_compiled_is_refused(
    wrong: str, model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compiled(network: torch.nn.Module, **_: object) -> object:
        def function(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            if wrong == "compiler":
                raise RuntimeError("no C++ compiler")
            out = network(inputs)
            out["edge_energy"] = out["edge_energy"].clone()
            out["edge_energy"][3] += 0.01
            out["edge_energy"][4] -= 0.01  # the total is right
            return out

        return function

    monkeypatch.setattr(torch, "compile", compiled)
    cause = "is another one when compiled" if wrong == "edge" else "cannot be compiled: no C"
    with pytest.raises(E3DError, match=cause):
        decide("yes", [model], 1)
    assert not decide("auto", [model], compilation.WORTHWHILE)
    told = capsys.readouterr().err
    assert told.startswith(f"not compiled: {'an edge' if wrong == 'edge' else model.name}")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of PyTorch's compiler, about itself
def test_the_compiled_network_has_the_edges_of_the_eager_one(model: Model) -> None:
    names = ["CH3CH2OH", "H2O", "CH4", "C6H6", "CH3CN", "H2", "HCN"]
    structures = [molecule(name) for name in names]
    forward = forward_of(model)
    for size in (7, 3, 1):
        graphs = batches.batches(model, structures, size)
        found = list(edges.decompose_batches(model, graphs, forward=forward))
        for one, other in zip(found, edges.decompose(model, structures), strict=True):
            np.testing.assert_array_equal(one.edge_index, other.edge_index)
            np.testing.assert_allclose(one.edge_energies, other.edge_energies, rtol=0, atol=1e-5)
    assert isinstance(forward, Compiled)
    assert forward.compared
