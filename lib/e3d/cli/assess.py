"""`e3d assess`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import Json, Trust, app, dumps


@app.command()
def assess(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoints: folders, or with --trust a .ckpt, a .nequip.zip or a .nequip.pt2. "
            "NAME-s0 NAME-s1 … are seeds of one model, others stand side by side."
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained report to this file.")
    ] = None,
    json: Json = False,
    trust: Trust = False,
    bse49: Annotated[
        Path | None,
        typer.Option(
            help="Folder or .tar.gz of the data set BSE49, for a further test. Default: what the "
            "environment variable E3D_BSE49 names."
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of finished parts. Default: runs/assess/.")
    ] = None,
) -> None:
    """Score models on the standard tests, null models beside; an interrupted call resumes."""
    from e3d import files
    from e3d.assess.assessment import assess as assess_models
    from e3d.assess.cache import FOLDER
    from e3d.assess.page import page
    from e3d.assess.summary import lines, summary
    from e3d.assess.text import report_text
    from e3d.errors import E3DError

    if html is not None and html.is_dir():
        raise E3DError(f"{html} is a folder; give the name of a file, such as {html}/report.html")
    found = assess_models(
        models, trust=trust, bse49_copy=bse49, cache=cache or FOLDER,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    if html is not None:
        with files.replacing(html) as temporary:
            temporary.write_text(page(found), encoding="utf-8")
        typer.echo(f"wrote {html}", err=True)
    if json:
        typer.echo(dumps(found.report | {"summary": summary(found.report)}))
    else:
        typer.echo("\n".join([report_text(found.report), "", *lines(found.report)]))
