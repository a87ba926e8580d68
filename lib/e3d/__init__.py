"""Edge-wise Emergent Decomposition: the bond energies inside Allegro interatomic potentials."""

__version__ = "0.1.0"
