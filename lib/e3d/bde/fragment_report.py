"""Fragment bond dissociation energies in a report on bonds, with what is known of their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rdkit import Chem

from e3d.bde.fragments import FragmentEnergies, fragment_energies
from e3d.bde.known import is_of
from e3d.chemistry import bonding
from e3d.chemistry.conformers import MAX_ATOMS
from e3d.chemistry.structures import Structure
from e3d.decomposition.latent import QUANTILE
from e3d.decomposition.warnings import named
from e3d.labels.fragments import radical_smiles
from e3d.models.allegro import Model

#: Radicals of which a warning names the SMILES; the others are counted.
_NAMED = 3


def with_fragments(
    report: dict[str, Any],
    structure: Structure,
    models: Sequence[Model],
    calibration: Mapping[str, Any],
    **options: Any,
) -> dict[str, Any]:
    """A report of `bond_report` with fragment BDEs; options as of `fragment_energies`.

    Every bond gets `fragment_bde_kcal_per_mol`, its standard deviation over the models
    `fragment_std_kcal_per_mol`, the SMILES of its two `radicals`, and `radicals_known`, whether
    training had one of them; all None where it has no such value. The report gets
    `fragment_models` and, where the calibration is one of these models, `fragment_tests`.
    """
    found = fragment_energies(structure, models, **options)
    told = calibration.get("fragments") or {}
    if told and not is_of(told["models"], models):
        told = {}
    mean = found.bde_kcal_per_mol.mean(axis=0)
    spread = found.bde_kcal_per_mol.std(axis=0, ddof=1) if len(models) > 1 else mean * np.nan
    rows = []
    for k, row in enumerate(report["bonds"]):
        radicals = found.radicals.get(k)
        rows.append(row | {
            "fragment_bde_kcal_per_mol": _number(mean[k]),
            "fragment_std_kcal_per_mol": _number(spread[k]),
            "radicals": None if radicals is None else list(radicals),
            "radicals_known": _known(radicals, told),
        })  # fmt: skip
    warnings = [
        *report["warnings"], *_apart(rows, told), *_warnings(structure, models, found),
    ]  # fmt: skip
    return report | {
        "bonds": rows, "fragment_models": [model.name for model in models],
        "fragment_tests": told.get("tests", {}), "warnings": warnings,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _known(radicals: tuple[str, str] | None, told: Mapping[str, Any]) -> bool | None:
    """Whether training had one of two radicals; the hydrogen atom, the zero, does not count."""
    if radicals is None or not told:
        return None
    return bool(({plain(smiles) for smiles in radicals} - {"[H]"}) & set(told["radicals"]))


def plain(smiles: str) -> str:
    """A radical's SMILES without stereochemistry, as files of labels name it."""
    return radical_smiles(bonding.parse_smiles(smiles))


def _apart(rows: Sequence[dict[str, Any]], told: Mapping[str, Any]) -> list[str]:
    """Bonds over whose fragment BDEs the models differ as over few bonds of the tests."""
    limit = told.get("spread_kcal_per_mol", np.inf)
    bonds = named(rows, lambda row: (row["fragment_std_kcal_per_mol"] or 0) > limit)
    if not bonds:
        return []
    return [
        f"the models differ in fragment values by more than {limit:.1f} kcal/mol (standard "
        f"deviation): {bonds}; {QUANTILE:.0%} of the tested bonds stay below"
    ]


def _warnings(structure: Structure, models: Sequence[Model], found: FragmentEnergies) -> list[str]:
    """Why there are no fragment BDEs, or why they are worth little."""
    if not found.radicals:
        return [_none(structure)] if len(structure.bonds) else []
    lines = []
    for model in models:
        training = model.metadata.get("training")
        if training is None:
            lines.append(f"whether {model.name} was trained on radicals is not known: fragment "
                         "values are only as good as its energies of radicals")  # fmt: skip
        elif not training.get("radicals"):
            lines.append(f"{model.name} was not trained on radicals, which such models bind too "
                         "strongly: fragment values are too low")  # fmt: skip
    failed = [f"{smiles} ({why})" for smiles, why in found.failed.items()]
    if failed:
        rest = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        lines.append(f"no fragment value of bonds that leave {', '.join(failed[:_NAMED])}{rest}")
    if structure.conformers is None:
        lines.append(
            "fragment values compare the molecule as the file has it with radicals relaxed with "
            "GFN2-xTB: if it is not at such a minimum, they are too low by its strain"
        )
    return lines


def _none(structure: Structure) -> str:
    if structure.shifts is not None:
        why = "a crystal has none"
    elif structure.charge or structure.unpaired:
        why = "only neutral closed-shell molecules have them"
    elif len(structure.atoms) > MAX_ATOMS:
        why = f"the radicals of more than {MAX_ATOMS} atoms are not relaxed"
    elif structure.graph is not None and len(Chem.GetMolFrags(structure.graph)) > 1:
        why = "the structure is in several pieces"
    else:
        why = "no bond is a single one outside of rings"
    return f"no fragment values: {why}"
