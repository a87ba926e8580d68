"""Finish the pages that Sphinx wrote: accessible, light, complete without a network.

Every change is one that the theme has no option for. A page that is finished twice stays the same.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from bs4 import BeautifulSoup, Tag

from e3d.compendium import tables, terms

#: Scripts and styles that no page needs: the few icons are drawn by the style sheet of the book,
#: and its own script, which Jupyter Book includes too, is added once, after what it reads.
_UNUSED = re.compile(r"fontawesome|design-tabs|togglebutton|_static/e3d\.js\?")
_MATHJAX = re.compile(r"mathjax", re.IGNORECASE)
_SMALLEST_PX = 9.0  # of the text in a figure on a telephone
DESCRIBED = 200  # characters of a description


def finish(html: Path) -> None:
    """Finish all pages of a built book in place, and write what its search shows."""
    glossary = terms.read(html / "glossary.html")
    molecules = _explored(html / "explorer.html")
    excerpts = {}
    for path in sorted(html.glob("*.html")):
        soup = BeautifulSoup(path.read_text(), "html.parser")
        if path.name != "glossary.html":
            terms.link(soup, glossary)
        _head(soup, html)
        _landmarks(soup)
        for table in soup.select("article table"):
            tables.finish(table)
        _figures(soup, html, molecules)
        article = soup.select_one("article")
        if article is not None and path.name not in {"search.html", "genindex.html"}:
            excerpts[path.name] = f'<div role="main">{_sections(article)}</div>'
        path.write_text(str(soup))
    script = f"const EXCERPTS = {json.dumps(excerpts, ensure_ascii=False)};\n"
    (html / "_static" / "excerpts.js").write_text(script)


def _head(soup: BeautifulSoup, html: Path) -> None:
    """Drop what the page does not use; add icon, description and what a shared link shows."""
    head = soup.head
    if head is None or head.find("meta", property="og:title"):
        return
    for tag in soup.find_all(["script", "link"]):
        source = str(tag.get("src") or tag.get("href") or "")
        if tag.get("as") == "font" or _UNUSED.search(source):
            tag.decompose()  # hints to fetch fonts: browsers refuse them for pages opened as files
        elif not soup.select(".math") and _MATHJAX.search(source + (tag.string or "")[:40]):
            tag.decompose()
    said = soup.select_one(".in-short li") or soup.select_one("article section > p")
    title = soup.title.get_text() if soup.title else ""
    text = " ".join(said.get_text(" ", strip=True).split())[:DESCRIBED] if said else title
    head.append(soup.new_tag("link", rel="icon", href="_static/favicon.svg", type="image/svg+xml"))
    head.append(soup.new_tag("meta", attrs={"name": "description", "content": text}))
    for key, content in (("title", title), ("description", text), ("type", "article"),
                         ("image", "results/figures/answer/answer.png")):  # fmt: skip
        head.append(soup.new_tag("meta", attrs={"property": f"og:{key}", "content": content}))
    names = ["e3d.js"] if soup.select_one("#search-results") is None else ["excerpts.js", "e3d.js"]
    for name in names:
        head.append(soup.new_tag("script", src=f"_static/{name}", defer=""))


def _landmarks(soup: BeautifulSoup) -> None:
    """Names that agree with what is seen, regions for everything, no roles that are not allowed."""
    for tag in soup.select("summary[aria-label]"):
        del tag["aria-label"]
    for tag in soup.select("#jb-print-docs-body"):
        tag.decompose()  # a second title and table of contents, for paper only
    for tag in soup.select('[role^="doc-"]'):
        if tag["role"] == "doc-biblioentry":
            tag["role"] = "listitem"  # of the list of references
        else:
            del tag["role"]
    for tag in soup.select(".bd-sidebar-primary"):
        tag["role"], tag["aria-label"] = "region", "Contents of the book"


def _explored(explorer: Path) -> dict[str, str]:
    """Addresses in the explorer of the molecules that it has, by SMILES and by name."""
    if not explorer.exists():
        return {}
    soup = BeautifulSoup(explorer.read_text(), "html.parser")
    found = {}
    for group in soup.select("#explorer-all tbody[id]"):
        link = group.find("a")
        for name in (str(group["id"]), link.get_text() if link else ""):
            found[name] = f"explorer.html#{quote(str(group['id']), safe='')}"
    return found


def _figures(soup: BeautifulSoup, html: Path, molecules: dict[str, str]) -> None:
    """Figures open alone when touched; those with named points stand in the page itself."""
    for image in soup.select("figure img"):
        source = str(image.get("src", ""))
        path = html / source
        if not source.endswith(".svg") or not path.exists():
            continue
        svg = path.read_text()
        if found := re.search(r'data-text-px="([\d.]+)"', svg):
            width = float(re.search(r'width="([\d.]+)pt"', svg)[1]) * 96 / 72  # type: ignore[index]
            image["style"] = f"--legible: {width * _SMALLEST_PX / float(found[1]):.0f}px"
        if 'class="point"' in svg or 'class="cells"' in svg:
            alone = soup.new_tag("a", href=source)
            alone.string = "picture alone"
            figure = image.find_parent("figure")
            if isinstance(caption := figure and figure.find("p"), Tag):
                caption.extend([" · ", alone])
            image.replace_with(_inline(svg, image, molecules))
        elif image.parent is not None and image.parent.name != "a":
            image.wrap(soup.new_tag("a", href=source, attrs={"class": "zoom"}))


def _inline(svg: str, image: Tag, molecules: dict[str, str]) -> Tag:
    """The SVG as an element of the page, with the alternative text as its name.

    Points named "MOLECULE, bond …" lead to that molecule in the explorer, if it is there.
    """
    element = BeautifulSoup(svg[svg.index("<svg") :], "html.parser").svg
    assert element is not None
    element["role"], element["aria-label"] = "img", str(image.get("alt", ""))
    element["style"] = str(image.get("style", ""))
    for key in ("width", "height"):
        del element[key]
    element["class"] = "points"
    for title in element.select("g.point > title"):
        to = molecules.get(title.get_text().partition(", bond ")[0])
        if to and title.parent is not None:
            title.parent["data-to"] = to
    return element


def _sections(tag: Tag) -> str:
    """The text of an article with nothing but its sections, for the excerpts of the search."""
    parts = []
    for child in tag.children:
        if not isinstance(child, Tag):
            parts.append(str(child).replace("<", "&lt;"))
        elif child.name == "section":
            parts.append(f'<section id="{child.get("id", "")}">{_sections(child)}</section>')
        elif child.name not in {"pre", "table", "svg", "script", "style", "details"}:
            text = child.get_text(" ", strip=True)
            parts.append(text.replace("<", "&lt;") + " ")
    return " ".join("".join(parts).split())
