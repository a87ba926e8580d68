"""Data sets in the schema of SPICE: reading, writing, checking and splitting them."""
