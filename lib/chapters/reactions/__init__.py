"""Minimum energy paths of reactions, their DFT labels, and how models describe them."""
