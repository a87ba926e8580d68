"""Units: eV, Å, eV/Å inside; hartree and bohr in SPICE files; kcal/mol for display."""

from ase.units import Bohr, Hartree, kcal, mol

#: eV per hartree (CODATA as in `ase.units`).
EV_PER_HARTREE: float = Hartree
#: Å per bohr.
ANGSTROM_PER_BOHR: float = Bohr
#: kcal/mol per eV.
KCAL_PER_MOL_PER_EV: float = mol / kcal
#: (eV/Å) per (hartree/bohr).
EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR: float = Hartree / Bohr
