"""Molecules and crystals to work on, from a SMILES or a structure file."""

from e3d.chemistry.structures.smiles import from_smiles
from e3d.chemistry.structures.sources import structure_of, structures_of
from e3d.chemistry.structures.structure import Conformers, Structure

__all__ = ["Conformers", "Structure", "from_smiles", "structure_of", "structures_of"]
