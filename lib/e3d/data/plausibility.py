"""Whether the numbers of a molecule can be what they say: units, and the sign of gradients."""

from __future__ import annotations

import warnings

import numpy as np
from ase.data import covalent_radii
from ase.geometry import get_distances
from scipy.spatial.transform import Rotation

from e3d.data.report import Report
from e3d.units import ANGSTROM_PER_BOHR

#: Nearest-neighbour distance over the sum of covalent radii, averaged over a molecule. Outside this
#: range the positions must be in another unit: N2 has 0.78, a noble gas dimer 3, and ångströms read
#: as bohr halve the ratio.
SPACING_RANGE = (0.6, 10.0)
#: Largest plausible formation energy per atom, in hartree.
FORMATION_LIMIT = 1.0
#: Energies closer than this, in hartree, do not say which of two conformations is higher.
FLAT = 1e-4
#: Conformations per molecule that are superimposed on the lowest one, which is slow.
MAX_TURNED = 4


def implausible(arrays: dict[str, np.ndarray]) -> list[str]:
    """Quantities that cannot be in the unit that they state."""
    numbers, found = arrays["atomic_numbers"], []
    cell = arrays["cell"][0] if "cell" in arrays else None
    spacing = _spacing(numbers, arrays["conformations"][0], cell)
    if spacing is not None and not SPACING_RANGE[0] < spacing < SPACING_RANGE[1]:
        found.append(
            f"atoms stand {spacing:.2f} times their covalent radii apart; are 'conformations' in "
            "bohr, as they state?"
        )
    per_atom = np.abs(arrays["formation_energy"]).max() / len(numbers)
    if per_atom > FORMATION_LIMIT:
        found.append(
            f"formation energy of {per_atom:.3g} hartree per atom; are energies in hartree, as "
            "they state?"
        )
    return found


def _spacing(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None = None
) -> float | None:
    """Distance to the nearest neighbour over the sum of covalent radii, averaged over the atoms.

    positions (N, 3) and cell (3, 3) in bohr; None for a single atom.
    """
    if len(numbers) < 2:
        return None
    radii = covalent_radii[numbers] / ANGSTROM_PER_BOHR
    periodic = None if cell is None else True
    distances = get_distances(positions, cell=cell, pbc=periodic)[1]
    ratios = distances / (radii[:, None] + radii)
    np.fill_diagonal(ratios, np.inf)
    return float(ratios.min(axis=1).mean())


def count_uphill(arrays: dict[str, np.ndarray], report: Report) -> None:
    """Count gradients that point away from the superimposed lowest conformation, and towards it.

    Frames of a reaction path (negative temperature) are left out: the lowest one may belong to
    another minimum. So are crystals, which cannot be superimposed.
    """
    if "cell" in arrays or (arrays.get("temperature", np.zeros(1)) < 0).any():
        return
    positions = arrays["conformations"] - arrays["conformations"].mean(axis=1, keepdims=True)
    energies, gradients = arrays["dft_total_energy"], arrays["dft_total_gradient"]
    lowest = int(np.argmin(energies))
    if positions.shape[1] < 2:
        return
    for k in np.flatnonzero(energies > energies[lowest] + FLAT)[:MAX_TURNED]:
        with (
            warnings.catch_warnings()
        ):  # the rotation of a linear molecule about its axis is arbitrary
            warnings.simplefilter("ignore", UserWarning)
            turn, _ = Rotation.align_vectors(positions[k], positions[lowest])
        uphill = np.vdot(gradients[k], positions[k] - turn.apply(positions[lowest])) > 0
        report.n_uphill += int(uphill)
        report.n_downhill += int(not uphill)
