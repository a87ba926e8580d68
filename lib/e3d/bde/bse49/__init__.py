"""Bond separation energies of the BSE49 data set: read, and the broken bonds identified."""
