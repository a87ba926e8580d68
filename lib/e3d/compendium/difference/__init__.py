"""Two runs side by side: the parameters and results in which they differ."""
