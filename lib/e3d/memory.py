"""Memory of large arrays is kept by the process, not given back and asked for anew.

The C library maps each block of 32 MB and more afresh and returns it when it is freed. The tensor
products of an Allegro model allocate such blocks in every forward pass, and the page faults then
cost more than the arithmetic. Reference: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
#: The same for a process that is started, as environment variables.
ENVIRONMENT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


@cache
def keep_freed() -> bool:
    """Keep memory that this process frees, for its next allocation; where glibc is not, nothing.

    Returns whether that was done. The peak is what it was; it is the memory between two
    evaluations that is not given back.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(
        mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    )
