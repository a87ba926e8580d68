"""`e3d check`, `e3d decompose`, `e3d label`: data sets of any size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from e3d.cli.app import Json, Trust, app, dumps

Scheduler = Annotated[
    str | None,
    typer.Option(help="Running Dask scheduler, tcp://HOST:PORT or its file, instead of --workers."),
]


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file in the schema of SPICE.")],
    json: Json = False,
) -> None:
    """Validate a data set: print every problem and where it is; exit code 1 if there is any."""
    from e3d.data.guarded import check_guarded

    report = check_guarded(dataset, progress=sys.stderr.isatty())
    typer.echo(dumps(report.as_dict()) if json else report.text())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def decompose(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="HDF5 file in the schema of SPICE, of any size; or spice2, what "
            "`e3d download spice2` fetches."
        ),
    ],
    model: Annotated[list[Path], typer.Option(help="Checkpoint; repeat for several.")],
    out: Annotated[Path, typer.Option(help="Statistics to write, HDF5.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one per core, or per GPU.")
    ] = None,
    scheduler: Scheduler = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N. Default: the GPUs, if there are any.")
    ] = None,
    compile: Annotated[
        str, typer.Option(help="auto, yes or no: compile the model, where it is worth the time.")
    ] = "auto",
    charged: Annotated[
        bool,
        typer.Option("--charged", help="Charged molecules too, if the model knows them."),
    ] = False,
    trust: Trust = False,
) -> None:
    """E3D map and moments of a data set; an interrupted call resumes.

    Molecules that cannot be used are left out and named; charged ones are, without --charged.
    """
    from e3d.decomposition.stream import decompose_with

    totals = decompose_with(
        dataset, model, out, trust=trust, charged=charged, device=device, compile=compile,
        n_workers=workers, scheduler=scheduler, progress=sys.stderr.isatty(),
    )  # fmt: skip
    for name, total in totals.items():
        about = f"{name}: " if len(totals) > 1 else ""
        for line in total.left_out.lines():
            typer.echo(f"{about}left out: {line}", err=True)
    for name, total in totals.items():
        about = f"{name}: " if len(totals) > 1 else ""
        typer.echo(f"{about}{total.n_conformations} conformations, {total.n_molecules} molecules")
    typer.echo(f"wrote {out}")


@app.command()
def label(
    molecules: Annotated[
        Path, typer.Argument(help="Text file of SMILES, or a data set to label anew.")
    ],
    method: Annotated[str, typer.Option(help="gfn2 or wb97m-d3bj/def2-tzvp.")],
    out: Annotated[Path, typer.Option(help="Data set to write, HDF5.")],
    temperature: Annotated[
        list[int], typer.Option(help="Temperature of the dynamics in K; repeat for several.")
    ] = [300, 600, 1000],  # noqa: B006  (typer copies it)
    frames: Annotated[int, typer.Option(min=0, help="Frames at each temperature.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one per core.")
    ] = None,
    scheduler: Scheduler = None,
    seed: Annotated[int, typer.Option(help="Seed of embedding and dynamics.")] = 0,
) -> None:
    """Sample conformations and label them; an interrupted call resumes.

    Molecules of a data set that cannot be used are left out and named.
    """
    from e3d.labels.label import label_molecules, usable_sources
    from e3d.labels.sampling import Sampling

    settings = Sampling(temperatures_K=tuple(temperature), frames_per_temperature=frames, seed=seed)
    sources, unusable = usable_sources(molecules)
    for line in unusable.lines():
        typer.echo(f"left out: {line}", err=True)
    skipped = label_molecules(
        sources, method, out, settings=settings, n_workers=workers, scheduler=scheduler,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    for name, reason in skipped.items():
        typer.echo(f"left out: {name}: {reason}", err=True)
    typer.echo(f"wrote {out}")
