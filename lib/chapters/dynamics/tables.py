"""Tables of stored trajectories: runs, drifts, fluctuations of bonds, deviations of energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import binomtest

from chapters.dynamics.simulation import energy_drift
from chapters.dynamics.trajectories import Record
from e3d.chemistry.bonding import bond_lengths
from e3d.errors import E3DError
from e3d.statistics.intervals import CONFIDENCE, Estimate

#: What the kinds of runs, as they are stored, are called in texts.
KINDS = {"nve": "at constant energy", "stability": "at moderate temperatures", "hot": "hot"}


def driver_name(driver: str) -> str:
    """What a driver, named as for `potential_by_name`, is called in tables and figures."""
    source, _, option = driver.partition(":")
    if source == "gfn2":
        return "GFN2-xTB"
    if source == "pair":
        return "pair potential"
    return source.rpartition("/")[2] + (", float64" if option else "")


def run_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row per run: kind, driver, molecule, fold, temperature_K, time_step_fs, end, length_fs,
    n_atoms."""
    return pd.DataFrame([
        {"kind": r.kind, "driver": driver_name(r.driver), "molecule": r.molecule, "fold": r.fold,
         "temperature_K": int(r.temperature_K), "time_step_fs": r.time_step_fs, "end": r.end,
         "length_fs": r.length_fs, "n_atoms": len(r.atomic_numbers)}
        for r in records
    ])  # fmt: skip


def drift_table(records: Sequence[Record]) -> pd.DataFrame:
    """`energy_drift` of the total energy of every intact run at constant energy.

    Columns: driver, time_step_fs, molecule, and slope, error and spread as of `Drift`.
    """
    rows = [
        {"driver": driver_name(r.driver), "time_step_fs": r.time_step_fs, "molecule": r.molecule}
        | energy_drift(
            r.times.astype(float), r.potential + r.kinetic, len(r.atomic_numbers)
        )._asdict()
        for r in records
        if r.kind == "nve" and r.end == "whole"
    ]
    return pd.DataFrame(rows)


def intact_fraction(ends: Sequence[str] | pd.Series) -> Estimate:
    """Fraction of runs whose end is `whole`, with the exact (Clopper-Pearson) interval."""
    n_intact = int((pd.Series(ends) == "whole").sum())
    found = binomtest(n_intact, len(ends))
    interval = found.proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return {"value": float(found.statistic), "low": float(interval.low),
            "high": float(interval.high), "n": len(ends)}  # fmt: skip


def bond_fluctuations(record: Record) -> Float[np.ndarray, " n_bonds"]:
    """Standard deviation of the length of each bond in Å, after the first tenth of the frames."""
    later = record.positions[len(record.times) // 10 :].astype(float)
    return bond_lengths(later, record.bonds).std(axis=0)


def fluctuation_table(records: Sequence[Record]) -> pd.DataFrame:
    """`bond_fluctuations` of the intact runs at moderate temperatures, one row per bond.

    Columns: temperature_K, molecule, bond, class, and one per driver, NaN where it has no such run.
    """
    tables = [
        pd.DataFrame({
            "driver": driver_name(r.driver), "temperature_K": r.temperature_K,
            "molecule": r.molecule, "bond": range(len(r.bonds)), "class": r.classes,
            "fluctuation_A": bond_fluctuations(r),
        })
        for r in records if r.kind == "stability" and r.end == "whole"
    ]  # fmt: skip
    keys = ["temperature_K", "molecule", "bond", "class"]
    wide = pd.concat(tables).pivot_table(index=keys, columns="driver", values="fluctuation_A")
    return wide.reset_index()


def energy_deviations(
    records: Sequence[Record], totals: Mapping[str, Sequence[Float[np.ndarray, " _"]]]
) -> pd.DataFrame:
    """Deviation of model energies from GFN2-xTB, relative to the start, one row per frame.

    totals: by column, the energies (F,) of every record relative to its start, in eV. Columns:
    molecule, driver, stretch (the largest r over the relaxed length of any bond), reference_eV, and
    for each of `totals` |ΔE − ΔE(GFN2-xTB)| in meV/atom. Left out are the start, frames whose SCF
    did not converge, and frames in which no bond is longer than at the start. Raises E3DError for a
    record without GFN2-xTB energies.
    """
    tables = []
    for k, record in enumerate(records):
        if record.gfn2 is None:
            raise E3DError(f"a run of {record.molecule} was stored without GFN2-xTB energies")
        lengths = bond_lengths(record.positions.astype(float), record.bonds)
        reference = record.gfn2 - record.gfn2[0]
        per_atom = 1000 / len(record.atomic_numbers)
        tables.append(pd.DataFrame({
            "molecule": record.molecule, "driver": driver_name(record.driver),
            "stretch": (lengths / lengths[0]).max(axis=1), "reference_eV": reference,
            **{name: np.abs(of[k] - reference) * per_atom for name, of in totals.items()},
        }))  # fmt: skip
    return pd.concat(tables).dropna().query("stretch > 1")
