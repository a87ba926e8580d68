"""A report on bonds for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FRAGMENT = "fragment_bde_kcal_per_mol"
#: Behind a fragment BDE neither of whose radicals was trained on.
UNKNOWN = "*"
#: Heading of a column, key of a row, and decimals of its numbers.
_COLUMNS = (
    ("i", "i", 0), ("j", "j", 0), ("class", "class", None), ("length/Å", "length_A", 3),
    ("ε/eV", "energy_eV", 3), ("bare", "bde_kcal_per_mol", 1),
    ("dressed", "dressed_kcal_per_mol", 1), ("std", "std_kcal_per_mol", 1),
    ("conformers", "conformers_kcal_per_mol", 1), ("fragment", FRAGMENT, 1),
    ("±", "fragment_std_kcal_per_mol", 1), ("reference", "references", None),
    ("in class", "class_kcal_per_mol", None),
)  # fmt: skip
#: Kinds of reference values, the one that a bond energy is most like first, and their names.
KINDS = {"De": "literature Dₑ", "DFT": "fragment BDE by DFT", "BDE298": "literature, 298 K"}


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
        if explained:
            lines += [*_legend(report), *errors(report.get("tests", {})), *fragment_errors(report)]
    else:
        lines.append("no bonds")
    return "\n".join([*lines, *(f"warning: {text}" for text in report["warnings"])])


def _table(bonds: Sequence[dict[str, Any]]) -> list[str]:
    """Aligned rows under their headings; columns that no bond has are left out."""
    shown = [column for column in _COLUMNS if any(_filled(row.get(column[1])) for row in bonds)
             or column[1] == "std_kcal_per_mol"]  # fmt: skip
    rows = [[heading for heading, _, _ in shown]]
    marks = _marks(bonds)
    rows += [
        [_cell(row.get(key), decimals) + (mark if key == FRAGMENT else "")
         for _, key, decimals in shown]
        for row, mark in zip(bonds, marks, strict=True)
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]


def _marks(bonds: Sequence[dict[str, Any]]) -> list[str]:
    """`UNKNOWN` behind the fragment BDEs that deserve it, and as much room behind the others."""
    unknown = [row.get("radicals_known") is False for row in bonds]
    return [UNKNOWN if one else " " * any(unknown) for one in unknown]


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
    lines = [
        "kcal/mol, positive when bound; intervals: 95 %, over molecules",
        "bare, dressed: emergent, read from the edges of the network; no bond energy was trained "
        "on. bare: −ε of the bond alone; dressed: with its share of all pairs that are not bonded",
    ]
    if n_models > 1:
        lines.append(f"std: standard deviation of bare over {n_models} models")
    if "conformers_kcal_per_mol" in rows[0]:
        lines.append("conformers: range of bare over conformers within reach of thermal energy")
    if any(row.get(FRAGMENT) is not None for row in rows):
        lines.append(f"fragment: {fragment_meaning(report)}")
    if kinds := {entry["kind"] for row in rows for entry in row.get("references", [])}:
        named = [f"({kind}) {text}" for kind, text in KINDS.items() if kind in kinds]
        lines.append(f"reference: {'; '.join(named)}")
    if any(row.get("class_kcal_per_mol") for row in rows):
        lines.append(
            "in class: lowest to highest bare value of this bond class (molecules of this project)"
        )
    return lines


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


def fragment_meaning(report: dict[str, Any]) -> str:
    """What the fragment BDEs of a report are."""
    several = len(report["fragment_models"]) > 1
    unknown = any(row.get("radicals_known") is False for row in report["bonds"])
    return (
        "E(A•) + E(B•) − E(AB) by "
        + ", ".join(report["fragment_models"])
        + ", radicals relaxed with GFN2-xTB"
        + ("; ±: standard deviation over these models" if several else "")
        + "; multiple bonds and those in rings have none"
        + (f"; {UNKNOWN} neither of its radicals was trained on" if unknown else "")
    )


def fragment_errors(report: dict[str, Any]) -> list[str]:
    """How far fragment BDEs were off where the answer is known, and what knows next to nothing."""
    lines = []
    for test, found in report.get("fragment_tests", {}).items():
        parts = [f"fragment against {found['mae']['n']} values ({test}): "]
        if "bias" in found:
            parts.append(f"mean error {_interval(found['bias'], 1)}, ")
        if "slope" in found:
            parts.append(f"slope {_interval(found['slope'], 2)}, ")
        parts.append(
            f"mean absolute error {_interval(found['mae'], 1)}; of models without radicals, "
            f"corrected by one constant per radical, {_interval(found['null_mae'], 1)}"
        )
        lines.append("".join(parts))
    return lines


def _interval(found: dict[str, Any], decimals: int) -> str:
    value = f"{found['value']:.{decimals}f}"
    if found["low"] is None:
        return value
    return f"{value} ({found['low']:.{decimals}f} to {found['high']:.{decimals}f})"
