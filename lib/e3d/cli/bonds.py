"""`e3d bonds`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import Json, Trust, app, dumps


@app.command()
def bonds(
    molecule: Annotated[
        str,
        typer.Argument(help="A SMILES, relaxed with GFN2-xTB, or a structure file, used as given."),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint; repeat for an ensemble. Default: the shipped ensemble."),
    ] = None,
    trust: Trust = False,
    charge: Annotated[int, typer.Option(help="Charge in e, for the bond orders of a file.")] = 0,
    json: Json = False,
) -> None:
    """Bond dissociation energies of a molecule: bare, dressed, and their spread over the models."""
    from e3d.chemistry.structures import structure_of
    from e3d.decomposition.report import bond_report, default_models, report_text
    from e3d.models.allegro import load_model

    models = [load_model(path, trust=trust) for path in model or default_models()]
    elements = [e for e in models[0].type_names if all(e in m.type_names for m in models)]
    report = bond_report(structure_of(molecule, elements=elements, charge=charge), models)
    typer.echo(dumps(report) if json else report_text(report))
