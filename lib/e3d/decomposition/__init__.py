"""Energies of edges, pairs and bonds inside a model, their tables, maps and reports."""
