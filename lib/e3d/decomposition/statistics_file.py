"""The file that `e3d decompose` writes: statistics of pair energies, of one model or of several.

The groups map, by_class and by_separation hold the columns of the tables of `PairStatistics`, one
array each, and variance_eV2 besides. With several models they lie in a group for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import pandas as pd
from pandas.api.types import is_numeric_dtype

from e3d.data.dataset import DAMAGED
from e3d.data.left_out import LeftOut
from e3d.data.writing import saving
from e3d.decomposition.pair_statistics import PairStatistics
from e3d.errors import E3DError

_TABLES = ("map", "by_class", "by_separation")


def write(
    path: Path, totals: Mapping[str, PairStatistics], *, settings: str = "{}", n_read: int = 0
) -> None:
    """Write the statistics of each model, by its name, atomically.

    settings: JSON, all that they depend on; n_read: molecules of the data set read so far.
    Raises WriteError.
    """
    with saving(path) as file:
        file.attrs.update(settings=settings, n_read=n_read, models=json.dumps(list(totals)))
        for name, total in totals.items():
            _write(file if len(totals) == 1 else file.create_group(name), total)


def _write(group: h5py.Group, total: PairStatistics) -> None:
    group.attrs.update(
        n_molecules=total.n_molecules,
        n_conformations=total.n_conformations,
        sum_rule_error_eV_per_atom=total.sum_rule_error,
        left_out=json.dumps(total.left_out.as_dict()),
    )
    for name in _TABLES:
        table: pd.DataFrame = getattr(total, name)
        if "m2_eV2" in table:
            table = table.assign(variance_eV2=table["m2_eV2"] / table["count"])
        for column, values in table.items():
            kind = values.dtype if is_numeric_dtype(values) else h5py.string_dtype()
            group.create_dataset(f"{name}/{column}", data=values.to_numpy(), dtype=kind)


def read(path: str | Path, model: str | None = None) -> PairStatistics:
    """Statistics of a file; model: which one, where there are several.

    Raises E3DError for any other file and any other model.
    """
    totals, _, _ = read_all(path)
    if model is None and len(totals) == 1:
        return next(iter(totals.values()))
    if model not in totals:
        raise E3DError(f"{path} is of the models {', '.join(totals)}; give one of them")
    return totals[model]


def read_all(path: str | Path) -> tuple[dict[str, PairStatistics], str, int]:
    """Statistics by model, settings and number of molecules read. Raises E3DError."""
    try:
        with h5py.File(path) as file:
            names = json.loads(file.attrs["models"])
            totals = {name: _read(file if len(names) == 1 else file[name]) for name in names}
            return totals, str(file.attrs["settings"]), int(file.attrs["n_read"])
    except (*DAMAGED, ValueError, TypeError) as error:
        raise E3DError(f"{path} is no statistics file of `e3d decompose` ({error})") from error


def _read(group: h5py.Group) -> PairStatistics:
    attributes = group.attrs
    return PairStatistics(
        **{name: _table(group[name], getattr(PairStatistics(), name).columns) for name in _TABLES},
        n_molecules=int(attributes["n_molecules"]),
        n_conformations=int(attributes["n_conformations"]),
        sum_rule_error=float(attributes["sum_rule_error_eV_per_atom"]),
        left_out=LeftOut.from_dict(json.loads(attributes["left_out"])),
    )


def _table(group: h5py.Group, columns: Iterable[str]) -> pd.DataFrame:
    stored = {column: group[column] for column in columns}
    return pd.DataFrame(
        {
            column: values.asstr()[()] if h5py.check_string_dtype(values.dtype) else values[()]
            for column, values in stored.items()
        }
    )
