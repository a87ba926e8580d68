"""One environment: pyproject.toml, requirements.lock and environment.yml say the same."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from e3d.__init__ import __version__
from e3d.paths import LOCK, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


PIN = re.compile(
    r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)(?: ; sys_platform == 'linux')?"
    r"((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def pins(path: Path) -> dict[str, str]:
    """Canonical name → version of every entry of a lock, which has nothing but pins with hashes."""
    text = path.read_text()
    assert PIN.sub("", text) == ""
    return {canonicalize_name(pin[1]): pin[2] for pin in PIN.finditer(text)}


def locked() -> dict[str, str]:
    """What `make environment` installs here: CUDA only with the build of torch that uses it."""
    return pins(LOCK) | ({} if "+cpu" in version("torch") else pins(ROOT / "cuda.lock"))


def needed(requirements: list[str]) -> set[str]:
    """Canonical names of the requirements and of everything below them, as installed here."""
    found: set[str] = set()
    todo = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in distribution(name).requires or []:
            below = Requirement(text)
            if below.marker is None or any(
                below.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            ):
                todo.append(below)
    return found


def test_the_lock_holds_what_the_project_needs_and_nothing_else() -> None:
    assert set(locked()) == needed(PROJECT["dependencies"])


def test_locked_versions_satisfy_the_direct_dependencies() -> None:
    pins = locked()
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin, prereleases=True), f"{text}: locked {pin}"


def test_what_is_installed_is_what_is_locked() -> None:
    for name, pin in locked().items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            pytest.fail(f"{name} is locked but not installed; run make environment")
        assert installed == pin, f"{name}: installed {installed}, locked {pin}"


def test_nothing_is_installed_that_no_hash_names() -> None:
    installs = re.findall(r"^\t.*INSTALL\) (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(installs) == 4
    assert "--no-deps" in (ROOT / "Makefile").read_text()
    for options in installs:
        assert "--require-hashes" in options or "--no-build-isolation --editable ." in options
    assert {"pip", "setuptools", "wheel"} <= set(pins(LOCK))


def test_actions_are_commits_and_not_tags() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (.+)", workflow.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[0-9.]+", used), used


def test_dvc_reports_to_nobody() -> None:
    config = (ROOT / ".dvc" / "config").read_text()
    assert re.search(r"analytics = false\s", config)
    assert re.search(r"check_update = false\s", config)


def test_the_malicious_lightning_uploads_are_excluded() -> None:
    lightning = next(Requirement(t) for t in PROJECT["dependencies"] if t.startswith("lightning"))
    assert not lightning.specifier.contains("2.6.2")
    assert not lightning.specifier.contains("2.6.3")


def test_the_conda_environment_is_python_the_lock_and_the_project() -> None:
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, nested = content["dependencies"]
    assert Requirement(python.replace("=", "==")).specifier.contains("3.11")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains("3.11.0")
    assert pip == "pip"
    assert nested == {"pip": ["-r requirements.lock", "-r cuda.lock"]}


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize(
    ("prints", "code", "expected", "said"),
    [
        ("No known vulnerabilities found", 0, 0, "No known vulnerabilities found"),
        ("Found 1 known vulnerability in 1 package", 1, 1, "Found 1 known vulnerability"),
        ("ERROR: numpy could not be audited", 1, 2, "nobody could be asked"),
    ],
)
def test_an_audit_that_asked_nobody_does_not_pass_for_one(
    tmp_path: Path, prints: str, code: int, expected: int, said: str
) -> None:
    (tmp_path / "pip-audit").write_text(f"#!/bin/sh\necho '{prints}'\nexit {code}\n")
    (tmp_path / "pip-audit").chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "audit"], env=os.environ | {"PIP_AUDIT": str(tmp_path / "pip-audit")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == expected
    assert said in done.stdout + done.stderr
    assert prints in done.stdout + done.stderr
