"""The archive: a crate that its own package reads, complete and with the hashes of the run."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from rocrate.rocrate import ROCrate

from e3d.compendium import archive, cards, provenance
from e3d.errors import E3DError
from e3d.paths import CHECKPOINTS, DATA, PROVENANCE, ROOT

COPIED = ["CITATION.cff", "README.md", "params.yaml", "dvc.yaml", "requirements.lock"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one stage that has run."""
    root = tmp_path / "checkout"
    for folder in ("data", "notebooks", "results", "provenance", "remote"):
        (root / folder).mkdir(parents=True)
    for name in COPIED:
        shutil.copyfile(ROOT / name, root / name)
    (root / "data" / "b.smi").write_text("# Some.\nC\nO\n")  # which no stage reads
    for name in ("data/a.csv", "labels.csv", "notebooks/01_a.ipynb", "results/a.csv", "remote/x"):
        (root / name).write_text("x\n1\n")
    record = provenance.record("a", ROOT / "notebooks/01_a.ipynb", {"seed": 3}, [], wall_time_s=1.0)
    provenance.write(root / "provenance" / "a.json", record)
    stage = {
        "cmd": "e3d stage a",
        "deps": [{"path": "data/a.csv", "md5": "0" * 32, "size": 4},
                 {"path": "notebooks/01_a.ipynb", "md5": "1" * 32, "size": 4}],
        "outs": [{"path": "results/a.csv", "md5": "2" * 32, "size": 4}],
    }  # fmt: skip
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"a": stage}}))
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "add", "--all"], check=True)
    return root


def test_the_archive_is_a_crate_that_tells_what_made_what(checkout: Path, tmp_path: Path) -> None:
    packed = archive.write(tmp_path / "e3d.zip", checkout)
    with zipfile.ZipFile(packed) as content:
        assert content.testzip() is None
        assert "remote/x" not in content.namelist()
        assert {*COPIED, "dvc.lock", "zenodo.json"} <= set(content.namelist())
        content.extractall(tmp_path / "unpacked")
    crate = ROCrate(tmp_path / "unpacked")
    assert crate.mainEntity.id == "dvc.yaml"
    action = crate.dereference("#a")
    assert action["instrument"].id == "notebooks/01_a.ipynb"
    assert [entity.id for entity in action["result"]] == ["results/a.csv"]
    assert {entity.id for entity in action["object"]} == {"data/a.csv", "#a/seed"}
    assert crate.dereference("#a/seed")["value"] == "3"
    assert provenance.code_revision()[:40] in action["description"]
    assert crate.dereference("results/a.csv")["identifier"] == "md5:" + "2" * 32
    for name, kind in (("a.csv", "table"), ("b.smi", "SMILES")):
        about = crate.dereference(f"cards/data-{name}.md")
        assert about["about"].id == f"data/{name}"
        text = (tmp_path / "unpacked" / about.id).read_text()
        assert f"| kind | `{kind}` |" in text
        assert ("| stages | `a` |" in text) is (name == "a.csv")
    whole = crate.dereference("#pipeline")
    assert whole["instrument"].id == "dvc.yaml"
    for entity in crate.data_entities:  # everything that it names is there
        assert (tmp_path / "unpacked" / entity.id).exists(), entity.id
    profiles = {entity if isinstance(entity, str) else entity.id
                for entity in crate.root_dataset["conformsTo"]}  # fmt: skip
    assert set(archive._PROFILES) <= profiles


def test_what_is_missing_is_named_and_nothing_is_written(checkout: Path, tmp_path: Path) -> None:
    (checkout / "results" / "a.csv").unlink()
    with pytest.raises(E3DError, match=r"results/a\.csv is missing; `make book`"):
        archive.write(tmp_path / "e3d.zip", checkout)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_the_deposit_is_described_by_the_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    deposit = json.loads(json.dumps(archive.zenodo(citation)))
    assert deposit["title"] == citation["title"]
    assert deposit["version"] == citation["version"]
    assert deposit["related_identifiers"][0]["identifier"].endswith("2506.07579")


@pytest.mark.skipif(not (CHECKPOINTS / "finetuned-s0").is_dir(), reason="not pulled: make pull")
def test_a_model_card_tells_data_training_and_origin() -> None:
    record = provenance.read(PROVENANCE / "finetune@finetuned-s0.json")
    text = cards.card(CHECKPOINTS / "finetuned-s0", record)
    for said in ("wB97M-D3(BJ)/def2-TZVP", "H, C, N, O", record["code"], record["machine"],
                 "data/dft-small.h5", "molecules_forces_mae", "finetune@finetuned-s0"):  # fmt: skip
        assert said in text


DESCRIBED = {
    "dft-small.h5": ["wB97M-D3(BJ)/def2-TZVP", "| molecules |", "| conformations |", "CC0"],
    "bde_reference.csv": ["value_kcal_per_mol", "W4-17", "| rows |"],
    "dft_minor.smi": ["Small molecules with F, Si, S or Cl", "| molecules |"],
}


@pytest.mark.skipif(not DATA.is_dir(), reason="not pulled: make pull")
def test_every_file_of_data_has_a_card_that_tells_what_it_is() -> None:
    for path in sorted(DATA.iterdir()):
        text = cards.card(path, None, used_by=["data"])
        for said in ("SHA-256", "licen", "| stages | `data` |", *DESCRIBED.get(path.name, [])):
            assert said in text, (path.name, said)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name, content in (("a.h5", b"no HDF5"), ("a.csv", b""), ("a.json", b"{"), ("a.xyz", b"x")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(E3DError, match=rf"{re.escape(name)} cannot be described \(.+\); pull"):
            cards.card(path, None)


@pytest.mark.skipif(not (CHECKPOINTS / "shuffled-s0").is_dir(), reason="not pulled: make pull")
def test_the_card_of_a_null_model_warns() -> None:
    assert "nothing: its labels were permuted" in cards.card(CHECKPOINTS / "shuffled-s0", None)
