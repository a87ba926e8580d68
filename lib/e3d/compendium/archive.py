"""The compendium as one archive: a Workflow Run RO-Crate with metadata for Zenodo.

The crate tells, of every stage in `dvc.lock`, which notebook made which files from which, with what
parameters, and on what machine; its metadata are a file of JSON-LD that other tools read.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rocrate.model.computerlanguage import ComputerLanguage
from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate
from tqdm import tqdm

from e3d import files
from e3d.compendium import provenance
from e3d.compendium.cards import card
from e3d.errors import E3DError
from e3d.paths import ROOT

_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
#: Terms of the profiles, among them `sha256` and `environment`.
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
#: Folders whose files have a card of their own.
_CARDS = ("data", "labels", "checkpoints", "simulations")
#: Licences by their identifiers in CITATION.cff.
_LICENCES = "https://spdx.org/licenses/"


def write(target: Path, root: Path = ROOT) -> Path:
    """Write the archive `target`, a zip file, of the checkout `root`; returns its path.

    Raises E3DError when something that `dvc.lock` names is not there, or a record is damaged.
    """
    with files.replacing(target) as temporary, tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "crate"
        _tracked(root, folder)
        made = crate(root)
        made.write(folder)
        shutil.move(shutil.make_archive(str(Path(name) / "packed"), "zip", folder), temporary)
    return target


def crate(root: Path = ROOT) -> ROCrate:
    """The Workflow Run RO-Crate of the checkout `root`, to be written.

    Raises E3DError when a file or record is missing or damaged.
    """
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    stages = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    made = ROCrate(version="1.1")  # which the profiles of runs are made for
    made.metadata.extra_contexts.append(_TERMS)
    made.name, made.description = citation["title"], citation["message"]
    made.license = _LICENCES + citation["license"]
    made.root_dataset["version"] = citation["version"]
    made.root_dataset["keywords"] = ", ".join(citation["keywords"])
    made.root_dataset["author"] = made.add(
        ContextEntity(made, "#authors", {"@type": "Organization",
                                         "name": citation["authors"][0]["name"]})
    )  # fmt: skip
    dvc = made.add(ComputerLanguage(made, "#dvc", {"name": "DVC", "url": "https://dvc.org"}))
    workflow = made.add_workflow(root / "dvc.yaml", "dvc.yaml", main=True, lang=dvc)
    workflow["name"] = "the pipeline of the compendium"
    for name in ("dvc.lock", "params.yaml", "requirements.lock", "CITATION.cff"):
        made.add_file(root / name, name)
    made.add_file(root / "README.md", "README.md", properties={"encodingFormat": "text/markdown"})
    for name in tqdm(sorted(stages), desc="describing", unit="stage", leave=False):
        _add_stage(made, root, name, stages[name])
    _add_cards(made, root, stages)
    _add_whole_run(made, workflow, stages)
    _add_profiles(made)
    _add_generated(made, "zenodo.json", json.dumps(zenodo(citation), indent=2))
    return made


def zenodo(citation: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a deposit at Zenodo, from the content of CITATION.cff."""
    return {
        "title": citation["title"],
        "upload_type": "software",
        "description": citation["message"],
        "creators": [{"name": author["name"]} for author in citation["authors"]],
        "version": str(citation["version"]),
        "license": citation["license"],
        "keywords": citation["keywords"],
        "related_identifiers": [
            {"identifier": entry["url"], "relation": "isSupplementTo"}
            for entry in citation["references"]
        ],
    }


