"""What to know before the bond energies of a molecule are believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from e3d.chemistry.structures import Structure
from e3d.decomposition.domain import Domain
from e3d.decomposition.latent import QUANTILE
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.models.checkpoint import read_metadata
from e3d.paths import ROOT

#: Molecules are bound by less than this per atom, in eV; diamond, the strongest solid, by 7.4.
MOST_PER_ATOM = 10.0
#: Bonds named in one sentence; the others are counted.
_NAMED = 4


def warnings_of(
    report: dict[str, Any],
    structure: Structure,
    models: Sequence[Model],
    domain: Domain | None,
    *,
    zeros_differ: bool = False,
) -> list[str]:
    """Sentences on how the input was read, and on why its energies may be far off.

    report: of `bond_report` by the models; domain: of the models, None where it is not known;
    zeros_differ: whether the models have different zeros of energy.
    """
    found = [*structure.notes, *_zero(report)]
    if zeros_differ:
        found.append(
            "the models have different zeros of energy: each is referred to its own, and there is "
            "no mean total energy"
        )
    in_domain = bool(domain and report["bonds"] and "unfamiliarity" in report["bonds"][0])
    if domain and in_domain:
        return found + _training(report, domain)
    return found + _not_trained_on(set(report["symbols"]), models)


def trained_elements(metadata: Mapping[str, Any]) -> frozenset[str] | None:
    """Elements that a model has seen, by its model.yaml; None where that does not say."""
    training, dataset = metadata.get("training") or {}, metadata.get("dataset") or {}
    own = dataset.get("elements") or training.get("elements")
    if not own:
        return None
    if not (before := training.get("initial_checkpoint")):
        return frozenset(own)
    try:
        earlier = trained_elements(read_metadata(ROOT / before))
    except E3DError:  # its beginning is not here
        return None
    return None if earlier is None else earlier | frozenset(own)


def _not_trained_on(symbols: set[str], models: Sequence[Model]) -> list[str]:
    """Elements of a structure that models have a type for but have never seen."""
    found = []
    for model in models:
        known = trained_elements(model.metadata)
        if known is not None and (unseen := sorted(symbols - known)):
            found.append(
                f"{model.name} lists {', '.join(unseen)} among its elements but was trained on "
                f"{', '.join(sorted(known))} alone: what it says of the others is random"
            )
    return found


def _zero(report: dict[str, Any]) -> list[str]:
    """A binding energy that no molecule has."""
    per_atom = report["atomization_energy_eV"] / report["n_atoms"]
    if report["n_atoms"] == 1 or 0 <= per_atom <= MOST_PER_ATOM:
        return []
    return [
        f"the atoms are bound by {per_atom:.1f} eV each, as in no molecule: the model is far off, "
        f"or its zero of energy ({report['zero']}) is not that of isolated atoms, which shifts all "
        "bond energies; then give --zero"
    ]


def _training(report: dict[str, Any], domain: Domain) -> list[str]:
    """What the models were not trained for; the bonds have their `unfamiliarity`."""
    bonds, symbols = report["bonds"], report["symbols"]
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
    strange = named(bonds, lambda row: row["unfamiliarity"] is None or row["unfamiliarity"] > 1)
    if strange:
        found.append(f"surroundings unlike those of training: {strange}; {most}")
    apart = named(bonds, lambda row: (row["std_kcal_per_mol"] or 0) > domain.spread_kcal_per_mol)
    if apart:
        found.append(
            f"the models differ by more than {domain.spread_kcal_per_mol:.1f} kcal/mol (standard "
            f"deviation): {apart}; {most}"
        )
    return found


def named(bonds: Sequence[dict[str, Any]], applies: Callable[[dict[str, Any]], bool]) -> str:
    """The bonds of which something is true, the first by name."""
    names = [f"{row['class']} {row['i']}-{row['j']}" for row in bonds if applies(row)]
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
