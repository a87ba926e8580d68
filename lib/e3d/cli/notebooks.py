"""`e3d run`, `e3d stage`, `e3d book`: the notebooks and the book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import app


@app.command()
def run(
    notebook: Annotated[
        str, typer.Argument(help="Notebook, as a path or by its place in notebooks/: 04_bde.")
    ],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value; repeat for several.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the outputs. Default: runs/NOTEBOOK/<time>/.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(help="Start from the parameters of this stage, for example study@n1000-s0."),
    ] = None,
) -> None:
    """Execute a notebook with other parameters than params.yaml has, into a folder of its own."""
    from e3d.compendium.execute import find, run_here
    from e3d.compendium.pipeline import stages_of
    from e3d.compendium.rendering import write_page

    folder, source = run_here(notebook, parameter or [], out, like=like), find(notebook)
    typer.echo(f"wrote {folder}")
    typer.echo(f"to read: {write_page(folder / source.name)}")
    if stages_of(source):
        typer.echo(f"to compare with the published one: e3d diff {folder}")


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="NAME of a stage in dvc.yaml, or NAME@KEY of a run.")],
) -> None:
    """Run a stage of dvc.yaml with the values of params.yaml, as `dvc repro` does."""
    from e3d.compendium.execute import run_stage

    typer.echo(f"wrote {run_stage(name)}")


@app.command()
def book() -> None:
    """Build the HTML book from the executed notebooks."""
    from e3d.compendium.book import build

    typer.echo(f"wrote {build()}")
