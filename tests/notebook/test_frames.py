"""Figures to step through: complete in themselves, and no text ends their script."""

import base64
import json
import re

import nbformat
import pytest
from matplotlib import pyplot as plt

from e3d.compendium import harmless
from e3d.errors import E3DError
from e3d.notebook import frames


def drawn(n: int) -> list:
    figures = []
    for k in range(n):
        fig, ax = plt.subplots(figsize=(1, 1))
        ax.plot([0, k])
        figures.append(fig)
    return figures


def test_every_frame_is_a_picture_in_the_page_and_nothing_comes_from_elsewhere() -> None:
    html = frames.page(drawn(3), ["a", "b", "</script><b>"], what="step", alt='what "it" shows')
    listed = json.loads(re.search(r"frames = (\[.*?\]), labels", html)[1])
    assert len(set(listed)) == 3
    for address in listed:
        kind, data = address.split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert html.count("</script>") == 1
    assert "&quot;it&quot;" in html
    assert "http" not in html.replace("data:image", "")
    assert not plt.get_fignums(), "the figures are closed"


def test_labels_that_do_not_fit_are_refused() -> None:
    for figures, labels in (([], []), (drawn(1), ["a", "b"])):
        with pytest.raises(E3DError, match="one for each"):
            frames.page(figures, labels, what="step", alt="x")
    plt.close("all")


def test_the_book_keeps_the_script_of_frames_and_of_nothing_else(monkeypatch) -> None:
    kept = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **options: kept.append((data, options))
    )
    frames.show(drawn(2), ["a", "b"], what="step", alt="x")
    ((data, options),) = kept
    output = nbformat.v4.new_output("display_data", data=data, metadata=options["metadata"])
    other = nbformat.v4.new_output("display_data", data=dict(data))
    cell = nbformat.v4.new_code_cell(outputs=[output, other])
    mine, theirs = harmless.outputs(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert "<script>" in mine["data"]["text/html"]
    assert "<script>" not in theirs["data"]["text/html"]
