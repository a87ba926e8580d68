"""Scores of any Allegro model on the standard tests, beside all null models."""
