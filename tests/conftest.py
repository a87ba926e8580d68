"""Shared by all tests: shapes and types are checked at run time, here and only here."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")

from jaxtyping import install_import_hook

install_import_hook("e3d", "beartype.beartype")
