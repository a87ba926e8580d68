"""The notebook about one's own molecule in JupyterLab, in a browser: a box to type in, offline."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

from e3d.paths import CHECKPOINTS, NOTEBOOKS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
#: Milliseconds that starting JupyterLab, a kernel and the models may take beside other work.
PATIENCE = 300_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not (CHECKPOINTS / "finetuned-s0").exists(), reason="not pulled"),
]


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab of its own that shows a copy of the notebook, one model in it."""
    notebook = nbformat.read(NOTEBOOKS / "your_molecule.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("models = []", 'models = ["checkpoints/finetuned-s0"]')
        cell.source = cell.source.replace('output_dir = ""', f'output_dir = "{tmp_path / "out"}"')
    (tmp_path / "shown").mkdir()
    nbformat.write(notebook, tmp_path / "shown" / "your_molecule.ipynb")
    port = free_port()
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--port={port}", "--IdentityProvider.token=", f"--notebook-dir={tmp_path / 'shown'}"],
            env=os.environ | own | {"IPYTHONDIR": str(tmp_path / "ipython")}, stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/api", server)
        yield f"http://127.0.0.1:{port}/lab/tree/your_molecule.ipynb"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: subprocess.Popen) -> None:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until:
        assert server.poll() is None, "JupyterLab has ended"
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail("JupyterLab does not answer")


def headings(page: Page) -> list[str]:
    frame = page.frame_locator("iframe[title='bond energies']")
    frame.locator("table.bonds tbody tr").first.wait_for(timeout=PATIENCE)
    return frame.locator("h2").all_inner_texts()


def test_one_types_a_molecule_and_sees_its_bonds(lab: str) -> None:
    said: list[str] = []
    asked: list[str] = []
    options = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(lab, timeout=PATIENCE)
        # what runs before the kernel is there is not run
        page.get_by_text("(ipykernel) | Idle").wait_for(timeout=PATIENCE)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_selector("iframe[title='bond energies']", timeout=PATIENCE)
        assert headings(page) == ["CCO"]
        box = page.locator(".widget-text input")
        box.fill("O C(C")
        box.press("Enter")
        page.get_by_text("cannot be parsed").wait_for(timeout=PATIENCE)
        assert headings(page) == ["O"]
        browser.close()
    assert said == []
    outside = [url for url in asked if url.startswith("http") and "//127.0.0.1:" not in url]
    assert outside == []
