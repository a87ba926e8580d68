"""Molecules without models: graphs, bonds, and quantum chemistry with GFN2-xTB and DFT."""
