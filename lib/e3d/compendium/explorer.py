"""The explorer of the book: one table of all bonds for every reader, a molecule to turn for most.

Energies in kcal/mol, positive for a bound pair; lengths in Å.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from e3d import files
from e3d.decomposition.page import inert_json, view_script
from e3d.errors import E3DError

PAGE = "explorer"
DATA = "explorer.json"
#: Pieces of HTML that the page includes.
PIECES = ("explorer-view.html", "explorer-table.html")
#: Heading, key of a bond, decimals.
COLUMNS = (
    ("length, Å", "length_A", 3), ("bare", "bare", 1), ("±", "std", 1), ("dressed", "dressed", 1),
    ("Dₑ, literature", "de", 1), ("fragments, DFT", "fragment", 1),
    ("vertical, DFT", "vertical", 1),
)  # fmt: skip
_FOLDS = {"train": "in the training set", "validation": "in the validation set",
          "test": "held out: no network was trained on it"}  # fmt: skip


def link(smiles: str, bond: tuple[int, int] | None = None) -> str:
    """Address, in the book, of a molecule in the explorer by canonical SMILES, or of its bond."""
    place = f":{bond[0]}-{bond[1]}" if bond else ""
    return f"{PAGE}.html#{quote(smiles, safe='()=@+-[]')}{place}"


def write(source: Path, results: Path) -> None:
    """Write the pieces of the page into the folder that the book is built from.

    Raises E3DError when the results have no `explorer.json`.
    """
    path = results / DATA
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise E3DError(f"{path} is missing; `make pull` fetches it") from None
    for name, html in zip(PIECES, (view(found), table(found)), strict=True):
        with files.replacing(source / name) as temporary:
            temporary.write_text(html, encoding="utf-8")


def view(found: Mapping[str, Any]) -> str:
    """What a reader plays with: hidden until the script, which comes with the table, runs."""
    n, runs = len(found["molecules"]), len(found["runs"])
    n_bonds = sum(len(molecule["bonds"]) for molecule in found["molecules"])
    text = _read("explorer.html")
    for key, value in {"MOLECULES": n, "BONDS": n_bonds, "RUNS": runs}.items():
        text = text.replace(f"__{key}__", f"{value:,}")
    return text


def table(found: Mapping[str, Any]) -> str:
    """All bonds, one group of rows for each molecule with its SMILES as anchor; then the script."""
    heads = "".join(f'<th scope="col">{name}</th>' for name, _, _ in COLUMNS)
    groups = "\n".join(_group(molecule) for molecule in found["molecules"])
    scripts = (
        f'<script type="application/json" id="explorer-data">{inert_json(found)}</script>\n'
        f"<script>\n{view_script()}{_read('explorer.js')}{_read('quiz.js')}</script>"
    )
    return (
        '<details class="explorer" id="explorer-all" open><summary>Show the table</summary>\n'
        f'<table><thead><tr><th scope="col">bond</th><th scope="col">class</th>{heads}</tr>'
        f"</thead>\n{groups}\n</table></details>\n{scripts}\n"
    )


def _group(molecule: Mapping[str, Any]) -> str:
    about = f"{molecule['formula']}, {_FOLDS[molecule['fold']]}"
    if molecule["geometry"] != "DFT":
        about += f", geometry by {molecule['geometry']}"
    rows = "\n".join(_row(bond, molecule["symbols"]) for bond in molecule["bonds"])
    smiles = escape(molecule["smiles"])
    return (
        f'<tbody id="{smiles}"><tr><th colspan="{len(COLUMNS) + 2}" scope="rowgroup">'
        f'<a href="{escape(link(molecule["smiles"]))}">{escape(molecule["name"])}</a> '
        f"<code>{smiles}</code> <small>{escape(about)}</small></th>"
        f"</tr>\n{rows}</tbody>"
    )


def _row(bond: Mapping[str, Any], symbols: list[str]) -> str:
    ends = "–".join(f"{symbols[bond[k]]}{bond[k]}" for k in "ij")
    cells = "".join(_cell(bond.get(key), decimals) for _, key, decimals in COLUMNS)
    return f'<tr><th scope="row">{ends}</th><td>{escape(bond["class"])}</td>{cells}</tr>'


def _cell(value: float | None, decimals: int) -> str:
    return "<td></td>" if value is None else f"<td>{value:.{decimals}f}</td>"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
