"""`python -m e3d` is the command line `e3d`."""

from e3d.cli import app

if __name__ == "__main__":
    app(prog_name="e3d")
