"""Where emergent bond energies cannot be trusted: non-standard bonds, errors by kind of molecule.

Energies of bonds in kcal/mol, positive when bound; tables hold one row per bond or per molecule and
model, and every interval is over molecules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from e3d.bde.fragment_report import plain
from e3d.bde.fragments import fragment_energies
from e3d.chemistry import bonding, motifs
from e3d.chemistry.structures import from_smiles
from e3d.data.molecule import Molecule
from e3d.decomposition.report import bond_report
from e3d.errors import E3DError
from e3d.models.allegro import Model
from e3d.statistics.intervals import Estimate, estimate
from e3d.units import KCAL_PER_MOL_PER_EV


def with_motifs(
    bonds: pd.DataFrame, molecules: Iterable[Molecule], runs: Sequence[str]
) -> pd.DataFrame:
    """A bond table with the motif of each bond, and its BDE by an ensemble.

    bonds: columns molecule, i, j and `bare:<run>` (ε in eV, negative when bound) of each of the
    runs. Added columns: motif (`motifs.MOTIFS`, or ordinary), value and spread, the mean of −ε over
    the runs and its standard deviation, in kcal/mol.
    """
    graphs = {molecule.name: bonding.from_mapped_smiles(molecule.smiles) for molecule in molecules}
    found = pd.concat(
        pd.Series(motifs.motifs_of(graphs[name], own[["i", "j"]].to_numpy().tolist()), own.index)
        for name, own in bonds.groupby("molecule")
    )
    values = bonds[[f"bare:{run}" for run in runs]] * -KCAL_PER_MOL_PER_EV
    return bonds.assign(motif=found, value=values.mean(axis=1), spread=values.std(axis=1, ddof=1))


def mean_by(
    table: pd.DataFrame, by: str, column: str, *, n_resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Mean over molecules of a column, for each value of the column `by`; n counts molecules.

    The value of a molecule is the mean over its rows (bonds or models) with this value of `by`.
    """
    return {
        str(name): estimate(
            own.groupby("smiles")[column].mean().to_numpy(), n_resamples=n_resamples, seed=seed
        )
        for name, own in table.groupby(by)
    }


def motif_table(bonds: pd.DataFrame, spreads: dict[str, Estimate]) -> pd.DataFrame:
    """Seed spread and shift of the BDE by motif.

    bonds: as of `with_motifs`; spreads: their `mean_by` motif. Columns: motif, molecules, bonds,
    seed std, low, high, and shift, the mean over molecules of the difference from the median of the
    ordinary bonds of the same class (kcal/mol, positive: bound more strongly; NaN where there are
    none).
    """
    usual = bonds[bonds["motif"] == motifs.ORDINARY].groupby("class")["value"].median()
    shifts = bonds.assign(shift=bonds["value"] - bonds["class"].map(usual))
    rows = []
    for motif, own in shifts.groupby("motif"):
        spread = spreads[str(motif)]
        rows.append(
            {"motif": motif, "molecules": own["smiles"].nunique(), "bonds": len(own),
             "seed std": spread["value"], "low": spread["low"], "high": spread["high"],
             "shift": own.groupby("smiles")["shift"].mean().mean()}
        )  # fmt: skip
    return pd.DataFrame(rows)


def motif_of_molecules(bonds: pd.DataFrame) -> pd.Series:
    """Motif of the first bond of each molecule that is not ordinary; index molecule."""
    strange = bonds[bonds["motif"] != motifs.ORDINARY].groupby("molecule")["motif"].first()
    return strange.reindex(bonds["molecule"].unique(), fill_value=motifs.ORDINARY)


def non_standard_bonds(
    examples: Iterable[str], models: Sequence[Model], elements: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Bonds of single molecules (SMILES) that are not ordinary, equal ones once, and what failed.

    Molecules are embedded and relaxed with GFN2-xTB. Columns: those of the bonds of `bond_report`,
    motif and molecule. The second result names molecules that did not keep their bonds, with the
    reason.
    """
    rows, failed = [], []
    for smiles in examples:
        try:
            structure = from_smiles(smiles, elements=elements)
        except E3DError as error:
            failed.append(f"{smiles} ({error})")
            continue
        report = pd.DataFrame(bond_report(structure, models)["bonds"])
        kinds = motifs.motifs_of(bonding.parse_smiles(smiles), structure.bonds.tolist())
        report = report.assign(motif=kinds, molecule=smiles).round({"length_A": 2})
        rows.append(report[report["motif"] != motifs.ORDINARY])
    found = pd.concat(rows).drop_duplicates(["molecule", "class", "length_A"])
    return found, failed


def fragments_as_told(
    own: pd.DataFrame, models: Sequence[Model], elements: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Fragment BDEs of known bonds as `e3d bonds --fragments` gives them, and what failed.

    own: columns smiles, class and fragments (SMILES of the radicals, joined by " + "), one row per
    bond. Added columns: value and spread, mean and standard deviation over the models, in kcal/mol,
    positive when bound. Bonds of molecules that do not relax, and those that leave radicals that
    do not, are left out; the second result names them with the reason.
    """
    found, failed = {}, []
    for smiles in own["smiles"].unique():
        try:
            structure = from_smiles(smiles, elements=elements)
        except E3DError as error:
            failed.append(f"{smiles} ({error})")
            continue
        energies = fragment_energies(structure, models)
        failed += [f"{radical} of {smiles} ({why})" for radical, why in energies.failed.items()]
        for k, radicals in energies.radicals.items():
            names = " + ".join(sorted(map(plain, radicals)))
            values = energies.bde_kcal_per_mol[:, k]
            found[smiles, structure.classes[k], names] = values.mean(), values.std(ddof=1)
    keys = own[["smiles", "class", "fragments"]].itertuples(index=False, name=None)
    missing = float("nan"), float("nan")
    columns = pd.DataFrame([found.get(key, missing) for key in keys], columns=["value", "spread"])
    table = own.reset_index(drop=True).join(columns)
    return table.dropna(subset="value").reset_index(drop=True), failed
