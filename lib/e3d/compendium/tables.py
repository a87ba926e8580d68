"""Tables of a built page: headers that say something, and cells that know their column.

On a telephone the style sheet sets a wide table as one card per row, with the label of each cell
beside it, so that nothing scrolls sideways.
"""

from __future__ import annotations

from bs4 import Tag

#: Columns, and characters of a cell, from which on a table is set as cards on a narrow screen.
WIDE, LONG = 3, 45


def finish(table: Tag) -> None:
    """Label the cells of a table; empty headers, which say nothing, become cells."""
    labels = _labels(table)
    for cell in table.find_all("th"):
        if not cell.get_text(strip=True):
            cell.name = "td"
    longest = max((len(cell.get_text(strip=True)) for cell in table.find_all("td")), default=0)
    if len(labels) < WIDE and longest < LONG:
        return
    classes = [name for name in table.get_attribute_list("class") if name]
    table["class"] = " ".join([*classes, "cards-when-narrow"])
    for row in table.select("tbody tr"):
        cells = row.find_all(["th", "td"], recursive=False)
        for cell, label in zip(reversed(cells), reversed(labels), strict=False):
            if label and cell.name == "td":
                cell["data-label"] = label


def _labels(table: Tag) -> list[str]:
    """The header of each column, that of several rows joined."""
    columns: list[list[str]] = []
    for row in table.select("thead tr"):
        place = 0
        for cell in row.find_all(["th", "td"], recursive=False):
            for _ in range(int(str(cell.get("colspan", "1")))):
                if place == len(columns):
                    columns.append([])
                columns[place].append(cell.get_text(" ", strip=True))
                place += 1
    return [" ".join(dict.fromkeys(part for part in column if part)) for column in columns]
