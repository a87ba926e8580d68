"""The command line `e3d`. Each command is a thin call into the library, imported when it runs."""

from e3d.cli import archive, assess, bonds, datasets, diff, downloads, notebooks
from e3d.cli.app import app

__all__ = ["app", "archive", "assess", "bonds", "datasets", "diff", "downloads", "notebooks"]
