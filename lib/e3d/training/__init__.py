"""Training with `nequip-train`: settings, data, configuration, checkpoints and errors."""
