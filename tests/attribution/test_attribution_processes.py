"""A region classifier that several processes train and ask is the one that a single process has."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing, nn

from fairaudit.attribution.fit import all_logits, fit_regions
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.processes import SharedBatchNorm
from fairaudit.attribution.region_net import RegionNet, drawn_alone
from fairaudit.config import REGION_TRAINING, TrainingSettings
from fairaudit.engine.devices import finish
from fairaudit.engine.image_sources import ImageSource
from tests.attribution.faces import PREPROCESS, SIZE, planted

pytestmark = pytest.mark.training

POSITIONS = Positions(SIZE, 6, 7)
SETTINGS = TrainingSettings.model_validate(
    {
        **REGION_TRAINING,
        "epochs": 3,
        "batch_size": 15,
        "lr": 0.02,
        "optimizer": "sgd",
        "schedule": "cosine",
        "device": "cpu",
        "workers": 0,
    }
)
"""Batches of an odd number of images, so that two processes, and four, hold unequal shares. Plain gradient descent, because
Adam makes large steps of the smallest differences."""


class Halt(BaseException):
    """Stops all processes at the same point."""


@dataclass
class Stopping:
    """Images that are taken so many times."""

    images: ImageSource
    left: int

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise Halt
        return self.images.take(positions)


def fitted(folder: Path | None = None, batches: int = 10**9) -> tuple[RegionNet, dict[str, Any]]:
    learn = planted(48, seed=0)
    learn = replace(learn, images=Stopping(learn.images, batches))
    net, history = fit_regions(learn, planted(9, seed=1), POSITIONS, "imagenet", SETTINGS, width=4, resume=folder)
    return net, {
        "losses": torch.tensor([[epoch.loss, *epoch.group_losses] for epoch in history.epochs]),
        "scores": torch.tensor([epoch.validation.score for epoch in history.epochs if epoch.validation is not None]),
        "state": dict(net.state_dict()),
        "kinds": sorted({type(module).__name__ for module in net.modules()}),
        "draws": net.draw is drawn_alone,
    }


def normalised(images: torch.Tensor, norm: nn.BatchNorm2d, mine: slice) -> list[torch.Tensor]:
    """Outputs, running statistics and gradients of one layer, the loss being a weighted sum over all images."""
    own = images[mine].clone().requires_grad_()
    weights = torch.linspace(-1, 2, images.numel()).reshape(images.shape)[mine]
    found = norm(own)
    (found.square() * weights).sum().backward()
    gradients = [one.grad for one in (own, norm.weight, norm.bias) if one.grad is not None]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return [found.detach(), gradients[0], norm.running_mean, norm.running_var, gradients[1], gradients[2]]


def pictures() -> torch.Tensor:
    return torch.rand(7, 5, 4, 3, generator=torch.Generator().manual_seed(0)) * 3 + 100


def work(rank: int, folder: str, port: int, processes: int) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "127.0.0.1", **{key: str(value) for key, value in place.items()}})
    try:
        fitted(Path(folder) / "state", batches=5)
    except Halt:
        found = {"again": fitted(Path(folder) / "state")[1]["state"]}
    net, whole = fitted()
    found |= whole
    found["logits"] = torch.from_numpy(all_logits(net, planted(9, seed=2).images, PREPROCESS, SETTINGS))
    found["norm"] = normalised(pictures(), SharedBatchNorm(5), slice(0, 5) if rank == 0 else slice(4 + rank, 5 + rank))
    torch.save(found, f"{folder}/{rank}.pt")
    finish()


def spawned(folder: Path, processes: int) -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(str(folder), port, processes), nprocs=processes)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in range(processes)]


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_fit_and_ask_as_one(processes: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    net, alone = fitted()
    alone["logits"] = torch.from_numpy(all_logits(net, planted(9, seed=2).images, PREPROCESS, SETTINGS))
    for shared in spawned(tmp_path, processes):
        for key in ("losses", "scores", "state", "logits"):
            torch.testing.assert_close(shared[key], alone[key], rtol=1e-4, atol=1e-5, msg=lambda m: f"{key}: {m}")  # noqa: B023
        assert shared["kinds"] == alone["kinds"], "the network that is kept is an ordinary one"
        assert shared["draws"]
        same = 0.0 if processes == 2 else 1e-5  # sums of more than two depend on how gradients are packed
        torch.testing.assert_close(shared["again"], shared["state"], rtol=same, atol=same)


def test_shares_are_normalised_as_a_whole(tmp_path: Path) -> None:
    expected = normalised(pictures(), nn.BatchNorm2d(5), slice(None))
    shares = [found["norm"] for found in spawned(tmp_path, 3)]
    for i, value in enumerate(expected):
        parts = [share[i] for share in shares]
        if i < 2:
            torch.testing.assert_close(torch.cat(parts), value, rtol=1e-4, atol=1e-4)
        elif i < 4:
            for part in parts:
                torch.testing.assert_close(part, value, rtol=1e-5, atol=1e-6)
        else:
            torch.testing.assert_close(sum(parts), value, rtol=1e-4, atol=1e-3)
