"""Bond separation energies of the BSE49 data set."""
