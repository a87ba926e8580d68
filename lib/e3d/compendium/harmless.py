"""What comes from data as text on a page of the book: shown as it is, never carried out.

Names of molecules and files, parameters and the description of a machine are chosen by whoever made
the data. On a page they must not close the construct they stand in, nor bring a script along.
"""

from __future__ import annotations

import re
import string

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer

from e3d.errors import printable

#: Elements of a table as pandas writes it, and their attributes.
_TAGS = frozenset(
    ["table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "div", "span", "p", "br",
     "a", "b", "i", "em", "strong", "sub", "sup", "code", "pre"]
)  # fmt: skip
_ATTRIBUTES = {
    "*": ["border", "class", "colspan", "halign", "id", "rowspan", "scope", "style", "valign"],
    "a": ["href"],
}
_LOOK = CSSSanitizer(allowed_css_properties=["text-align"])
#: The rules for its look that pandas puts before a table.
_STYLE = re.compile(r'(\s*(?:<div>\s*)?)(<style(?: scoped| type="text/css")?>([^<]*)</style>)')
#: What rules contain that load a file or hide such a word.
_LOADS = re.compile(r"@|url|expression|\\", re.IGNORECASE)
#: Where Markdown begins HTML, and where MyST begins a directive, which may hold HTML as well.
_HTML = re.compile(r"<(?=[A-Za-z/!?])")
_DIRECTIVE = re.compile(r"^([\s>*+-]*(?:`{3,}|~{3,}|:{3,})\s*)\{", re.MULTILINE)
#: Key of the metadata with which a notebook says that the script in its output is its own.
OWN_SCRIPT = "script"


def code(value: object) -> str:
    """Text as inline code of Markdown, in one line, whatever it contains."""
    text = printable(str(value)) or " "
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def plain(value: object) -> str:
    """Text as Markdown that shows exactly that text, in one line."""
    text = printable(str(value))
    marks = set(string.punctuation) - set(",;./-_")
    within_a_word = r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])"  # where it means nothing, as in names
    parts = re.split(f"({within_a_word})", text)
    return "".join(
        part if k % 2 else "".join(f"\\{c}" if c in marks or c == "_" else c for c in part)
        for k, part in enumerate(parts)
    )


def table(html: str) -> str:
    """HTML of a table, with everything in it that is no table or formatted text shown as text."""
    style = _STYLE.match(html)
    look = ""
    if style and not _LOADS.search(style[3]):
        look, html = style[2], style[1] + html[style.end() :]
    cleaned = bleach.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, css_sanitizer=_LOOK)
    return f"{look}{cleaned}"


def markdown(text: str) -> str:
    """Displayed Markdown, with HTML and directives shown as text."""
    return _DIRECTIVE.sub(r"\1\\{", _HTML.sub(r"\\<", text))


def outputs(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Make what the cells of a notebook display harmless, in place; returns the notebook.

    An output whose metadata have `{"text/html": {"script": true}}` keeps its script, which was
    written with the notebook: no text that it shows can set that.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            trusted = output.get("metadata", {}).get("text/html", {}).get(OWN_SCRIPT) is True
            if "text/html" in data and not trusted:
                data["text/html"] = table(data["text/html"])
            if "text/markdown" in data:
                data["text/markdown"] = markdown(data["text/markdown"])
    return notebook
