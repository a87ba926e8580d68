"""A report on bonds for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Heading of a column, key of a row, and decimals of its numbers.
_COLUMNS = (
    ("i", "i", 0), ("j", "j", 0), ("class", "class", None), ("length/Å", "length_A", 3),
    ("ε/eV", "energy_eV", 3), ("bare", "bde_kcal_per_mol", 1),
    ("dressed", "dressed_kcal_per_mol", 1), ("std", "std_kcal_per_mol", 1),
    ("conformers", "conformers_kcal_per_mol", 1), ("reference", "references", None),
    ("in class", "class_kcal_per_mol", None),
)  # fmt: skip
#: Kinds of reference values, the one that a bond energy is most like first, and their names.
KINDS = {"De": "Dₑ, literature", "DFT": "fragment BDE, DFT", "BDE298": "298 K, literature"}


def report_text(report: dict[str, Any], *, explained: bool = True) -> str:
    """A report of `bond_report`: a line about the structure, a table, and warnings.

    explained: with what the columns are, and how far such values were off.
    """
    energy = report["energy_eV"]
    total = "" if energy is None else f"energy {energy:.4f} eV, "
    head = (
        f"{report['smiles'] or report.get('input') or 'structure'}: {report['n_atoms']} atoms, "
        f"{total}atomization energy {report['atomization_energy_eV']:.4f} eV, sum rule kept to "
        f"{report['sum_rule_error_eV']:.0e} eV"
    )
    lines = [head, f"zero of energy: {report['zero']}"]
    if report["bonds"]:
        lines += _table(report["bonds"])
        lines += [*_legend(report), *errors(report.get("tests", {}))] if explained else []
    else:
        lines.append("no bonds")
    return "\n".join([*lines, *(f"warning: {text}" for text in report["warnings"])])


def _table(bonds: Sequence[dict[str, Any]]) -> list[str]:
    """Aligned rows under their headings; columns that no bond has are left out."""
    shown = [column for column in _COLUMNS if any(_filled(row.get(column[1])) for row in bonds)
             or column[1] == "std_kcal_per_mol"]  # fmt: skip
    rows = [[heading for heading, _, _ in shown]]
    rows += [[_cell(row.get(key), decimals) for _, key, decimals in shown] for row in bonds]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]


def _filled(value: Any) -> bool:
    return value is not None and value != []


def _cell(value: Any, decimals: int | None) -> str:
    if not _filled(value):
        return "-"
    if isinstance(value, list):
        known = {entry["kind"]: entry["value_kcal_per_mol"] for entry in value}
        return " ".join(f"{known[kind]:.1f} ({kind})" for kind in KINDS if kind in known)
    if isinstance(value, dict):
        return f"{value['low']:.0f} to {value['high']:.0f} ({value['n_molecules']})"
    return str(value) if decimals is None else f"{value:.{decimals}f}"


def _legend(report: dict[str, Any]) -> list[str]:
    """What the columns are."""
    rows, n_models = report["bonds"], len(report["models"])
    columns = [
        "kcal/mol, positive when bound. bare: −ε of the bond alone; dressed: with its share of all "
        "pairs that are not bonded"
        + (f"; std: over {n_models} models" if n_models > 1 else "")
        + ("; conformers: range of bare" if "conformers_kcal_per_mol" in rows[0] else "")
    ]
    if kinds := {entry["kind"] for row in rows for entry in row.get("references", [])}:
        named = [f"{kind}: {text}" for kind, text in KINDS.items() if kind in kinds]
        columns.append(f"reference: {'; '.join(named)}")
    if any(row.get("class_kcal_per_mol") for row in rows):
        columns.append("in class: bare values of this bond class (molecules of this project)")
    return columns


def errors(tests: dict[str, Any]) -> list[str]:
    """How far such values were off where the answer is known."""
    lines = []
    for test, by_value in tests.items():
        for name, of_value in by_value.items():
            bias, slope, mae = (of_value[key] for key in ("bias", "slope", "mae"))
            lines.append(
                f"{name} against {bias['n']} values ({test}): mean error {_interval(bias, 1)}, "
                f"slope {_interval(slope, 2)}, mean absolute error {mae['value']:.1f}, "
                f"{of_value['mae_calibrated']:.1f} after linear calibration"
            )
    return lines


def _interval(found: dict[str, Any], decimals: int) -> str:
    value = f"{found['value']:.{decimals}f}"
    if found["low"] is None:
        return value
    return f"{value} ({found['low']:.{decimals}f} to {found['high']:.{decimals}f})"
