"""Bond dissociation energies: reference values and the scores of edge energies against them."""
