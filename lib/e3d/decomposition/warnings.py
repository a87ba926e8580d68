"""What to know before the bond energies of a molecule are believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from e3d.chemistry.structures import Structure
from e3d.decomposition.domain import Domain
from e3d.decomposition.latent import QUANTILE

#: Molecules are bound by less than this per atom, in eV; diamond, the strongest solid, by 7.4.
MOST_PER_ATOM = 10.0
#: Bonds named in one sentence; the others are counted.
_NAMED = 4


def warnings_of(
    report: dict[str, Any],
    structure: Structure,
    domain: Domain | None,
    *,
    zeros_differ: bool = False,
) -> list[str]:
    """Sentences on how the input was read, and on why its energies may be far off.

    report: of `bond_report`; domain: of the models, None where it is not known; zeros_differ:
    whether the models have different zeros of energy.
    """
    found = [*structure.notes, *_zero(report)]
    if zeros_differ:
        found.append(
            "the models have different zeros of energy: each is referred to its own, and there is "
            "no mean total energy"
        )
    return found + (_training(report, domain) if domain else [])


def _zero(report: dict[str, Any]) -> list[str]:
    """A binding energy that no molecule has."""
    per_atom = report["atomization_energy_eV"] / report["n_atoms"]
    if report["n_atoms"] == 1 or 0 <= per_atom <= MOST_PER_ATOM:
        return []
    return [
        f"the atoms are bound by {per_atom:.1f} eV each, as in no molecule: the zero of energy "
        f"({report['zero']}) is hardly that of isolated atoms, and all bond energies are shifted; "
        "give --zero"
    ]


def _training(report: dict[str, Any], domain: Domain) -> list[str]:
    """What the models were not trained for. Without `unfamiliarity`, they are other models."""
    bonds, symbols = report["bonds"], report["symbols"]
    if not bonds or "unfamiliarity" not in bonds[0]:
        return []
    found = []
    if unknown := sorted(set(symbols) - set(domain.elements)):
        found.append(f"no molecule of training has {', '.join(unknown)}")
    n_heavy = sum(symbol != "H" for symbol in symbols)
    if n_heavy > domain.heavy_atoms:
        found.append(
            f"{n_heavy} atoms besides hydrogen; the molecules of training have at most "
            f"{domain.heavy_atoms}"
        )
    most = f"{QUANTILE:.0%} of the held-out molecules have no such bond"
    strange = _named(bonds, lambda row: row["unfamiliarity"] is None or row["unfamiliarity"] > 1)
    if strange:
        found.append(f"surroundings unlike those of training: {strange}; {most}")
    apart = _named(bonds, lambda row: (row["std_kcal_per_mol"] or 0) > domain.spread_kcal_per_mol)
    if apart:
        found.append(
            f"the models differ by more than {domain.spread_kcal_per_mol:.1f} kcal/mol (standard "
            f"deviation): {apart}; {most}"
        )
    return found


def _named(bonds: Sequence[dict[str, Any]], applies: Callable[[dict[str, Any]], bool]) -> str:
    """The bonds of which something is true, the first by name."""
    names = [f"{row['class']} {row['i']}-{row['j']}" for row in bonds if applies(row)]
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
