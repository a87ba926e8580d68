"""What the notebooks call: their start, figures, computed prose, and the writing of results."""
