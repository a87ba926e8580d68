"""`e3d bonds`, and what every command does with bad input."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from e3d import cli
from e3d.chemistry.structures import Structure
from e3d.data.dataset import Dataset
from e3d.decomposition.edges import decompose
from e3d.decomposition.report import bond_report
from e3d.decomposition.zeros import Zero, zero_of
from e3d.models import allegro
from e3d.models.checkpoint import save_checkpoint
from e3d.paths import CHECKPOINTS, DATA
from e3d.units import KCAL_PER_MOL_PER_EV

TYPES = ["H", "C", "N", "O"]
ROW = ["i", "j", "class", "length_A", "energy_eV", "bde_kcal_per_mol", "dressed_kcal_per_mol",
       "std_kcal_per_mol"]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> list[Path]:
    """Two small random models in checkpoint folders."""
    folders = []
    for seed in (1, 2):
        architecture = {
            "seed": seed, "model_dtype": "float32", "type_names": TYPES, "r_max": 4.0, "l_max": 1,
            "num_layers": 1, "num_scalar_features": 8, "num_tensor_features": 4,
            "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
            "avg_num_neighbors": 8.0, "per_type_energy_scales": dict.fromkeys(TYPES, 2.0),
            "per_type_energy_shifts": {"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2042.0},
        }  # fmt: skip
        folder = tmp_path_factory.mktemp("checkpoints") / f"random-s{seed}"
        save_checkpoint(
            folder,
            allegro.build(architecture),
            architecture,
            dataset={},
            training={},
            cost={},
            history="",
        )
        folders.append(folder)
    return folders


@pytest.fixture
def e3d(capsys):
    """Call the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.app([str(argument) for argument in arguments], prog_name="e3d")
        output = capsys.readouterr()
        return int(stopped.value.code or 0), output.out, output.err

    return call


def structure_of_atoms(atoms: Atoms) -> Structure:
    """A molecule whose first atom is bonded to all others."""
    bonds = np.array([(0, j) for j in range(1, len(atoms))])
    classes = ["-".join(sorted((atoms[0].symbol, atoms[int(j)].symbol))) for _, j in bonds]
    return Structure(None, atoms, bonds, classes, name="a file")


def with_models(checkpoints: list[Path]) -> list[str]:
    return [text for folder in checkpoints for text in ("--model", str(folder))]


