"""How far edge energies recover the pair energies of the Hamiltonian that made the labels.

A teacher is a table of true pair energies, one row per pair of atoms: molecule, i < j, and `TRUE`
in eV, negative where the pair binds: `gfn2_table` and `brenner_table` make them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from sklearn.compose import make_column_transformer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from e3d.chemistry.brenner import bond_energies
from e3d.chemistry.pair_energies import gfn2_pair_energies
from e3d.data.molecule import Molecule
from e3d.errors import E3DError
from e3d.parallel import map_ordered
from e3d.statistics.grouping import Groups, molecule_folds, rows_by_group
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

#: Column of the pair energies of the teacher, in eV.
TRUE = "true_eV"
#: Ridge penalties of the regressions of true energies, chosen by leave-one-out error in each fit.
RIDGE_PENALTIES = np.logspace(-3, 3, 13)


def gfn2_table(molecules: Iterable[Molecule], *, progress: bool = True) -> pd.DataFrame:
    """The teacher GFN2-xTB at the relaxed geometries of molecules, all pairs of atoms."""
    parts = map_ordered(gfn2_rows, list(molecules), unit="molecule", progress=progress)
    return pd.concat(parts, ignore_index=True)


def gfn2_rows(molecule: Molecule) -> pd.DataFrame:
    """`gfn2_table` of one molecule."""
    relaxed = molecule.relaxed
    positions = relaxed.positions[0].astype(float) / ANGSTROM_PER_BOHR
    energies = EV_PER_HARTREE * gfn2_pair_energies(relaxed.atomic_numbers, positions).total
    return _rows(molecule.name, energies)


def brenner_table(molecules: Iterable[Molecule]) -> pd.DataFrame:
    """The potential of Brenner as a teacher at the relaxed geometries of hydrocarbons."""
    return pd.concat(map(_brenner_rows, molecules), ignore_index=True)


def _brenner_rows(molecule: Molecule) -> pd.DataFrame:
    relaxed = molecule.relaxed
    positions = torch.as_tensor(relaxed.positions[0].astype(float))
    return _rows(molecule.name, bond_energies(relaxed.atomic_numbers, positions).numpy())


def _rows(name: str, energies: Float[np.ndarray, "n n"]) -> pd.DataFrame:
    """Pairs i < j of a symmetric matrix of pair energies in eV."""
    i, j = np.triu_indices(len(energies), k=1)
    return pd.DataFrame({"molecule": name, "i": i, "j": j, TRUE: energies[i, j]})


def with_truth(bonds: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """A bond table with the column `TRUE` of a teacher.

    Raises E3DError where the teacher lacks a bond, or has one twice.
    """
    keys = ["molecule", "i", "j"]
    if teacher.duplicated(keys).any():
        raise E3DError("the teacher has a pair of atoms twice; give one energy for each pair i < j")
    found = bonds.merge(teacher[[*keys, TRUE]], on=keys, how="left")
    if found[TRUE].isna().any():
        row = found[found[TRUE].isna()].iloc[0]
        raise E3DError(
            f"the teacher has no energy for the pair {row['i']}, {row['j']} of {row['molecule']!r};"
            " it must be made at the geometries of the bond table, with i < j"
        )
    return found


def scaled_to_truth(bonds: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of ε times the factor, one for each, that brings it closest to the true energies.

    For random weights, whose scale and sign mean nothing.
    """
    values = bonds[list(columns)]
    return values * (values.T @ bonds[TRUE]) / (values**2).sum()


def neighbourhood(bonds: pd.DataFrame, symbols: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What surrounds each bond, from geometry alone: one row per bond, same index.

    Columns: length_A, and for each element of an end and class of another bond there, how many such
    bonds there are, and the sum of their lengths less the mean of their class in Å. symbols: those
    of the atoms by molecule.
    """
    excess = bonds["length_A"] - bonds.groupby("class")["length_A"].transform("mean")
    one = bonds[["molecule", "class"]].assign(bond=bonds.index, excess=excess)
    ends = pd.concat([one.assign(atom=bonds[end]) for end in ("i", "j")], ignore_index=True)
    met = ends.merge(ends, on=["molecule", "atom"], suffixes=("", "_other"))
    met = met[met["bond"] != met["bond_other"]]
    element = [symbols[name][atom] for name, atom in zip(met["molecule"], met["atom"], strict=True)]
    met["place"] = [f"{a}:{b}" for a, b in zip(element, met["class_other"], strict=True)]
    groups = met.groupby(["bond", "place"])["excess_other"]
    parts = [groups.size().unstack().add_prefix("n "), groups.sum().unstack().add_prefix("Δr ")]
    around = pd.concat(parts, axis=1).reindex(bonds.index).fillna(0.0)
    return bonds[["length_A"]].join(around)


def fitted(
    bonds: pd.DataFrame, features: pd.DataFrame, *, n_folds: int = 5
) -> Float[np.ndarray, " n"]:
    """True energies in eV as fitted to other molecules, within each class, from features.

    features: one row per bond, the first column its length, of which splines are taken. NaN for a
    class of fewer molecules than folds. Not a null but a competitor that was shown the answer.
    """
    predicted = np.full(len(bonds), np.nan)
    for rows in rows_by_group(bonds["class"]):
        own, truth = features.iloc[rows], bonds[TRUE].to_numpy()[rows]
        varying = own.loc[:, own.std() > 0]
        if bonds["molecule"].iloc[rows].nunique() < n_folds or "length_A" not in varying:
            continue
        for train, test in molecule_folds(bonds["molecule"].iloc[rows], n_folds):
            model = _regression().fit(varying.iloc[train], truth[train])
            predicted[rows[test]] = model.predict(varying.iloc[test])
    return predicted


def _regression() -> Pipeline:
    splines = make_column_transformer(
        (SplineTransformer(n_knots=5, knots="quantile", extrapolation="linear"), ["length_A"]),
        remainder="passthrough",
    )
    return make_pipeline(splines, StandardScaler(), RidgeCV(RIDGE_PENALTIES))


def between_heavy_atoms(classes: Groups) -> Bool[np.ndarray, " n"]:
    """Which bond classes have no hydrogen."""
    return ~pd.Series(list(classes)).str.contains(r"H(?![a-z])").to_numpy(dtype=bool)
