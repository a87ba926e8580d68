"""Pages that need nothing but themselves: one file, no network, light and dark."""

from __future__ import annotations

from html import escape
from importlib import resources


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """HTML with the style that all such pages share.

    title: text; body: HTML, whose heading it holds; style: CSS besides; script: what stands before
    the end of the body, script elements with their data. A page without one runs none.
    """
    allowed = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script:
        allowed += "; script-src 'unsafe-inline'"
    shared = resources.files("e3d").joinpath("webpage.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{allowed}">
<title>{escape(title)}</title>
<style>
{shared}{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"""
