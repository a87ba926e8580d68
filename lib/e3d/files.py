"""Writing without ever leaving half a file: a temporary name beside the target, then a rename."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e3d.errors import E3DError


class WriteError(E3DError):
    """A file cannot be written: a full disk, missing rights, a file in the place of a folder."""

    def __init__(self, target: Path, cause: str):
        super().__init__(target, cause)  # as they are: exceptions are pickled between processes
        self.target, self.cause = target, cause

    def __str__(self) -> str:
        return (
            f"cannot write {self.target}: {self.cause}; the old file, if any, is untouched. "
            "Free space or choose another output folder"
        )


@contextmanager
def replacing(target: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the folder of `target`, which it becomes on success, atomically.

    When the body raises, the temporary file is removed and `target` is as it was. Without
    `overwrite`, a target that exists by then is left alone.

    Raises WriteError when the target cannot be written, E3DError when it may not be overwritten.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise WriteError(target, f"{error.strerror} in {target.parent}") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if overwrite:
            temporary.replace(target)
        else:
            _publish(temporary, target)
    except WriteError as error:
        if error.target != temporary:
            raise
        # the body replaced the temporary file in its turn; its name means nothing to the caller
        raise WriteError(target, error.cause) from error
    except OSError as error:
        raise WriteError(target, error.strerror or str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Give a file its name unless that is taken; a link, unlike a rename, never overwrites."""
    try:
        target.hardlink_to(temporary)
    except OSError as error:  # also raised by a file system without hard links
        if target.exists():
            raise E3DError(
                f"{target} was written by something else in the meantime and is left as it is; "
                "move it away and call again"
            ) from error
        temporary.replace(target)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the sorted names and digests of the files in a folder."""
    if path.is_file():
        return sha256(path)
    listing = [
        f"{file.relative_to(path)} {sha256(file)}"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()
