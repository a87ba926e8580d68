"""Shared by all tests: shapes and types are checked at run time, here and only here."""

import gc
import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")

import pytest
from jaxtyping import install_import_hook

install_import_hook(["e3d", "chapters"], "beartype.beartype")


@pytest.fixture
def collected() -> Iterator[None]:
    """PySCF leaves its temporary files to the garbage collector: at work here, not later.

    Its warnings are expected where a module ignores `PytestUnraisableExceptionWarning`.
    """
    yield
    gc.collect()
