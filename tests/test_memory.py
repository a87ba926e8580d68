"""Memory that is freed stays with the process: evaluating again asks the system for none."""

import resource
import subprocess
import sys

import pytest

from e3d import memory

CODE = """
import resource, sys, torch
if sys.argv[1] == "kept":
    from e3d.memory import keep_freed
    assert keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(15): torch.zeros(20_000_000)  # until the heap has grown
before = faults()
for _ in range(10): torch.zeros(20_000_000)
print(faults() - before)
"""


def faults(how: str, **variables: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True,
                          check=True, env={"PATH": "/usr/bin", **variables})  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux is what keeps memory")
def test_large_tensors_are_not_asked_for_anew() -> None:
    pages = 10 * 80_000_000 // resource.getpagesize()
    plain = faults("plain")
    if plain < 0.5 * pages:
        pytest.skip("huge pages: the system hands out memory in few faults")
    assert faults("kept") < 0.05 * plain
    assert faults("plain", **memory.ENVIRONMENT) < 0.05 * plain
