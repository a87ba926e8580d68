"""SPICE 2.0.1: where it is, what is in it, and the isolated atoms of its level of theory.

Eastman, P.; Pritchard, B. P.; Chodera, J. D.; Markland, T. E. SPICE 2.0.1, Zenodo (2024),
https://doi.org/10.5281/zenodo.10975225, CC0. The file has no root attributes, so that what other
data sets say of themselves stands here.
"""

from __future__ import annotations

from pathlib import Path

from e3d.data.source import Source
from e3d.errors import E3DError
from e3d.paths import ROOT

#: What commands and the parameter `dataset` call the file.
NAME = "spice2"
SOURCE = Source(
    url="https://zenodo.org/records/10975225/files/SPICE-2.0.1.hdf5",
    size=37_479_271_148,
    md5="bfba2224b6540e1390a579569b475510",
)
PATH = ROOT / "external" / "SPICE-2.0.1.hdf5"
LEVEL = "wB97M-D3(BJ)/def2-TZVPPD"
#: Isolated neutral atoms in their ground states at `LEVEL`, in hartree, as published with the set.
ATOMIC_ENERGIES = {
    "H": -0.4987605100487531,
    "B": -24.671520535482145,
    "C": -37.87264507233593,
    "N": -54.62327513368922,
    "O": -75.11317840410095,
    "F": -99.78611622985483,
    "Si": -289.4131352299586,
    "P": -341.3059197024934,
    "S": -398.1599636677874,
    "Cl": -460.1988762285739,
    "Br": -2574.1167240829964,
    "I": -297.76228914445625,
}
#: All elements of the set. Li, Na, Mg, K and Ca are in it as ions alone.
ELEMENTS = (*ATOMIC_ENERGIES, "Li", "Na", "Mg", "K", "Ca")
#: Levels of theory whose isolated atoms are known here: for files that do not bring their own.
KNOWN_ATOMS = {LEVEL: ATOMIC_ENERGIES}


def located(dataset: str | Path) -> Path:
    """The path of a data set, of which `spice2` is a name. Raises E3DError when that is missing."""
    if str(dataset) != NAME:
        return Path(dataset)
    if not PATH.exists():
        raise E3DError(f"{PATH} does not exist; `make spice2` downloads it, 37 GB")
    return PATH
