"""The headline of the project: which metrics it has, and the answer that they support."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from e3d.errors import E3DError
from e3d.statistics import rounding
from e3d.statistics.intervals import CONFIDENCE, Estimate

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
    "control.mae_kcal_per_mol",
    "control.mae_additive_kcal_per_mol",
    # models that have seen broken bonds, entropy against errors, other elements
    "broken.fragment_mae_bse49_kcal_per_mol",
    "broken.fragment_mae_bse49_kcal_per_mol_before",
    "broken.emergent_mae_bse49_kcal_per_mol",
    "interplay.entropy_spearman_de",
    "interplay.entropy_spearman_barrier",
    "inorganic.o_si_difference_kcal_per_mol",
)

#: The verdict as a sentence of its own for readers who want no more.
PLAIN = {"Yes": "yes", "Only in part": "only in part, and not as a number to rely on", "No": "no"}
#: What chemists call the molecules whose bonds have a reference, by SMILES.
NAMES = {
    "[H][H]": "hydrogen", "C": "methane", "CC": "ethane", "C=C": "ethene", "C#C": "acetylene",
    "c1ccccc1": "benzene", "CN": "methylamine", "C=N": "methanimine", "C#N": "hydrogen cyanide",
    "CO": "methanol", "COC": "dimethyl ether", "C=O": "formaldehyde", "O=C=O": "CO₂", "O": "water",
    "N": "ammonia", "NN": "hydrazine", "N=N": "diazene", "N#N": "nitrogen",
    "OO": "hydrogen peroxide", "NO": "hydroxylamine", "CF": "fluoromethane",
    "CCl": "chloromethane", "S": "hydrogen sulfide", "CS": "methanethiol", "[SiH4]": "silane",
    "C[SiH3]": "methylsilane", "[SiH3][SiH3]": "disilane", "O[Si](O)(O)O": "silicic acid",
    "C[Si](C)(C)O": "trimethylsilanol", "CO[Si](C)(C)C": "methoxytrimethylsilane",
}  # fmt: skip


def named(smiles: str) -> str:
    """What chemists call a molecule, or its SMILES where no name is known here."""
    return NAMES.get(smiles, smiles)


def label(row: pd.Series) -> str:
    """What a point of the figure says: molecule, bond, and both energies in kcal/mol.

    row: of the matched table, with `name` and `error` (energy less reference).
    """
    reaction = re.sub(
        r"(?<=[A-Za-z)])\d", lambda digit: chr(0x2080 + int(digit[0])), row["reaction"]
    )
    return (f"{row['name']}, bond {row['class']}: {row['emergent_kcal_per_mol']:.0f} kcal/mol, "
            f"{row['error']:+.0f} against Dₑ ({reaction.replace('->', '→')})")  # fmt: skip


def headline(metrics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The estimates of `HEADLINE` among the metrics of all chapters, in its order.

    Raises E3DError when none of them is there.
    """
    found = {key: metrics[key] for key in HEADLINE if key in metrics}
    if not found:
        raise E3DError("no headline metric among those of the chapters; were all of them renamed?")
    return found


def verdict(sets: Mapping[str, Mapping[str, Estimate]], *, aim_reached: bool) -> str:
    """Are edge energies bond dissociation energies? "Yes", "Only in part" or "No".

    sets: for every set of bonds, the accuracy of the emergent energies less that of each null
    model. Yes: on every set better than all of them, and as accurate as was asked. In part: better
    than all of them on at least one set.
    """
    ahead = [_ahead_of_all(gains) for gains in sets.values()]
    if all(ahead) and aim_reached:
        return "Yes"
    return "Only in part" if any(ahead) else "No"


def _ahead_of_all(gains: Mapping[str, Estimate]) -> bool:
    better = rounding.by_outcome(gains, more="better", less="worse", same="open")["better"]
    return len(better) == len(gains)


def counted(metrics: Mapping[str, Estimate]) -> dict[str, int]:
    """How many metrics there are, how many have an interval, and how many of these will miss.

    Keys: `metrics`; `intervals`; `by_chance`, the number of 95 % intervals expected not to contain
    the true value, rounded.
    """
    found = [entry for entry in metrics.values() if entry["low"] is not None]
    by_chance = round((1 - CONFIDENCE) * len(found))
    return {"metrics": len(metrics), "intervals": len(found), "by_chance": by_chance}
