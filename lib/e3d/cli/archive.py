"""`e3d archive`: the compendium as one file, for a repository of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import app


@app.command()
def archive(
    out: Annotated[Path, typer.Option(help="The zip file to write.")] = Path("runs/e3d.zip"),
) -> None:
    """Pack code, data, models, results and their provenance as a Workflow Run RO-Crate."""
    from e3d.compendium.archive import write

    typer.echo(f"wrote {write(out)}")
