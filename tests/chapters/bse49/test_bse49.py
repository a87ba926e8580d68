"""BSE49: fetched and verified without a network, and the broken bond found, or the reason said."""

import os

import numpy as np
import pytest

from chapters.bse49 import matching
from chapters.bse49.source import (
    SOURCE_VARIABLE,
    obtain,
    read_separations,
)
from e3d.chemistry import bonding
from e3d.compendium import parameters
from e3d.paths import NOTEBOOKS

#: A copy of the real data, where there is one.
COPY = os.environ.get(SOURCE_VARIABLE, "")
#: Names in the style of BSE49, molecules and radicals as SMILES, and a made-up reference.
REACTIONS = {
    "C-H_methane": ("[CH3]", "[H]", "C", 112.0),
    "C-H_ethanol-1": ("[CH2]CO", "[H]", "CCO", 104.0),
    "C-H_ethanol-2": ("C[CH]O", "[H]", "CCO", 97.0),
    "O-C_ethanol": ("C[CH2]", "[OH]", "CCO", 96.0),
    "C-C_ring": ("[CH3]", "[CH3]", "C1CC1", 90.0),  # these fragments are of another molecule
    "Si-H_silane": ("[SiH3]", "[H]", "[SiH4]", 95.0),
}


def xyz(smiles: str, state: str) -> bytes:
    graph = bonding.parse_smiles(smiles)
    symbols = [atom.GetSymbol() for atom in graph.GetAtoms()]
    positions = np.zeros((1, 3)) if len(symbols) == 1 else bonding.embed(graph, seed=1)
    rows = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in zip(symbols, positions, strict=True)]
    return "\n".join([str(len(symbols)), state, *rows, ""]).encode()


def test_the_pinned_copy_of_the_user() -> None:
    """Runs where `E3D_BSE49` names a copy."""
    known = parameters.defaults(NOTEBOOKS / "00_bse49.ipynb")
    assert len(known["commit"]) == 40
    assert len(known["sha256"]) == 64
    if not COPY:
        pytest.skip(f"{SOURCE_VARIABLE} names no copy of BSE49")
    found = obtain(COPY, url="", cache="", sha256=known["sha256"])
    reactions = read_separations(found)
    assert len(reactions) == 4394
    matched, left_out = matching.match_all(found, reactions[:60], known["elements"])
    assert len(matched) == 60 - len(left_out) >= 58
