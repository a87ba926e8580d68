"""All that is said of a molecule, by the command and in JupyterLab; what it warns of."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from examples import random_model

from e3d.bde.ensemble import Ensemble
from e3d.bde.widget import Explorer
from e3d.data.dataset import Dataset
from e3d.decomposition.domain import Domain, fingerprint
from e3d.decomposition.latent import Latent
from e3d.decomposition.zeros import shared_over_bonds, zero_of
from e3d.errors import E3DError
from e3d.paths import DATA


def ensemble(domain: Domain | None = None) -> Ensemble:
    models = [random_model("float32", seed=seed) for seed in (1, 2)]
    return Ensemble(models, [zero_of(model) for model in models], domain, {})


def narrow(of: Ensemble) -> Domain:
    """Trained on hydrogen and carbon, two heavy atoms, without any bond."""
    latents = {fingerprint(m): Latent({}, np.eye(8), 1.0) for m in of.models}
    return Domain(latents, ("H", "C"), 2, 10, 5, 0.0)


def test_a_molecule_unlike_those_of_training_is_told():
    plain = ensemble()
    (report,) = plain.reports("CCO")
    assert report["warnings"] == []
    assert "unfamiliarity" not in report["bonds"][0]
    (report,) = Ensemble(plain.models, plain.zeros, narrow(plain), {}).reports("CCO")
    told = "\n".join(report["warnings"])
    assert "no molecule of training has O" in told
    assert "3 atoms besides hydrogen; the molecules of training have at most 2" in told
    assert "surroundings unlike those of training: C-C 0-1" in told
    assert "and 4 more" in told
    assert "the models differ by more than 0.0 kcal/mol" in told
    assert report["bonds"][0]["unfamiliarity"] is None
    json.dumps(report, allow_nan=False)


def test_other_models_are_not_judged_by_the_training_of_these():
    plain = ensemble()
    others = Ensemble(
        [random_model("float32", seed=5)], [zero_of(plain.models[0])], narrow(plain), {}
    )
    (report,) = others.reports("CCO")
    assert report["warnings"] == []


def test_a_box_shows_what_it_can_and_names_what_it_cannot():
    explorer = Explorer(ensemble(), "O")
    assert [report["smiles"] for report in explorer.reports] == ["O"]
    assert 'sandbox="allow-scripts"' in explorer.shown.value
    assert "<script" not in explorer.shown.value  # escaped, within the frame
    explorer.box.value = "N C(<b>C"
    assert [report["smiles"] for report in explorer.reports] == ["N"]
    assert "&lt;b&gt;" in explorer.told.value
    assert "<b>" not in explorer.told.value
    explorer.box.value = "C(C"
    assert (explorer.reports, explorer.shown.value) == ([], "")


def test_the_zero_is_that_of_the_model_its_data_set_or_a_file(tmp_path):
    model = random_model("float64")
    assert zero_of(model).energies == model.atomic_energies
    with pytest.raises(E3DError, match="does not tell"):
        zero_of(model, "isolated")
    model.metadata["dataset"] = {"path": "data/dft-small.h5"}
    with Dataset(DATA / "dft-small.h5") as dataset:
        assert zero_of(model, "isolated").energies == dataset.atomic_energies("isolated")
        assert zero_of(model, str(DATA / "dft-small.h5")).energies == dataset.atomic_energies()
    model.metadata.clear()  # as of a model from elsewhere
    alone = zero_of(model)
    assert alone.source == "isolated atoms, evaluated by the model"
    assert alone.energies == pytest.approx(model.atomic_energies)
    for name, text, cause in (
        ("list.json", "[1]", "no table"), ("text.json", "H -13", "no table"),
        ("nan.json", '{"H": NaN}', "finite"), ("none.json", None, "no such file"),
    ):  # fmt: skip
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(E3DError, match=cause):
            zero_of(model, str(tmp_path / name))
    (tmp_path / "few.json").write_text('{"H": -13.6}')
    few = Ensemble([model], [zero_of(model, str(tmp_path / "few.json"))], None, {})
    (error,) = few.reports("O")
    assert isinstance(error, E3DError)
    assert "no energy of O" in str(error)


def test_shares_of_a_zero_sum_to_it():
    bonds = np.array([[0, 1], [0, 2], [1, 2]])
    shares = shared_over_bonds(np.array([1.0, 2.0, 4.0]), bonds)
    assert shares.sum() == pytest.approx(7.0)
    assert shares[0] == pytest.approx(1.5)
    assert shared_over_bonds(np.ones(1), np.empty((0, 2), int)).tolist() == []


def test_a_single_atom_is_bound_by_nothing(tmp_path):
    import ase.io

    ase.io.write(tmp_path / "atom.xyz", Atoms("C"))
    (report,) = ensemble().reports(str(tmp_path / "atom.xyz"))
    assert (report["bonds"], report["atomization_energy_eV"]) == ([], 0.0)


def test_the_command_imports_no_more_than_it_needs():
    code = """
import sys, e3d.cli.bonds, e3d.bde.ensemble, e3d.decomposition.text
heavy = {"pandas", "sklearn", "h5py", "pyscf", "rfc3987_syntax", "IPython"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
