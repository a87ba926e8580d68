"""Molecular dynamics with networks and references, and the breaking of bonds in it."""
