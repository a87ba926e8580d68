"""Figures one after another, with a slider and a button to play: works offline and by keyboard."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from io import BytesIO
from string import Template
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from e3d.errors import E3DError

#: Dots per inch of a frame; a page shows it at most as wide as its text.
_DPI = 110
_MILLISECONDS = 900
_PAGE = Template("""<div class="e3d-frames" role="group" aria-label="$alt">
<img src="$first" alt="$alt" style="width:100%;max-width:60rem;height:auto">
<p><button type="button">Play</button>
<label>$what <input type="range" min="0" max="$last" value="$last" step="1"></label>
<output>$label</output></p>
<script>
(() => {
  const box = document.currentScript.parentElement, [image, button, range, output] =
    ["img", "button", "input", "output"].map(name => box.querySelector(name));
  const frames = $frames, labels = $labels;
  let timer = 0;
  const show = () => { image.src = frames[range.value]; output.textContent = labels[range.value];
    range.setAttribute("aria-valuetext", labels[range.value]); };
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
  range.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (+range.value === frames.length - 1) range.value = 0;
    show(); button.textContent = "Stop";
    timer = setInterval(() => { range.value = +range.value + 1; show();
      if (+range.value === frames.length - 1) stop(); }, $pause);
  });
  show();
})();
</script></div>""")


def page(figures: Sequence[Figure], labels: Sequence[str], *, what: str, alt: str) -> str:
    """HTML of figures of one size, that one steps through; closes the figures.

    labels: of each figure, e.g. "step 100"; what: they are values of, e.g. "gradient step"; alt:
    what the figures show, for who cannot see them. Without script the last figure is shown.

    Raises E3DError for no figures, and for more or fewer labels than figures.
    """
    if not figures or len(figures) != len(labels):
        raise E3DError(f"{len(figures)} figures have {len(labels)} labels; give one for each")
    frames = [_address(figure) for figure in figures]
    return _PAGE.substitute(
        alt=escape(alt), first=frames[-1], last=len(frames) - 1, what=escape(what),
        label=escape(labels[-1]), pause=_MILLISECONDS, frames=_list(frames), labels=_list(labels),
    )  # fmt: skip


def show(figures: Sequence[Figure], labels: Sequence[str], *, what: str, alt: str) -> None:
    """Display `page` in a notebook; the book keeps its script."""
    from IPython.display import display

    data: dict[str, Any] = {"text/html": page(figures, labels, what=what, alt=alt),
                            "text/plain": alt}  # fmt: skip
    display(data, raw=True, metadata={"text/html": {"script": True}})


def _address(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _list(texts: Sequence[str]) -> str:
    """A list of JavaScript; no text can end the script that it stands in."""
    return json.dumps(list(texts)).replace("<", "\\u003c")
