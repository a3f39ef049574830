"""``train`` shared by several processes ends with the weights and the history of one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing, nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine.devices import finish
from fairaudit.engine.features import extract_features
from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.errors import TrainingError
from fairaudit.losses import max_group, reweight

pytestmark = pytest.mark.training

SETTINGS = TrainingSettings(
    epochs=3,
    batch_size=15,
    lr=0.05,
    optimizer="sgd",
    balance="groups",
    augment=("classic",),
    select="worst-group",
    device="cpu",
)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "mixed": {"augment": ("s1", "mixup", "cutmix"), "ema": 0.8},
    "parts": {"augment": ("randaugment",), "accumulate": 3},
    "frozen": {"augment": (), "freeze": "backbone"},
}


def pictures() -> TrainingData:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (67, 3, 8, 8), generator=generator).byte()
    targets = torch.randint(0, 2, (67,), generator=generator)
    groups = torch.randint(0, 3, (67,), generator=generator)
    return TrainingData(CachedImages(pixels), targets, groups, ("a", "b"), ("x", "y", "z"), Preprocess(size=(8, 8)))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 2))


def run(variant: str) -> dict[str, object]:
    data, model = pictures(), network()
    heard: list[Progress] = []
    seen: list[Tensor] = []

    def score(epoch: int, logits: Tensor) -> Validation:
        seen.append(logits)
        return Validation([0.1, 0.9, 0.4][epoch - 1], (0.5, 0.5, 0.5))

    loss = max_group.build(data.counted, ema=0.3) if variant != "frozen" else reweight.build(data.counted)
    # 13 validation images: an odd number that two processes cannot share evenly.
    validation = CachedImages(data.images.take(torch.arange(13)))
    settings = SETTINGS.model_copy(update=VARIANTS[variant])
    history = train(model, data, loss, settings, validation=validation, score=score, progress=heard.append)
    return {
        "weights": torch.cat([p.detach().flatten() for p in model.parameters()]),
        "logits": torch.cat(seen),
        "losses": torch.tensor([[epoch.loss, *epoch.group_losses] for epoch in history.epochs]),
        "selected": history.selected,
        "heard": len(heard),
    }


class Halt(BaseException):
    """Stops all processes at the same point."""


def normalised(settings: TrainingSettings, folder: Path | None = None, halt_after: int = 10**9) -> list[Tensor]:
    """The state of a network whose batch statistics each process finds for its own share, and whose dropout each draws."""
    data = pictures()
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3)]
    model = nn.Sequential(*layers, nn.Linear(4, 2))
    runs = []

    def halt(*_: object) -> None:
        runs.append(1)
        if len(runs) > halt_after:
            raise Halt

    model[0].register_forward_hook(halt)
    train(model, data, max_group.build(data.counted), settings, resume=folder)
    return list(model.state_dict().values())


def interrupted(folder: Path, processes: int) -> bool:
    """Whether a training that stops in its third epoch and goes on ends with the bits of one that does not.

    A sum of more than two numbers depends on their order, and that on how gradients are packed, so only two give the bits.
    """
    same = 0.0 if processes == 2 else 1e-5
    settings = TrainingSettings(epochs=4, batch_size=16, device="cpu", augment=("mixup",), ema=0.9)
    try:
        normalised(settings, folder, halt_after=10)
    except Halt:
        again, whole = normalised(settings, folder), normalised(settings)
        return (folder / "training.pt").exists() and all(
            torch.allclose(a, b, rtol=same, atol=same) for a, b in zip(again, whole, strict=True)
        )
    return False


def lacking_memory() -> str:
    model, data = network(), pictures()

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.register_forward_hook(fail)
    try:
        train(model, data, max_group.build(data.counted), SETTINGS.model_copy(update={"select": "last"}))
    except TrainingError as error:
        return str(error)
    return ""


def work(rank: int, folder: str, port: int, n: int) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "127.0.0.1", **{key: str(value) for key, value in place.items()}})
    found: dict[str, object] = {variant: run(variant) for variant in VARIANTS}
    found["normalised"] = normalised(TrainingSettings(epochs=2, batch_size=16, device="cpu"))
    found["interrupted"] = interrupted(Path(folder) / "state", n)
    found["features"] = extract_features(network(), pictures().images, pictures().preprocess, SETTINGS)
    found["lacking"] = lacking_memory()
    torch.save(found, f"{folder}/{rank}.pt")
    finish()


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_train_as_one(n: int, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(str(tmp_path), port, n), nprocs=n)  # type: ignore[no-untyped-call]
    by_process = [torch.load(tmp_path / f"{rank}.pt") for rank in range(n)]
    for variant in VARIANTS:
        alone = run(variant)
        for rank, shared in enumerate(process[variant] for process in by_process):
            for key in ("weights", "logits", "losses"):
                torch.testing.assert_close(shared[key], alone[key], rtol=1e-4, atol=1e-5, msg=lambda m: f"{variant}: {m}")  # noqa: B023
            assert shared["selected"] == alone["selected"] == 2
            assert shared["heard"] == (alone["heard"] if rank == 0 else 0), "only the main process reports"
    states = zip(by_process[0]["normalised"], by_process[-1]["normalised"], strict=True)
    assert all(torch.equal(a, b) for a, b in states), "all must end with the same network, running statistics included"
    for process in by_process:
        assert process["interrupted"], "interrupted or not: the same bits"
    features = extract_features(network(), pictures().images, pictures().preprocess, SETTINGS)
    for process in by_process:
        torch.testing.assert_close(process["features"], features)
        assert process["lacking"] == (
            f"memory ran out with {-(-15 // n)} images at once in each of {n} processes; "
            "compute batches in more parts with --accumulate 2"
        )
