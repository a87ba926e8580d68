"""`e3d diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import Json, app, dumps

#: Exit codes as of diff(1) and cmp(1): equal 0, different 1, trouble 2.
DIFFERENT, TROUBLE = 1, 2


@app.command()
def diff(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run; the name of a notebook, for its last run; a stage of dvc.yaml, "
            "as it is now; or REVISION:STAGE, of a commit or a DVC experiment.",
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A second one, which the first came before. Default: RUN is compared with what "
            "is published, a stage with the last commit.",
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(help="Published stage to compare with, where several run the same notebook."),
    ] = None,
    rtol: Annotated[
        float, typer.Option(help="Numbers are equal within this fraction of the earlier one.")
    ] = 0.0,
    atol: Annotated[float, typer.Option(help="Numbers are equal within this.")] = 0.0,
    limit: Annotated[
        int, typer.Option(min=0, help="Changes shown of each table, the largest first. 0: all.")
    ] = 10,
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained page with all changes.")
    ] = None,
    json: Json = False,
) -> None:
    """Parameters and result tables in which a run differs from the published one, or another.

    Exit code 0: no difference; 1: a difference; 2: a run that cannot be read.
    """
    from rich.console import Console

    from e3d import files
    from e3d.compendium.difference import comparison, page, runs, shown, terminal
    from e3d.compendium.difference.tables import Tolerance
    from e3d.errors import E3DError

    try:
        tolerance = Tolerance(rtol, atol)
        with runs.opened(run, other, like=like) as pair:
            found = comparison.compare(*pair, tolerance)
        if html is not None:
            with files.replacing(html) as new:
                new.write_text(page.page(found), encoding="utf-8")
            typer.echo(f"wrote {html}", err=True)
    except E3DError as error:
        typer.echo(f"e3d: {error}", err=True)
        raise typer.Exit(TROUBLE) from None
    if json:
        typer.echo(dumps(shown.as_json(found)))
    else:
        terminal.show(found, Console(), limit=limit or None)
    if found.differs:
        raise typer.Exit(DIFFERENT)
