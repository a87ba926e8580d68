"""Scores against the bond separation energies of the BSE49 data set."""
