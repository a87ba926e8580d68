"""`e3d download`: data sets that others have published."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from e3d.cli.app import app


@app.command()
def download(
    name: Annotated[Literal["spice2"], typer.Argument(help="SPICE 2.0.1, 37 GB, into external/.")],
) -> None:
    """Download a published data set; an interrupted call goes on where it stopped."""
    from e3d.data import spice2
    from e3d.data.download import download

    typer.echo(f"wrote {download(spice2.SOURCE, spice2.PATH, progress=sys.stderr.isatty())}")
