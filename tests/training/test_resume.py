"""A training that was killed ends in the model of one that was not, bit by bit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from e3d.training import train
from e3d.training.settings import Settings


def script(settings: Settings, folder: Path, out: str) -> list[str]:
    code = (
        "from e3d.training.settings import Settings\nfrom e3d.training.train import train\n"
        f"train(Settings(**{asdict(settings)!r}), {str(folder / out)!r}, "
        f"work={str(folder / f'work-{out}')!r})"
    )
    return [sys.executable, "-c", code]


def run_and_kill(settings: Settings, folder: Path, seed: int, *, both: bool) -> None:
    """Start a training and kill it at a random moment after one of its first epochs.

    both: nequip-train too, which else ends by itself when it sees that it is alone.
    """
    process = subprocess.Popen(script(settings, folder, "killed"), start_new_session=True)
    end = time.monotonic() + 600
    while not (states := list(folder.glob("work-killed/*/state.ckpt"))):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    first = states[0].stat().st_mtime
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    # an epoch takes about as long as it takes until the second state
    while states[0].exists() and states[0].stat().st_mtime == first and process.poll() is None:
        time.sleep(0.02)
    time.sleep(np.random.default_rng(seed).uniform(0, 1.0))
    assert process.poll() is None, "it ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert children
    for child in map(int, children):
        if both:
            os.kill(child, signal.SIGKILL)
        while alive(child):
            assert time.monotonic() < end
            time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(("steps_per_epoch", "optimizer", "seed"), [(7, "muon", 0), (0, "adam", 1)])
def test_a_killed_training_ends_in_the_same_model(
    labels: Path, tiny: Callable[..., Settings], tmp_path: Path, steps_per_epoch: int,
    optimizer: str, seed: int,
) -> None:  # fmt: skip
    settings = tiny(
        labels, steps=400, steps_per_epoch=steps_per_epoch, optimizer=optimizer, n_validation=4,
        snapshots=(3, 100),
    )  # fmt: skip
    whole = subprocess.Popen(script(settings, tmp_path, "whole"))
    run_and_kill(settings, tmp_path, seed, both=steps_per_epoch == 0)
    assert not (tmp_path / "killed").exists()
    assert not list((tmp_path / "work-killed").glob("*/finished"))
    train.train(settings, tmp_path / "killed", work=tmp_path / "work-killed")
    assert whole.wait() == 0
    for name in ("weights", "weights-3", "weights-100"):
        once, again = (
            load_file(tmp_path / kind / f"{name}.safetensors") for kind in ("whole", "killed")
        )
        assert once.keys() == again.keys()
        for key in once:
            assert np.array_equal(once[key], again[key]), f"{name}: {key}"
    histories = [(tmp_path / kind / "history.csv").read_text() for kind in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert "resumed: true" in (tmp_path / "killed" / "model.yaml").read_text()
