"""`e3d bonds`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e3d.cli.app import Json, Trust, app, dumps

if TYPE_CHECKING:
    from e3d.bde.ensemble import Ensemble


@app.command()
def bonds(
    molecules: Annotated[
        list[str],
        typer.Argument(
            metavar="MOLECULE…",
            help="SMILES, relaxed with GFN2-xTB; structure files, used as given; lists of SMILES "
            "(.smi, .txt; one a line); or -, SMILES from standard input.",
        ),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint; repeat for an ensemble. Default: the shipped ensemble."),
    ] = None,
    trust: Trust = False,
    charge: Annotated[int, typer.Option(help="Charge in e, for the bond orders of a file.")] = 0,
    frame: Annotated[
        int | None,
        typer.Option(help="Frame of a file, from 0, or from -1 backwards. Default: all of them."),
    ] = None,
    lattice: Annotated[
        bool | None,
        typer.Option(
            "--crystal/--molecule",
            help="Read a file with a lattice as a crystal, or as a molecule without it. Default: "
            "as the file says.",
        ),
    ] = None,
    zero: Annotated[
        str,
        typer.Option(
            metavar="model|isolated|aligned|FILE",
            help="Energies of the atoms that bond energies are relative to: those that the model "
            "gives to isolated atoms; those in the data set that it was trained on, isolated or "
            "aligned; or of a file, JSON in eV by element, or a data set (.h5).",
        ),
    ] = "model",
    fragments: Annotated[
        bool,
        typer.Option(
            "--fragments",
            help="Besides, E(A•) + E(B•) − E(AB) of every single bond outside of rings, radicals "
            "relaxed with GFN2-xTB: by the shipped models that were trained on radicals, or by "
            "--model. Seconds for small molecules, minutes for large ones; an interrupted call "
            "goes on where it was.",
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page that needs no network: molecules in 3D, tables."),
    ] = None,
    json: Json = False,
) -> None:
    """Bond dissociation energies of molecules: bare, dressed, and their spread over the models.

    Both emerge from the edges of the network. With --fragments, the conventional ones besides.

    With --json one molecule is an object and several are a list. A molecule that cannot be used is
    named on standard error; the others are printed, and the exit code is 1.
    """
    # before NumPy is imported: on small matrices the threads of OpenBLAS only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from e3d.bde.ensemble import load

    kind = {True: "crystal", False: "molecule"}.get(lattice)  # type: ignore[arg-type]
    ensemble = load(model or (), trust=trust, zero=zero, fragments=fragments)
    reports: list[dict[str, Any]] = []
    n_found, n_failed = 0, 0
    for found in _reports(ensemble, molecules, charge=charge, frame=frame, kind=kind):
        if isinstance(found, Exception):
            n_failed += 1
            typer.echo(f"e3d: {found}", err=True)
            continue
        n_found += 1
        if json or html:
            reports.append(found)
        if not json:
            _print(found, first=n_found == 1)
    if html and reports:
        _write(html, reports)
    if json and reports:
        typer.echo(dumps(reports if n_found + n_failed > 1 else reports[0]))
    if n_failed:
        raise typer.Exit(1)


def _reports(
    ensemble: Ensemble, molecules: list[str], **options: Any
) -> Iterator[dict[str, Any] | Exception]:
    """Reports and errors of all molecules, with a bar of progress where people watch and wait."""
    from tqdm import tqdm

    watched = sys.stderr.isatty()
    found = (
        one
        for text in molecules
        for one in ensemble.reports(text, progress=watched and len(molecules) == 1, **options)
    )
    yield from tqdm(found, unit="molecule", delay=2, disable=not watched, leave=False)


def _print(report: dict[str, Any], *, first: bool) -> None:
    from e3d.decomposition.text import report_text

    typer.echo(("" if first else "\n") + report_text(report, explained=first))


def _write(path: Path, reports: list[dict[str, Any]]) -> None:
    from e3d import files
    from e3d.decomposition.page import page

    with files.replacing(path) as new:
        new.write_text(page(reports), encoding="utf-8")