def _tracked(root: Path, folder: Path) -> None:
    """Copy what git tracks, except for the remote, whose files are here under their own names."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], check=True,
                            capture_output=True, text=True).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if not name.startswith("remote/") and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)


def _add_stage(made: ROCrate, root: Path, name: str, stage: dict[str, Any]) -> None:
    """One stage as an action: a notebook made results of objects, on a machine."""
    used = [_entity(made, root, entry) for entry in stage["deps"]]
    results = [_entity(made, root, entry) for entry in stage.get("outs", [])]
    record = _record(root, name)
    notebooks = [entity for entity in used if entity.id.endswith(".ipynb")]
    action = made.add_action(
        notebooks[0] if notebooks else made.mainEntity,
        identifier=f"#{name}",
        object=[entity for entity in used if entity not in notebooks[:1]],
        result=results,
        properties={
            "name": stage["cmd"],
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    if record is not None:
        action["object"] = [*action.get("object", []), *_parameters(made, name, record)]
        action["description"] = (
            f"code {record['code']}; requirements.lock {record['requirements_lock_sha256']}; "
            f"{record['machine']}; {record['wall_time_s']} s"
        )


def _record(root: Path, stage: str) -> dict[str, Any] | None:
    path = root / "provenance" / f"{stage}.json"
    return provenance.read(path) if path.exists() else None


def _add_cards(made: ROCrate, root: Path, stages: dict[str, Any]) -> None:
    """A card for every file of data and every checkpoint, those that no stage makes included."""
    makers: dict[str, str | None] = {
        str(path.relative_to(root)): None for path in sorted((root / "data").glob("*"))
    }
    users: dict[str, set[str]] = {}
    for name, stage in stages.items():
        makers |= {entry["path"]: name for entry in stage.get("outs", [])}
        for entry in stage["deps"]:
            users.setdefault(entry["path"], set()).add(name)
    for path, maker in tqdm(makers.items(), desc="cards", unit="file", leave=False):
        if path.split("/")[0] in _CARDS:
            record = _record(root, maker) if maker else None
            above = ["/".join(path.split("/")[:k]) for k in range(1, path.count("/") + 2)]
            used_by = set[str]().union(*(users.get(each, ()) for each in above))
            text = card(root / path, record, used_by=used_by)
            about = _entity(made, root, {"path": path})
            _add_generated(made, f"cards/{path.replace('/', '-')}.md", text, about=about)


def _parameters(made: ROCrate, stage: str, record: dict[str, Any]) -> list[Entity]:
    return [
        made.add(ContextEntity(made, f"#{stage}/{key}", {
            "@type": "PropertyValue", "name": key, "value": json.dumps(value, ensure_ascii=False),
        }))
        for key, value in record["parameters"].items()
    ]  # fmt: skip


def _entity(made: ROCrate, root: Path, entry: dict[str, Any]) -> Entity:
    """A file or folder, with its hash in `dvc.lock` where it is named there."""
    name = entry["path"]
    known = made.dereference(name) or made.dereference(f"{name}/")
    if known is not None:
        return known
    if not (root / name).exists():
        raise E3DError(f"{name} is missing; `make book` makes or fetches whatever is archived")
    add = made.add_directory if (root / name).is_dir() else made.add_file
    properties: dict[str, Any] = {"name": name}
    if "md5" in entry:
        properties |= {"identifier": f"md5:{entry['md5']}",
                       "contentSize": str(entry.get("size", ""))}  # fmt: skip
    if name.endswith(".ipynb"):
        properties["@type"] = ["File", "SoftwareSourceCode"]
    return add(root / name, name, properties=properties)


def _add_whole_run(made: ROCrate, workflow: Entity, stages: dict[str, Any]) -> None:
    """The pipeline as one action: from what no stage makes to what no stage uses."""
    outs = {entry["path"] for stage in stages.values() for entry in stage.get("outs", [])}
    deps = {entry["path"] for stage in stages.values() for entry in stage["deps"]}

    def entities(names: set[str]) -> list[Entity]:
        found = [made.dereference(name) or made.dereference(f"{name}/") for name in sorted(names)]
        return [entity for entity in found if entity is not None]

    action = made.add_action(
        workflow, identifier="#pipeline", object=entities(deps - outs), result=entities(outs),
        properties={"name": "dvc repro"},
    )  # fmt: skip
    made.root_dataset.append_to("mentions", action)


def _add_profiles(made: ROCrate) -> None:
    for address, name in _PROFILES.items():
        profile = ContextEntity(made, address, {
            "@type": "CreativeWork", "name": name, "version": address.rsplit("/", 1)[1],
        })  # fmt: skip
        made.root_dataset.append_to("conformsTo", made.add(profile))


def _add_generated(made: ROCrate, name: str, text: str, *, about: Entity | None = None) -> None:
    properties = {"name": name} | ({"about": {"@id": about.id}} if about is not None else {})
    made.add_file(io.StringIO(text), name, properties=properties)
