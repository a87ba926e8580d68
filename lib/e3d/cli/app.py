"""The application `e3d`, and what its commands share."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Any

import typer

from e3d.errors import E3DError, shortage

#: Exit code of a command that Ctrl-C stopped, by convention 128 + SIGINT.
INTERRUPTED = 130
#: What writing into a full or closed standard output fails with.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class App(typer.Typer):
    """A Typer application that turns what goes wrong into one line on stderr and exit code 1.

    An E3DError says it itself; a lack of memory, disk, file handles or permission is named with
    what mends it, wherever it shows. Only a defect of the program is a traceback.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return super().__call__(*args, **kwargs)
            finally:
                sys.stdout.flush()  # here, where a full disk can still be said in a line
        except E3DError as error:
            print(f"e3d: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except Exception as error:
            cause, unnamed = shortage(error), False
            if isinstance(error, OSError) and error.errno in FULL and not error.filename:
                cause, unnamed = f"cannot write the output: {error.strerror}", True
            if cause is None:
                raise
            print(f"e3d: {cause}", file=sys.stderr)
            if unnamed:
                sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until the end)
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
        help="Load a model that may run any code: a .ckpt, a .nequip.zip, a .nequip.pt2, or a "
        "folder whose architecture E3D did not write.",
    ),
]


def dumps(content: Any) -> str:
    from json import dumps

    return dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