@pytest.fixture
def bonds(e3d, checkpoints):
    def call(*arguments: str | Path) -> dict:
        code, out, err = e3d("bonds", *arguments, *with_models(checkpoints), "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def test_smiles_gives_every_bond_of_the_molecule_with_hydrogens(bonds):
    report = bonds("CCO")
    assert list(report) == [
        "input", "smiles", "n_atoms", "energy_eV", "atomization_energy_eV", "sum_rule_error_eV",
        "models", "zero", "symbols", "positions_A", "bonds", "warnings",
    ]  # fmt: skip
    assert report["zero"] == "isolated atoms, as model.yaml gives them"
    assert report["symbols"][:4] == ["C", "C", "O", "H"]
    assert np.shape(report["positions_A"]) == (9, 3)
    assert (report["smiles"], report["n_atoms"]) == ("CCO", 9)
    assert report["sum_rule_error_eV"] <= 1e-5 * 9
    classes = [bond["class"] for bond in report["bonds"]]
    assert sorted(classes) == ["C-C"] + 5 * ["C-H"] + ["C-O", "H-O"]
    assert all(set(ROW) <= set(bond) for bond in report["bonds"])
    pairs = [(bond["i"], bond["j"]) for bond in report["bonds"]]
    assert pairs[:2] == [(0, 1), (0, 3)]  # heavy atoms first, as RDKit adds hydrogens
    zero = 2 * -1030.0 + 6 * -13.6 - 2042.0
    assert report["atomization_energy_eV"] == pytest.approx(zero - report["energy_eV"], abs=1e-6)


def test_dressed_values_sum_to_the_atomization_energy(bonds):
    report = bonds("C#N")
    dressed = sum(bond["dressed_kcal_per_mol"] for bond in report["bonds"])
    expected = report["atomization_energy_eV"] * KCAL_PER_MOL_PER_EV
    assert dressed == pytest.approx(expected, abs=1e-3)
    for bond in report["bonds"]:
        assert bond["bde_kcal_per_mol"] == pytest.approx(-bond["energy_eV"] * KCAL_PER_MOL_PER_EV)


def test_file_is_taken_as_given_and_the_ensemble_is_averaged(bonds, checkpoints, tmp_path):
    atoms = molecule("CH3CN")
    atoms.rattle(0.03, seed=2)
    ase.io.write(tmp_path / "acetonitrile.xyz", atoms)
    report = bonds(tmp_path / "acetonitrile.xyz")
    assert report["smiles"] == "CC#N"
    atoms = ase.io.read(tmp_path / "acetonitrile.xyz")
    tables = []
    for folder in checkpoints:
        (d,) = decompose(allegro.load_model(folder), [atoms])
        pair = [
            d.edge_energies[(([i, j] == d.edge_index.T) | ([j, i] == d.edge_index.T)).all(1)].sum()
            for i, j in ((bond["i"], bond["j"]) for bond in report["bonds"])
        ]
        tables.append(pair)
    for k, bond in enumerate(report["bonds"]):
        assert bond["length_A"] == pytest.approx(atoms.get_distance(bond["i"], bond["j"]))
        values = np.array([table[k] for table in tables])
        assert bond["energy_eV"] == pytest.approx(values.mean(), abs=1e-6)
        spread = values.std(ddof=1) * KCAL_PER_MOL_PER_EV
        assert bond["std_kcal_per_mol"] == pytest.approx(spread, abs=1e-4)
    assert "C#N" in {bond["class"] for bond in report["bonds"]}


def test_crystal_has_a_bond_to_every_image(bonds, tmp_path):
    ase.io.write(tmp_path / "diamond.cif", bulk("C", "diamond", a=3.57))
    report = bonds(tmp_path / "diamond.cif")
    assert report["smiles"] is None
    assert [bond["class"] for bond in report["bonds"]] == ["C~C"] * 4
    assert len({tuple(bond["shift"]) for bond in report["bonds"]}) == 4
    for bond in report["bonds"]:
        assert bond["length_A"] == pytest.approx(3.57 * np.sqrt(3) / 4, abs=1e-4)
        assert bond["energy_eV"] == pytest.approx(report["bonds"][0]["energy_eV"], abs=1e-5)
    dressed = sum(bond["dressed_kcal_per_mol"] for bond in report["bonds"])
    expected = report["atomization_energy_eV"] * KCAL_PER_MOL_PER_EV
    assert dressed == pytest.approx(expected, abs=1e-2)


def test_table_is_aligned_and_a_single_model_has_no_spread(e3d, checkpoints):
    code, out, _ = e3d("bonds", "O", "--model", checkpoints[0])
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("O: 3 atoms, energy")
    assert lines[1] == "zero of energy: isolated atoms, as model.yaml gives them"
    assert lines[2].split()[:8] == ["i", "j", "class", "length/Å", "ε/eV", "bare", "dressed", "std"]
    assert len({len(line) for line in lines[2:5]}) == 1
    assert lines[3].split()[7] == "-"
    assert lines[5].startswith("kcal/mol, positive when bound")
    _, out, _ = e3d("bonds", "O", "--model", checkpoints[0], "--json")
    assert json.loads(out)["bonds"][0]["std_kcal_per_mol"] is None


def test_single_atom_in_a_file_has_no_bonds(bonds, tmp_path):
    ase.io.write(tmp_path / "atom.xyz", Atoms("N"))
    report = bonds(tmp_path / "atom.xyz")
    assert report["bonds"] == []
    assert report["atomization_energy_eV"] == 0


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("C(C", "cannot be parsed"),
        ("", "cannot be parsed"),
        ("CCO.O", "2 fragments"),
        ("CCBr", "does not know Br"),
        ("C[O-]", "charge -1"),
        ("[CH3]", "unpaired"),
        ("missing.xyz", "does not exist"),
    ],
)
def test_bad_molecules_give_one_line(e3d, checkpoints, text, cause):
    code, out, err = e3d("bonds", *with_models(checkpoints), "--", text)
    assert code == 1
    assert out == ""
    assert err.startswith("e3d: ")
    assert len(err.splitlines()) == 1
    assert cause in err


