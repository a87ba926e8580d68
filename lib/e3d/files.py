"""Writing files: never half of one, and never two processes at one file.

A file is written under a temporary name beside its target and then renamed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from socket import gethostname

from filelock import FileLock, Timeout

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
        writer = f".{target.name}.{gethostname()}-{os.getpid()}-"
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=writer, suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise WriteError(target, f"{error.strerror} in {target.parent}") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        publish(temporary, target, overwrite=overwrite)
    except WriteError as error:
        if error.target != temporary:
            raise
        # the body replaced the temporary file in its turn; its name means nothing to the caller
        raise WriteError(target, error.cause) from error
    except OSError as error:
        raise WriteError(target, error.strerror or str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: str | Path) -> Iterator[Path]:
    """Yield the path of a folder that the body makes, and that `target` becomes as a whole.

    The old folder stays until then, and for good when the body raises. A process that ended between
    the two renames leaves the old folder beside the target; the next call puts it back.

    Raises WriteError when the target cannot be written, E3DError when another process writes it.
    """
    target = Path(target)
    new, old = (target.with_name(f".{target.name}.{end}") for end in ("new", "old"))
    with locked(target):
        try:
            if old.exists() and not target.exists():
                old.rename(target)
            for left_over in (new, old):
                shutil.rmtree(left_over, ignore_errors=True)
            yield new
            if target.exists():
                target.rename(old)
            new.rename(target)
        except OSError as error:
            raise WriteError(target, error.strerror or str(error)) from error
        finally:
            for left_over in (new, old) if target.exists() else (new,):
                shutil.rmtree(left_over, ignore_errors=True)


def clear_abandoned(*targets: Path) -> None:
    """Remove what a killed process of this machine left of writing files, or into folders."""
    for target in targets:
        folder, name = (target, "") if target.is_dir() else (target.parent, target.name)
        for left in folder.glob(f".{escape(name) or '*'}.{escape(gethostname())}-*-*.tmp"):
            number = left.name.removesuffix(".tmp").rsplit("-", 2)[1]
            if number.isdigit() and not _lives(int(number)):
                left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Move a finished file of the same folder to its final name, atomically.

    Raises E3DError when the name is taken and may not be overwritten.
    """
    if overwrite:
        temporary.replace(target)
        return
    try:
        target.hardlink_to(temporary)  # unlike a rename, never overwrites
    except OSError as error:  # also raised by a file system without hard links
        if target.exists():
            raise E3DError(
                f"{target} appeared while its content was computed, and is left as it is; move it "
                "away and call again"
            ) from error
        temporary.replace(target)
    else:
        temporary.unlink()


@contextmanager
def locked(target: str | Path) -> Iterator[None]:
    """Keep other processes from writing `target` while the body runs; lock file `<target>.lock`.

    The lock belongs to the process and ends with it, however it ends.

    Raises E3DError, naming the holder, when another process has the lock.
    """
    target = Path(target)
    path = target.with_name(f"{target.name}.lock")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0.2)  # tries again where a holder has just removed the file
        clear_abandoned(target)
    except Timeout:
        raise E3DError(
            f"{target} is being written by {_holder(path)}; wait until it ends, or choose another "
            "output file"
        ) from None
    except OSError as error:
        raise WriteError(target, f"{error.strerror} in {path.parent}") from error
    try:
        with suppress(OSError):  # a full disk must not matter here
            path.write_text(f"process {os.getpid()} on {gethostname()}", encoding="utf-8")
        yield
    finally:
        path.unlink(missing_ok=True)  # still ours: nobody else can hold it
        lock.release()


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8") or "another process"
    except OSError:  # released a moment ago
        return "another process"


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
