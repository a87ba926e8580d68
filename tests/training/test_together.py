"""Several processes train as one: they share out the batches of one process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from e3d.errors import E3DError
from e3d.paths import BOOK, ROOT
from e3d.training import loading, train
from e3d.training.data import SpiceSplit
from e3d.training.loading import Share, loader
from e3d.training.settings import Settings

#: Stands in for Slurm's `srun`: starts the processes of one machine with the variables of a step.
SRUN = """#!{python}
import os, subprocess, sys
ranks = range(int(os.environ["SLURM_NTASKS"]))
steps = [subprocess.Popen(sys.argv[1:], env=os.environ | {{"SLURM_PROCID": str(rank),
         "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}}) for rank in ranks]
sys.exit(max(step.wait() for step in steps))
"""


@given(st.integers(0, 50), st.integers(1, 7), st.booleans())
def test_shares_are_disjoint_and_leave_out_a_remainder_alone(
    size: int, n_processes: int, equal: bool
) -> None:
    shares = [list(Share(range(size), rank, n_processes, equal=equal))
              for rank in range(n_processes)]  # fmt: skip
    assert [len(s) for s in shares] == [
        len(Share(range(size), rank, n_processes, equal=equal)) for rank in range(n_processes)
    ]
    together = [item for share in shares for item in share]
    assert len(set(together)) == len(together)
    assert len(together) == (size // n_processes * n_processes if equal else size)
    assert not equal or len({len(share) for share in shares}) == 1


@pytest.mark.parametrize("steps_per_epoch", [0, 3])
def test_the_shares_of_a_batch_are_the_batch_of_one_process(
    labels: Path, monkeypatch: pytest.MonkeyPatch, steps_per_epoch: int
) -> None:
    data = SpiceSplit([str(labels)], "train", 4.0)

    def batches(rank: int, n_processes: int) -> list[list[int]]:
        monkeypatch.setattr(loading, "_group", lambda: (rank, n_processes))
        made = loader(
            data, steps_per_epoch=steps_per_epoch, batch_size=8, shuffle=True, drop_last=True,
            generator=torch.Generator().manual_seed(0), collate_fn=list,
        )  # fmt: skip
        return [batch for _ in range(2) for batch in made.batch_sampler]

    alone, first, second = batches(0, 1), batches(0, 2), batches(1, 2)
    assert len(alone) == len(first) == len(second)
    for whole, a, b in zip(alone, first, second, strict=True):
        assert len(a) == len(b) == 4
        assert sorted(a + b) == sorted(whole)


def test_a_batch_that_cannot_be_shared_is_an_error(
    labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_group", lambda: (0, 3))
    with pytest.raises(E3DError, match="batch of 8 conformations cannot be shared equally by 3"):
        loader(SpiceSplit([str(labels)], "train", 4.0), steps_per_epoch=0, batch_size=8)


def on_a_cluster() -> str:
    """The command of the Slurm script in the book."""
    script = re.search(r"```bash\n(#!.*?)```", (BOOK / "spice2.md").read_text(), re.DOTALL)
    assert script, "the page has no script"
    joined = script.group(1).replace("\\\n", " ")
    (command,) = [line for line in joined.splitlines() if "e3d run make/train" in line]
    return command


@pytest.mark.slow
def test_the_command_of_the_book_trains_as_one_process(
    labels: Path, tiny: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = tiny(labels, steps=30, steps_per_epoch=10, n_validation=4, learning_rate=1e-3)
    train.train(settings, tmp_path / "alone", work=tmp_path / "work")
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text(SRUN.format(python=sys.executable))
    srun.chmod(0o755)
    small = ["dataset", "n_scalar_features", "n_tensor_features", "l_max", "n_layers", "steps",
             "steps_per_epoch", "batch_size", "n_validation", "compile", "learning_rate",
             "cutoff_A", "optimizer", "energy_weight", "force_weight"]  # fmt: skip
    changes = [f"-p {name}={getattr(settings, name)}" for name in small]
    out = tmp_path / "out"
    changes += [f"--out {out}", "-p num_workers=1", "-p n_statistics=0"]
    slurm = {"SLURM_JOB_ID": "41231", "SLURM_JOB_NAME": "spice2", "SLURM_NTASKS": "2",
             "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODELIST": "127.0.0.1",
             "SLURM_CPUS_PER_TASK": "2", "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
             "OMP_NUM_THREADS": "1"}  # fmt: skip
    done = subprocess.run(
        ["bash", "-ec", " ".join([on_a_cluster(), *changes])], cwd=ROOT, env=os.environ | slurm,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (checkpoint,) = [path.parent for path in out.glob("*/model.yaml")]
    alone, together = (
        load_file(folder / "weights.safetensors") for folder in (tmp_path / "alone", checkpoint)
    )
    assert alone.keys() == together.keys()
    for key in alone:
        assert np.allclose(alone[key], together[key], atol=2e-4), key
    histories = [
        (f / "history.csv").read_text().splitlines() for f in (tmp_path / "alone", checkpoint)
    ]
    assert len(histories[0]) == len(histories[1]) == 4