def test_bad_files_give_one_line(e3d, checkpoints, tmp_path):
    (tmp_path / "broken.xyz").write_text("3\n\nH 0 0\n")
    (tmp_path / "empty.xyz").write_text("")
    ase.io.write(tmp_path / "gold.xyz", bulk("Au", cubic=True))
    for name, cause in {
        "broken.xyz": "cannot be read", "empty.xyz": "cannot be read", "gold.xyz": "not know Au",
    }.items():  # fmt: skip
        code, out, err = e3d("bonds", tmp_path / name, *with_models(checkpoints))
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert cause in err


def test_bad_models_give_one_line(e3d, checkpoints, tmp_path):
    (tmp_path / "foreign.ckpt").write_bytes(b"pickle")
    for path, cause in {
        tmp_path / "nowhere": "does not exist",
        tmp_path: "no model.yaml",
        tmp_path / "foreign.ckpt": "--trust",
    }.items():
        code, out, err = e3d("bonds", "O", "--model", path)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert cause in err


def test_module_is_the_command_and_starts_without_heavy_imports(tmp_path):
    command = [sys.executable, "-m", "e3d"]
    bad = subprocess.run(
        [*command, "check", str(tmp_path / "none.h5")], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
    assert bad.stderr.startswith("e3d: ")
    heavy = "import sys, e3d.cli; sys.exit(bool({'torch', 'rdkit', 'ase'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0


def test_check_prints_problems_and_fails(e3d, tmp_path):
    code, out, _ = e3d("check", DATA / "dft-small.h5")
    assert (code, out.splitlines()[-1]) == (0, "no problems")
    import h5py

    with Dataset(DATA / "dft-small.h5") as dataset, h5py.File(tmp_path / "bad.h5", "w") as file:
        dataset._file.copy(dataset.names[0], file)
        file[dataset.names[0]]["conformations"].attrs["units"] = "furlong"
    code, out, _ = e3d("check", tmp_path / "bad.h5", "--json")
    assert code == 1
    assert "furlong" in json.dumps(json.loads(out)["problems"])


def test_label_names_the_cause(e3d, tmp_path):
    (tmp_path / "list.smi").write_text("[H][H]\n")
    code, _, err = e3d("label", tmp_path / "list.smi", "--method", "hf", "--out", tmp_path / "o.h5")
    assert code == 1
    assert "unknown method 'hf'" in err
    assert len(err.splitlines()) == 1


def test_several_molecules_are_a_list_and_a_bad_one_is_named(e3d, checkpoints, monkeypatch):
    models = with_models(checkpoints)
    code, out, err = e3d("bonds", "O", "C(C", "[H][H]", *models, "--json")
    assert code == 1
    assert [report["smiles"] for report in json.loads(out)] == ["O", "[H][H]"]
    assert err.startswith("e3d: ")
    assert len(err.splitlines()) == 1
    assert "C(C" in err
    monkeypatch.setattr(sys, "stdin", io.StringIO("O\n\nC#N\n"))
    code, out, err = e3d("bonds", "-", *models)
    assert (code, err) == (0, "")
    assert [text.split(":")[0] for text in out.split("\n\n")] == ["O", "C#N"]


def test_a_frame_of_a_file_is_chosen(bonds, tmp_path):
    frames = [molecule("H2O"), molecule("CH4")]
    ase.io.write(tmp_path / "two.xyz", frames)
    assert [report["n_atoms"] for report in bonds(tmp_path / "two.xyz")] == [3, 5]
    assert bonds(tmp_path / "two.xyz", "--frame", "-1")["n_atoms"] == 5


def test_another_zero_is_shared_over_the_bonds_of_each_atom(bonds, tmp_path):
    zero = {"H": -13.6, "C": -1030.0, "O": -2043.0}  # that of the models, but for O
    (tmp_path / "zero.json").write_text(json.dumps(zero))
    own, other = bonds("CO"), bonds("CO", "--zero", tmp_path / "zero.json")
    assert other["zero"] == f"atomic energies of {tmp_path / 'zero.json'}"
    for before, after in zip(own["bonds"], other["bonds"], strict=True):
        change = after["energy_eV"] - before["energy_eV"]
        assert change == pytest.approx(0.5 if "O" in before["class"] else 0.0, abs=1e-6)
    assert other["atomization_energy_eV"] - own["atomization_energy_eV"] == pytest.approx(-1.0)
    total = sum(bond["dressed_kcal_per_mol"] for bond in other["bonds"])
    expected = other["atomization_energy_eV"] * KCAL_PER_MOL_PER_EV
    assert total == pytest.approx(expected, abs=1e-3)


def test_models_with_different_zeros_have_no_mean_energy(checkpoints):
    models = [allegro.load_model(folder) for folder in checkpoints]
    atoms = molecule("H2O")
    structure = structure_of_atoms(atoms)
    same = bond_report(structure, models)
    shifted = Zero({"H": -13.6, "O": -2052.0}, "shifted")
    apart = bond_report(structure, models, zeros=[zero_of(models[0]), shifted])
    assert same["energy_eV"] is not None
    assert apart["energy_eV"] is None
    assert any("different zeros" in text for text in apart["warnings"])
    assert apart["atomization_energy_eV"] == pytest.approx(same["atomization_energy_eV"] - 5.0)


def test_a_zero_that_no_molecule_can_have_is_told(checkpoints):
    (model, _) = (allegro.load_model(folder) for folder in checkpoints)
    wrong = Zero({"H": 0.0, "O": 0.0}, "a file")
    report = bond_report(structure_of_atoms(molecule("H2O")), [model], zeros=[wrong])
    assert any("give --zero" in text for text in report["warnings"])


def test_elements_that_a_model_has_never_seen_are_told(checkpoints):
    def warned(**metadata) -> list[str]:
        model = replace(allegro.load_model(checkpoints[0]), metadata=metadata)
        told = bond_report(structure_of_atoms(molecule("CH3OH")), [model])["warnings"]
        return [text for text in told if "among its elements" in text]

    (text,) = warned(training={"elements": ["H", "C"]})
    assert "lists O among its elements but was trained on C, H alone" in text
    assert warned(dataset={"elements": ["H", "C", "O"]}, training={"elements": []}) == []
    assert warned() == [], "a model that does not say"
    lost = {"elements": ["H", "C"], "initial_checkpoint": "checkpoints/that-is-not-here"}
    assert warned(training=lost) == [], "what it had seen before is not known"


def test_a_page_is_written_for_all_molecules(e3d, checkpoints, tmp_path):
    page = tmp_path / "page.html"
    code, _, err = e3d("bonds", "O", "C#N", *with_models(checkpoints), "--html", page)
    assert (code, err) == (0, "")
    assert page.read_text().count('<section class="molecule">') == 2


def test_bonds_are_broken_on_request(e3d, checkpoints):
    code, out, err = e3d("bonds", "O", *with_models(checkpoints), "--fragments", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["fragment_models"] == [folder.name for folder in checkpoints]
    for bond in report["bonds"]:
        assert bond["radicals"] == ["[OH]", "[H]"]
        assert bond["fragment_std_kcal_per_mol"] > 0
        assert bond["radicals_known"] is None
    assert any("was not trained on radicals" in text for text in report["warnings"])
    _, out, _ = e3d("bonds", "O", *with_models(checkpoints), "--fragments")
    headings = out.splitlines()[2].split()
    assert headings[headings.index("fragment") + 1] == "±"


@pytest.mark.skipif(not list(CHECKPOINTS.glob("broken/relaxed-s*/model.yaml")), reason="not pulled")
def test_shipped_models_for_radicals_know_the_fragments_of_methane(e3d):
    code, out, _ = e3d("bonds", "C", "--fragments", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["warnings"] == []
    assert report["models"] != report["fragment_models"]
    for bond in report["bonds"]:  # by DFT 111
        assert 90 < bond["fragment_bde_kcal_per_mol"] < 130


@pytest.mark.skipif(not list(CHECKPOINTS.glob("finetuned-s*/model.yaml")), reason="not pulled")
def test_shipped_ensemble_knows_its_bonds(e3d):
    code, out, _ = e3d("bonds", "CCO", "--json")
    assert code == 0
    for bond in json.loads(out)["bonds"]:
        assert 20 < bond["bde_kcal_per_mol"] < 200
        assert bond["std_kcal_per_mol"] is not None
