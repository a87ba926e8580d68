"""Link the terms of the glossary where a page first uses them."""

from __future__ import annotations

import re
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag

#: Elements in which a term is not linked.
_LEFT = {"a", "code", "pre", "h1", "h2", "h3", "h4", "script", "style", "svg", "summary", "title",
         "th", "button", "label", "legend", "option", "mjx-container"}  # fmt: skip
#: Terms that are also words of everyday English, in which they are no terms.
_EVERYDAY = {"bound", "run", "stage", "transition", "centre", "headline", "place"}


def read(page: Path) -> dict[str, tuple[str, str]]:
    """Terms of a built glossary, longest first: anchor and definition by term, in lower case.

    A term "null model, null" is one entry by two names.
    """
    if not page.exists():
        return {}
    soup = BeautifulSoup(page.read_text(), "html.parser")
    found = {}
    for term in soup.select("dl.glossary dt"):
        definition = term.find_next("dd")
        said = " ".join(definition.get_text(" ", strip=True).split()) if definition else ""
        for name in term.find_all(string=True, recursive=False):
            if name.strip() and name.strip().lower() not in _EVERYDAY:
                found[name.strip().lower()] = (str(term["id"]), said)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def link(soup: BeautifulSoup, terms: dict[str, tuple[str, str]]) -> None:
    """Link the first use of each term in the prose of an article, plural included, in place."""
    article = soup.select_one("article")
    if article is None or not terms:
        return
    pattern = re.compile(
        rf"(?<![\w-])({'|'.join(map(re.escape, terms))})(e?s)?(?![\w-])", re.IGNORECASE
    )
    linked: set[str] = {str(a["href"]).partition("#")[2] for a in article.select("a.term")}
    for text in list(article.find_all(string=pattern)):
        within = [parent for parent in text.parents if parent is not article]
        if not any(p.name in _LEFT or "math" in p.get_attribute_list("class") for p in within):
            _link_in(soup, text, pattern, terms, linked)


def _link_in(
    soup: BeautifulSoup,
    text: NavigableString,
    pattern: re.Pattern[str],
    terms: dict[str, tuple[str, str]],
    linked: set[str],
) -> None:
    parts: list[str | Tag] = []
    end = 0
    for match in pattern.finditer(text):
        anchor, said = terms[match[1].lower()]
        if anchor in linked:
            continue
        linked.add(anchor)
        attributes = {"class": "term", "href": f"glossary.html#{anchor}"}
        if "\\(" not in said:  # formulas cannot be read unset
            attributes["title"] = said
        element = soup.new_tag("a", attrs=attributes)
        element.string = match[0]
        parts += [text[end : match.start()], element]
        end = match.end()
    if parts:
        text.replace_with(*parts, text[end:])
