"""The leaderboard of the book: one table of models and null models, sortable, each column told."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from e3d import files
from e3d.decomposition.page import sort_script
from e3d.errors import E3DError

PAGE = "leaderboard"
DATA = "leaderboard.csv"
PIECES = ("leaderboard-table.html", "leaderboard-columns.html")


class Column(NamedTuple):
    """key: in the table; better: high, low, or none where neither is better."""

    key: str
    heading: str
    unit: str
    decimals: int
    better: str
    meaning: str


COLUMNS = (
    Column("accuracy_de", "accuracy, Dₑ", "", 2, "high",
           "of bare energies against dissociation energies of the literature: one minus the "
           "relative error, at least zero, mean over reactions"),
    Column("accuracy_de_dressed", "accuracy, dressed", "", 2, "high",
           "the same of dressed energies"),
    Column("fragment_mae_kcal_per_mol", "fragments", "kcal/mol", 1, "low",
           "mean absolute deviation of bare energies from the energies that it takes, by DFT, to "
           "break single bonds into relaxed fragments"),
    Column("within_class_spearman", "order in class", "", 2, "high",
           "rank correlation with the same energies among bonds of one class, mean over classes: "
           "what a table with one energy per class cannot know"),
    Column("vertical_accuracy_across", "accuracy, vertical", "", 2, "high",
           "of the energy of all pairs of atoms across a cut bond, against its vertical "
           "dissociation energy by DFT"),
    Column("atomisation_mae_kcal_per_mol", "atomisation", "kcal/mol", 1, "low",
           "mean absolute deviation of atomisation energies of molecules on which nothing was "
           "trained"),
    Column("force_mae_meV_per_A", "forces", "meV/Å", 0, "low",
           "mean absolute error of force components of the same molecules, also hot ones"),
    Column("excess_kcal_per_mol", "excess, bare", "kcal/mol", 1, "low",
           "mean absolute deviation from the dissociation energies of all bonds of a molecule, "
           "minus the least that any division of its atomisation energy has"),
    Column("excess_dressed_kcal_per_mol", "excess, dressed", "kcal/mol", 1, "low",
           "the same of dressed energies"),
    Column("entropy_bits", "entropy", "bit", 2, "none",
           "Shannon entropy of the bare energies of all bonds; neither more nor less is better"),
    Column("order_bits", "order, bits", "bit", 2, "high",
           "information of the bare energy about the bond order, the elements being known"),
    Column("off_bonds_percent", "off bonds", "%", 1, "none",
           "share of the binding energy on pairs of atoms that are not bonded"),
    Column("icc", "agreement of seeds", "", 2, "high",
           "intraclass correlation within bond classes between networks that differ in their "
           "random numbers only"),
)  # fmt: skip


def write(source: Path, results: Path) -> None:
    """Write the pieces of the page into the folder that the book is built from.

    Raises E3DError when the results have no `leaderboard.csv`.
    """
    path = results / DATA
    if not path.exists():
        raise E3DError(f"{path} is missing; `dvc repro leaderboard` makes it")
    pieces = (table(pd.read_csv(path)), columns())
    for name, html in zip(PIECES, pieces, strict=True):
        with files.replacing(source / name) as temporary:
            temporary.write_text(html, encoding="utf-8")


def table(found: pd.DataFrame) -> str:
    """HTML of a table as `e3d.assess.leaderboard` makes it, and the script that sorts it."""
    heads = "".join(_head(column) for column in COLUMNS)
    most = {column.key: int(found[f"{column.key}_n"].max()) for column in COLUMNS}
    best = {column.key: _best(found, column) for column in COLUMNS}
    rows = []
    for row in found.to_dict("records"):
        kind = "null model" if row["null"] else _seeds(int(row["n_seeds"]))
        cells = "".join(
            _cell(row, column, most[column.key], best[column.key]) for column in COLUMNS
        )
        rows.append(f'<tr class="{"null" if row["null"] else "model"}"><th scope="row">'
                    f"{escape(row['model'])} <small>{kind}</small></th>{cells}</tr>")  # fmt: skip
    css = resources.files(__package__).joinpath("leaderboard.css").read_text(encoding="utf-8")
    script = resources.files(__package__).joinpath("leaderboard.js").read_text(encoding="utf-8")
    return (
        f"<style>\n{css}</style>\n"
        '<div class="leaderboard" tabindex="0" role="region" aria-label="Leaderboard">'
        '<p class="by" hidden><label>Sort by <select></select></label></p>\n'
        '<table><thead><tr><th scope="col">model</th>'
        f"{heads}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>\n"
        f"<script>\n{sort_script()}{script}</script>\n"
    )


def columns() -> str:
    """HTML of what each column means."""
    entries = "".join(f"<dt>{_title(column)}</dt><dd>{column.meaning[0].upper()}"
                      f"{column.meaning[1:]}.{_WORDS[column.better]}</dd>\n"
                      for column in COLUMNS)  # fmt: skip
    return f"<dl>\n{entries}</dl>\n"


_WORDS = {"high": " More is better.", "low": " Less is better.", "none": ""}
_ARROWS = {"high": " ↑", "low": " ↓", "none": ""}


def _title(column: Column) -> str:
    return f"{column.heading}{_ARROWS[column.better]}" + (f" ({column.unit})" * bool(column.unit))


def _head(column: Column) -> str:
    first = "ascending" if column.better == "low" else "descending"
    return f'<th scope="col" data-first="{first}">{_title(column)}</th>'


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def _best(found: pd.DataFrame, column: Column) -> float | None:
    """The best value among rows that stand on all rows of the test; None if none is better."""
    full = found.loc[found[f"{column.key}_n"] == found[f"{column.key}_n"].max(), column.key]
    if column.better == "none" or full.dropna().empty:
        return None
    return float(full.max() if column.better == "high" else full.min())


def _cell(row: dict[str, Any], column: Column, most: int, best: float | None) -> str:
    value, low, high = (row[f"{column.key}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return '<td data-value="">–</td>'
    text = f"{value:.{column.decimals}f}".replace("-", "−")
    if best is not None and value == best:
        text = f"<strong>{text}</strong>"
    if pd.notna(low) and pd.notna(high):
        text += f" <small>±{(high - low) / 2:.{column.decimals}f}</small>"
    if 0 < row[f"{column.key}_n"] < most:
        text += f" <small>{row[f'{column.key}_n']:.0f} of {most:.0f}</small>"
    return f'<td data-value="{value:.6g}">{text}</td>'
