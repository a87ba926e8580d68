"""Vertical dissociation energies are read from all files of a folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from e3d.bde.vertical import read_vertical
from e3d.errors import E3DError


def rows(*bonds: tuple[str, int, float]) -> pd.DataFrame:
    return pd.DataFrame([
        {"molecule": name, "smiles": name, "i": 0, "j": j, "class": "C-H", "order": 1,
         "n_equivalent": 1, "fragment_i": "[CH3]", "fragment_j": "[H]",
         "vertical_kcal_per_mol": energy, "valence_kcal_per_mol": energy}
        for name, j, energy in bonds
    ])  # fmt: skip


def test_tables_are_joined_and_failures_and_repetitions_left_out(tmp_path: Path) -> None:
    rows(("C", 1, 110.0), ("CC", 1, np.nan)).to_csv(tmp_path / "a.csv", index=False)
    rows(("C", 1, 999.0), ("N", 1, 115.0)).to_csv(tmp_path / "b.csv", index=False)
    found = read_vertical(tmp_path)
    assert found["smiles"].tolist() == ["C", "N"]
    assert found["vertical_kcal_per_mol"].tolist() == [110.0, 115.0]
    assert found["fragments"].unique().tolist() == ["[CH3] + [H]"]


def test_a_folder_without_such_tables_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(E3DError, match="has no table"):
        read_vertical(tmp_path)
    pd.DataFrame({"molecule": ["C"]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(E3DError, match="has no column 'smiles'"):
        read_vertical(tmp_path)
