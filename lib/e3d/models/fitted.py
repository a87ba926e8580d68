"""Reading the JSON of models that a stage has fitted: complete and finite, or refused in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from e3d.errors import E3DError

_Decoded = TypeVar("_Decoded")


def read_fitted(path: Path, decode: Callable[[Any], _Decoded], *, stage: str) -> _Decoded:
    """What `decode` makes of a file, which the stage of the pipeline writes.

    Raises E3DError when the file cannot be read, or `decode` finds it damaged (ValueError,
    KeyError, TypeError, AttributeError).
    """
    try:
        return decode(json.loads(path.read_text()))
    except OSError as error:
        raise E3DError(
            f"cannot read {path}: {error.strerror}; the stage `{stage}` makes it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise E3DError(
            f"{path} is damaged ({type(error).__name__}: {error}); delete it and run the stage "
            f"`{stage}` again"
        ) from error
