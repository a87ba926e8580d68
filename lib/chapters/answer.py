"""The headline of the project: which metrics it has, and the answer that they support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from e3d.errors import E3DError
from e3d.statistics import rounding
from e3d.statistics.intervals import Estimate

#: Keys of `results/metrics.json`, in its order. One that no chapter computes is absent there.
HEADLINE = (
    # against matched Dₑ and mean enthalpies; accuracy is the mean of max(0, 1 − |Δ| / reference)
    "bde.accuracy_de",
    "bde.accuracy_de_untrained",
    "bde.accuracy_de_additive",
    "bde.accuracy_de_pair",
    "bde.accuracy_de_dressed",
    "bde.accuracy_h_mean",
    "bde.n_classes",
    "bde.seed_std_kcal_per_mol",
    "bde.within_class_spearman",
    "bde.within_class_spearman_pair",
    # information about bond orders, and where the energy is
    "order.bits",
    "order.bits_length",
    "order.bits_untrained",
    "order.bits_pair",
    "share.covalent",
    # data, seeds and training sets; exponents are positive where errors fall
    "scaling.energy_exponent",
    "scaling.force_exponent",
    "scaling.bde_exponent",
    "identifiability.icc",
    "hybrid.organic_force_mae_change_percent",
    # away from equilibrium, and an external benchmark
    "stretch.mae_kcal_per_mol",
    "reactions.barrier_mae_kcal_per_mol",
    "dynamics.nve_drift_meV_per_atom_per_ps",
    "bse49.emergent_spearman",
    # vertical dissociation, the bound of the deviation, a Hamiltonian with known pair energies
    "vertical.accuracy_across",
    "vertical.accuracy_additive",
    "bound.mae_kcal_per_mol",
    "bound.excess_bare",
    "bound.excess_dressed",
    "bound.excess_additive",
    "teacher.within_class_spearman",
    "teacher.within_class_spearman_length",
    "teacher.within_class_spearman_shuffled",
    "teacher.within_class_spearman_untrained",
    # models that have seen broken bonds, entropy against errors, other elements
    "broken.fragment_mae_bse49_kcal_per_mol",
    "broken.fragment_mae_bse49_kcal_per_mol_before",
    "broken.emergent_mae_bse49_kcal_per_mol",
    "interplay.entropy_spearman_de",
    "interplay.entropy_spearman_barrier",
    "inorganic.o_si_difference_kcal_per_mol",
)


def headline(metrics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The estimates of `HEADLINE` among the metrics of all chapters, in its order.

    Raises E3DError when none of them is there.
    """
    found = {key: metrics[key] for key in HEADLINE if key in metrics}
    if not found:
        raise E3DError("no headline metric among those of the chapters; were all of them renamed?")
    return found


def verdict(gains: Mapping[str, Estimate], *, aim_reached: bool) -> str:
    """Are edge energies bond dissociation energies? "Yes", "Only in part" or "No".

    gains: accuracy of the emergent energies less that of each null model. Yes: better than all of
    them and as accurate as was asked. In part: at least better than random weights (`untrained`).
    """
    better = rounding.by_outcome(gains, more="better", less="worse", same="open")["better"]
    if len(better) == len(gains) and aim_reached:
        return "Yes"
    return "Only in part" if "untrained" in better else "No"


def comparison_text(gains: Mapping[str, Estimate]) -> str:
    """How the accuracy compares with that of each null model, by the interval of the difference."""
    outcomes = rounding.by_outcome(
        gains,
        more="better than that of",
        less="worse than that of",
        same="not distinguishable from that of",
    )
    return "; ".join(f"{words} {_listed(names)}" for words, names in outcomes.items() if names)


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
