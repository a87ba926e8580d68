"""The command line `e3d`. Each command is a thin call into the library, imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from e3d.errors import E3DError

#: Exit code of a command that Ctrl-C stopped, by convention 128 + SIGINT.
INTERRUPTED = 130


class App(typer.Typer):
    """A Typer application that turns an E3DError into one line on stderr and exit code 1."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except E3DError as error:
            print(f"e3d: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except SystemExit as stop:
            if stop.code == INTERRUPTED:
                print("e3d: interrupted; files that were there are untouched", file=sys.stderr)
            raise


app = App(
    help="Bond energies from inside Allegro interatomic potentials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load a model that may run any code: a .ckpt, a .nequip.zip, or a folder whose "
        "architecture E3D did not write.",
    ),
]


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
    from e3d.decomposition.report import bond_report, default_models, report_text, structure_of
    from e3d.models.allegro import load_model

    models = [load_model(path, trust=trust) for path in model or default_models()]
    elements = [e for e in models[0].type_names if all(e in m.type_names for m in models)]
    report = bond_report(structure_of(molecule, elements=elements, charge=charge), models)
    typer.echo(_dumps(report) if json else report_text(report))


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file in the schema of SPICE.")],
    json: Json = False,
) -> None:
    """Validate a data set: print every problem and where it is; exit code 1 if there is any."""
    from e3d.data.check import check_dataset

    report = check_dataset(dataset, progress=sys.stderr.isatty())
    typer.echo(_dumps(report.as_dict()) if json else report.text())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def decompose(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file in the schema of SPICE, of any size.")],
    model: Annotated[Path, typer.Option(help="Checkpoint.")],
    out: Annotated[Path, typer.Option(help="Statistics to write, HDF5.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one per core.")
    ] = None,
    trust: Trust = False,
) -> None:
    """E3D map and moments of a data set; an interrupted call resumes."""
    from e3d.decomposition.stream import decompose_dataset

    total = decompose_dataset(
        dataset, model, out, trust=trust, n_workers=workers, progress=sys.stderr.isatty()
    )
    for reason, count in total.left_out.items():
        typer.echo(f"left out: {count} conformations: {reason}", err=True)
    typer.echo(f"wrote {out}: {total.n_conformations} conformations, {total.n_molecules} molecules")


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
    seed: Annotated[int, typer.Option(help="Seed of embedding and dynamics.")] = 0,
) -> None:
    """Sample conformations and label them; an interrupted call resumes."""
    from e3d.labels.label import label_molecules, read_sources
    from e3d.labels.sampling import Sampling

    settings = Sampling(temperatures_K=tuple(temperature), frames_per_temperature=frames, seed=seed)
    skipped = label_molecules(
        read_sources(molecules), method, out, settings=settings, n_workers=workers,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    for name, reason in skipped.items():
        typer.echo(f"left out: {name}: {reason}", err=True)
    typer.echo(f"wrote {out}")


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
    from e3d.compendium.execute import run_here

    typer.echo(f"wrote {run_here(notebook, parameter or [], out, like=like)}")


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


def _dumps(content: Any) -> str:
    from json import dumps

    return dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
