"""An executed notebook as one HTML page: prose, tables and figures, without the code."""

from __future__ import annotations

import re
from importlib.metadata import files as files_of
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from e3d import files
from e3d.webpage import document

#: Package that has MathJax, and the one file of it that needs no others.
_MATHJAX = ("sphinx-mathjax-offline", "tex-svg.js")
_DELIMITERS = '<script>MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]]}}</script>\n'
#: Links to other chapters, which do not lie beside the page of a run.
_NEIGHBOUR = re.compile(r'<a [^>]*href="(?!https?:|#)[^"]*"[^>]*>(.*?)</a>', re.S)
_STYLE = """
body { max-width: 56rem; }
img, svg { max-width: 100%; height: auto; }
.output_subarea { overflow-x: auto; }
img, .output_svg svg { background: #fff; }
pre { white-space: pre-wrap; } a.anchor-link { display: none; }
"""


def write_page(notebook: Path) -> Path:
    """Write `<notebook>.html` beside an executed notebook; returns its path.

    The page asks nothing of the network: images and, where there are formulas, MathJax are inside.
    """
    content = nbformat.read(notebook, as_version=4)
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_output_prompt=True, embed_images=True
    )
    resources = {"metadata": {"name": notebook.stem, "path": str(notebook.parent)}}
    body, _ = exporter.from_notebook_node(content, resources=resources)
    body = _NEIGHBOUR.sub(r"\1", body)
    formulas = any("$" in cell.source for cell in content.cells if cell.cell_type == "markdown")
    script = f"{_DELIMITERS}<script>{_mathjax()}</script>\n" if formulas else ""
    script += "\n" if "<script" in body else ""  # of outputs, such as molecules to turn
    target = notebook.with_suffix(".html")
    with files.replacing(target) as temporary:
        html = document(notebook.stem, body, style=_STYLE, script=script)
        temporary.write_text(html, encoding="utf-8")
    return target


def _mathjax() -> str:
    package, name = _MATHJAX
    found = next(path for path in files_of(package) or () if path.name == name)
    return Path(str(found.locate())).read_text(encoding="utf-8").replace("</script", "<\\/script")
