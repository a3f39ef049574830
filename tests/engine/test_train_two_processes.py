"""``train`` shared by two processes ends with the weights and the history of one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
from torch import Tensor, multiprocessing, nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine.devices import finish
from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.losses import max_group

SETTINGS = TrainingSettings(
    epochs=3,
    batch_size=15,
    lr=0.05,
    optimizer="sgd",
    balance="groups",
    augment="classic",
    select="worst-group",
    device="cpu",
)


def pictures() -> TrainingData:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (67, 3, 8, 8), generator=generator).byte()
    targets = torch.randint(0, 2, (67,), generator=generator)
    groups = torch.randint(0, 3, (67,), generator=generator)
    return TrainingData(CachedImages(pixels), targets, groups, ("a", "b"), ("x", "y", "z"), Preprocess(size=(8, 8)))


def run() -> dict[str, object]:
    data = pictures()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 2))
    heard: list[Progress] = []
    seen: list[Tensor] = []

    def score(epoch: int, logits: Tensor) -> Validation:
        seen.append(logits)
        return Validation([0.1, 0.9, 0.4][epoch - 1], (0.5, 0.5, 0.5))

    loss = max_group.build(data.counted, ema=0.3)
    # 13 validation images: an odd number that two processes cannot share evenly.
    validation = CachedImages(data.images.take(torch.arange(13)))
    history = train(model, data, loss, SETTINGS, validation=validation, score=score, progress=heard.append)
    return {
        "weights": torch.cat([p.detach().flatten() for p in model.parameters()]),
        "logits": torch.cat(seen),
        "losses": torch.tensor([[epoch.loss, *epoch.group_losses] for epoch in history.epochs]),
        "selected": history.selected,
        "heard": len(heard),
    }


def normalised() -> list[Tensor]:
    """The state of a network whose batch statistics each process finds for its own share."""
    data = pictures()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    train(model, data, max_group.build(data.counted), TrainingSettings(epochs=2, batch_size=16, device="cpu"))
    return list(model.state_dict().values())


def work(rank: int, folder: str, port: int) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "127.0.0.1", **{key: str(value) for key, value in place.items()}})
    torch.save(run() | {"normalised": normalised()}, f"{folder}/{rank}.pt")
    finish()


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(str(tmp_path), port), nprocs=2)  # type: ignore[no-untyped-call]
    alone = run()
    by_process = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for rank, shared in enumerate(by_process):
        for key in ("weights", "logits", "losses"):
            torch.testing.assert_close(shared[key], alone[key], rtol=1e-4, atol=1e-5)
        assert shared["selected"] == alone["selected"] == 2
        assert shared["heard"] == (alone["heard"] if rank == 0 else 0), "only the main process reports"
    states = zip(by_process[0]["normalised"], by_process[1]["normalised"], strict=True)
    assert all(torch.equal(a, b) for a, b in states), "both must end with the same network, running statistics included"
