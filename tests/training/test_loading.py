"""Lightning sees the same batches after a restart as without one."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from e3d.training.loading import Loader, loader


class Numbers(torch.utils.data.Dataset):
    """0, 1, 2, …"""

    def __len__(self) -> int:
        return 23

    def __getitem__(self, k: int) -> int:
        return k


class Model(lightning.LightningModule):
    """Remembers what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, dtype=torch.float32)
        self.seen: list[list[int]] = []

    def training_step(self, batch: torch.Tensor, *_: Any) -> torch.Tensor:
        self.seen.append(batch.tolist())
        return self.layer(batch[:, None].float()).mean()

    def validation_step(self, *_: Any) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Data(lightning.LightningDataModule):
    """Keeps the state of its loader as nequip's does."""

    def __init__(self, **options: Any):
        super().__init__()
        self.options, self.state = options, None

    def train_dataloader(self) -> Loader:
        self.loader = loader(
            Numbers(), batch_size=4, shuffle=True, drop_last=True,
            generator=torch.Generator().manual_seed(1), **self.options,
        )  # fmt: skip
        if self.state is not None:
            self.loader.load_state_dict(self.state)
        return self.loader

    def val_dataloader(self) -> torch.utils.data.DataLoader:
        return torch.utils.data.DataLoader(Numbers(), batch_size=8)

    def state_dict(self) -> dict[str, Any]:
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


class Stop(Callback):
    """Ends a training as a kill does, in the middle of an epoch."""

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 17:
            raise KeyError("killed")


def fit(folder: Path, extra: list[Callback], steps_per_epoch: int, n_workers: int,
        state: Path | None = None) -> list[list[int]]:  # fmt: skip
    keep = ModelCheckpoint(
        dirpath=folder, filename="state", enable_version_counter=False, every_n_epochs=1,
        save_on_train_epoch_end=True,
    )  # fmt: skip
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=30, max_epochs=-1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=[keep, *extra],
    )  # fmt: skip
    model = Model()
    options = {"num_workers": n_workers, "persistent_workers": True} if n_workers else {}
    data = Data(steps_per_epoch=steps_per_epoch, **options)
    try:
        trainer.fit(model, data, ckpt_path=state, weights_only=False)
    except KeyError:
        assert extra
    return model.seen


@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)
@pytest.mark.parametrize("n_workers", [0, 1])
@pytest.mark.parametrize(("steps_per_epoch", "begun"), [(0, 15), (7, 14), (3, 15)])
def test_an_epoch_begins_anew_after_a_kill(
    tmp_path: Path, steps_per_epoch: int, begun: int, n_workers: int
) -> None:
    whole = fit(tmp_path / "whole", [], steps_per_epoch, n_workers)
    first = fit(tmp_path / "killed", [Stop()], steps_per_epoch, n_workers)
    second = fit(tmp_path / "killed", [], steps_per_epoch, n_workers,
                 tmp_path / "killed" / "state.ckpt")  # fmt: skip
    assert len(whole) == 30
    assert first == whole[:17]
    assert second == whole[begun:]
