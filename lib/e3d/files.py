"""Writing without ever leaving half a file: a temporary name beside the target, then a rename."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e3d.errors import E3DError


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `target`; on success it replaces `target` atomically.

    When the body raises, the temporary file is removed and `target` is as it was. Raises E3DError
    when the folder cannot be written (missing, read-only, full).
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise E3DError(
            f"cannot write {target}: {error.strerror} in {target.parent}; nothing was changed. "
            "Free space or choose another output folder"
        ) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise E3DError(
            f"cannot write {target}: {error.strerror or error}; the old file, if any, is "
            "untouched. Free space or choose another output folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
