"""Speed of training beside a bare loop, of frozen backbones and of decoded images: ``python -m tests.benchmarks.training``.

Ours is what ``mitigate`` runs: the experiment it prepares, its network, loss and images, and a call of ``train``. The bare
loop is what a person writes: the same network, pixels, batches, augmentation, channels-last memory, AdamW with a cosine
schedule, and ``loss.item()`` after every step. A step of the one follows a step of the other, and the medians of steps are
compared, which leaves out what a bare loop does not do: the state that is written after every epoch (0.09 s here for
``test_resnet``, as long as 50 images of it take; most of it is pickling). The allocator is told for both.

Frozen backbones are compared with training every layer without augmentation, an epoch after the first with an epoch.
Decoded images (``--cache memory`` or ``disk``, a whole training of so many epochs with the decoding before it) are compared
with decoding in each epoch (``--cache none``).

On a busy machine of two 2.8 GHz Xeon cores steps of ResNet-18 at 112 pixels are .98 times as fast as a bare loop's, those
of ``test_resnet`` at 48 pixels 1.04 times; whole epochs in turns told nothing (.88 to 1.12), and state included, of 640
images, .93. An epoch above a frozen ResNet-18 is 450 times as fast as one of every layer. Three epochs of ``test_resnet``
from files of 1,500 pixels are 2.5 times as fast when decoded once, and 6.6 times from the file of an earlier run; from
files of 200 pixels 1.2 and 1.4 times; so are three epochs of ResNet-18 from files of 1,500 pixels. The file pays for small
networks, large pictures and runs that are repeated; memory, the default, costs nothing.

Processor seconds of one thread are compared, because others may share the machine; contenders take turns, a round gives one
ratio, medians are printed. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.config import (
    Arm,
    AuditSettings,
    MitigateConfig,
    ModelSettings,
    Precision,
    Preprocess,
    PreprocessOverrides,
    TrainingSettings,
)
from fairaudit.engine.augment import classic, draw
from fairaudit.engine.devices import keep_freed_memory, one_thread
from fairaudit.engine.history import Progress
from fairaudit.engine.image_sources import open_images
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData
from fairaudit.methods.base import Plan
from fairaudit.workflows.experiment import opened, prepare_experiment, training_data
from fairaudit.workflows.study import make_plan
from tests.benchmarks.inference import Memory, pictures
from tests.benchmarks.processor import computes_in_bf16, processor_seconds
from tests.benchmarks.rows import Row, markdown

LOOP, FROZEN, DECODED = 0.95, 20.0, 1.0
CACHED_EPOCHS = 3


@dataclass(frozen=True)
class Network:
    """A network, and how it is trained here.

    Attributes:
        arch: architecture.
        size: side of its input, in pixels.
        batch: images per step.
    """

    arch: str
    size: int
    batch: int

    def __str__(self) -> str:
        return f"{self.arch.partition('/')[2]} at {self.size} px"


SMALL, LARGE = Network("timm/test_resnet", 48, 64), Network("timm/resnet18", 112, 32)


def plan_of(network: Network, images: int, precision: Precision = "fp32", *, freeze: str = "none", augment: str = "classic",
            epochs: int = 1) -> Plan:  # fmt: skip
    """What ``mitigate`` knows of plain cross-entropy on drawn faces before it trains.

    Args:
        network: which, and how.
        images: training images.
        precision: of the passes.
        freeze: see ``TrainingSettings``.
        augment: see ``TrainingSettings``.
        epochs: passes over the images.
    """
    settings = TrainingSettings.model_validate(
        {"epochs": epochs, "batch_size": network.batch, "device": "cpu", "precision": precision, "freeze": freeze,
         "augment": augment}
    )  # fmt: skip
    config = MitigateConfig(
        data="synthetic",
        data_options={"n": round(images / 0.8), "size": network.size},
        split_shares=(0.8, 0.1, 0.1),
        compare_content=False,
        network=ModelSettings(
            arch=network.arch, preprocess=PreprocessOverrides(size=(network.size, network.size), resize="squash")
        ),
        arms=(Arm(),),
        seeds=1,
        training=settings,
        audit=AuditSettings(target="gender", by=(("gender", "Eyeglasses"),)),
    )
    experiment = prepare_experiment(config)
    parts = [experiment.splits.train, experiment.splits.validation]
    data, validation = (training_data(experiment, part, opened(experiment, part)) for part in parts)
    return make_plan(experiment, data, validation, config.arms[0], 0)


def ours(plan: Plan, told: Callable[[Progress], None] = lambda _: None) -> None:
    """A whole call of ``train``, as a study makes it, without validation images."""
    with tempfile.TemporaryDirectory() as folder:
        train(
            plan.network(),
            plan.train,
            plan.loss(plan.train.counted),
            plan.settings,
            progress=told,
            say=lambda _: None,
            resume=Path(folder),
        )


def bare(plan: Plan) -> Iterator[float]:
    """The same training in a loop of its own: the loss after every step."""
    settings, data = plan.settings, plan.train
    network = plan.network().train().to(memory_format=torch.channels_last)
    pixels = data.images.take(torch.arange(len(data)))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.preprocess.mean, data.preprocess.std))
    optimizer = torch.optim.AdamW(network.parameters(), settings.lr, weight_decay=settings.weight_decay)
    steps = len(data) // settings.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * steps)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        order = torch.randperm(len(data), generator=generator)[: steps * settings.batch_size]
        for batch in order.reshape(steps, -1):
            images = pixels[batch].float().div_(255)
            if settings.augment:
                images = classic(images, draw(len(batch), generator))
            inputs = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
            loss = _step(network, inputs, data.targets[batch], optimizer, settings.precision)
            schedule.step()
            yield loss


def _step(
    network: nn.Module, inputs: Tensor, targets: Tensor, optimizer: torch.optim.Optimizer, precision: Precision
) -> float:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = network(inputs)
    loss = functional.cross_entropy(logits.float(), targets)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return float(loss.detach())


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each contender in each round, the first of a round being another each time."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    with one_thread():
        for round_ in range(rounds + 1):
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                taken = processor_seconds(contenders[name])
                if round_:  # one round more warms caches up
                    times[name].append(taken)
    return times


def loop_row(network: Network, images: int, rounds: int, precision: Precision = "fp32") -> Row:
    """Steps of our loop against those of a bare one, a step of the one after a step of the other; 1 is as fast."""
    plan = plan_of(network, images, precision)
    steps = len(plan.train) // plan.settings.batch_size
    ratios = []
    with one_thread():
        for round_ in range(rounds + 1):
            mine, theirs = _side_by_side(plan)
            if round_:  # one round more warms caches up
                ratios.append(statistics.median(theirs[1:steps]) / statistics.median(mine[: steps - 1]))
    return Row.of(f"steps of {network}, {precision}", "a bare torch loop", ratios, LOOP)


def _side_by_side(plan: Plan) -> tuple[list[float], list[float]]:
    """Processor seconds of each of our steps but the first, and of each step of a bare loop in between."""
    mine: list[float] = []
    theirs: list[float] = []
    other = bare(plan)
    begun = math.nan

    def turn(_: Progress) -> None:
        nonlocal begun
        ended = time.process_time()
        if not math.isnan(begun):
            mine.append(ended - begun)
        if next(other, None) is not None:
            theirs.append(time.process_time() - ended)
        begun = time.process_time()

    ours(plan, turn)
    return mine, theirs


def frozen_row(network: Network, images: int, rounds: int) -> Row:
    """An epoch above a frozen backbone, after the first, against one that trains every layer."""
    whole = plan_of(network, images, augment="none")
    above = plan_of(network, images, freeze="backbone", augment="none", epochs=4)

    def later() -> float:
        ends: list[float] = []

        def note(at: Progress) -> None:
            if at.finished is not None and at.finished.epoch == at.epoch:
                ends.append(time.process_time())

        ours(above, note)
        return min(b - a for a, b in itertools.pairwise(ends))

    ratios = []
    with one_thread():
        for _ in range(rounds):
            every_layer = processor_seconds(lambda: ours(whole))
            ratios.append(every_layer / later())
    return Row.of(f"an epoch above a frozen backbone, {network}", "an epoch of every layer", ratios, FROZEN)


def decoded_rows(network: Network, side: int, images: int, distinct: int, rounds: int) -> list[Row]:
    """A training from images decoded once against decoding in every epoch.

    Args:
        network: which, and how.
        side: of the encoded images, in pixels; 200 px are CelebA's, nearly.
        images: of an epoch.
        distinct: files; each is decoded as often as there are images.
        rounds: measured.
    """
    files = pictures(distinct, side, side)
    rows = tuple(itertools.islice(itertools.cycle(files), images))
    plan = plan_of(network, 4 * network.batch, epochs=CACHED_EPOCHS)
    preprocess = Preprocess(size=(network.size, network.size), resize="squash")
    groups = torch.arange(images) % len(plan.train.group_labels)

    def trained(cache: str, folder: Path) -> None:
        source = open_images(Memory(files), rows, preprocess, workers=0, cache=cache, folder=folder)  # type: ignore[arg-type]
        targets = torch.arange(images) % 2
        data = TrainingData(source, targets, groups, plan.train.classes, plan.train.group_labels, preprocess)
        settings = plan.settings.model_copy(update={"workers": 0})
        train(plan.network(), data, plan.loss(data.counted), settings)

    with tempfile.TemporaryDirectory() as name:
        ways = {"none": "none", "memory": "memory", "again": "disk"}
        trained("disk", Path(name))
        runs = {way: partial(trained, cache, Path(name)) for way, cache in ways.items()}
        times = in_turns(runs, rounds)
    what = {"memory": "--cache memory", "again": "--cache disk, a later run"}
    return [
        Row.of(
            f"{CACHED_EPOCHS} epochs of {network}, {side} px files, {said}",
            "--cache none",
            [slow / fast for slow, fast in zip(times["none"], times[name], strict=True)],
            DECODED,
        )
        for name, said in what.items()
    ]


def rows_of(images: int, rounds: int, lower: bool) -> Iterator[Row]:
    """Every row, as soon as it is measured.

    Args:
        images: of an epoch of the larger network; the smaller one has four times as many.
        rounds: measured.
        lower: whether bf16 is measured too.
    """
    keep_freed_memory()
    yield loop_row(SMALL, 4 * images, rounds)
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if lower else ("fp32",)
    for precision in precisions:
        yield loop_row(LARGE, images, rounds, precision)
    yield frozen_row(LARGE, images // 2, rounds)
    yield from decoded_rows(SMALL, 200, images, 64, rounds)
    yield from decoded_rows(SMALL, 1500, images // 4, 16, rounds)
    yield from decoded_rows(LARGE, 1500, images // 4, 16, rounds)


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="measure bf16 on a processor without it too")
    asked = parser.parse_args()
    rows = []
    for row in rows_of(asked.images, asked.rounds, asked.bf16 or computes_in_bf16()):
        print(f"{row.what}: {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})", file=sys.stderr, flush=True)
        rows.append(row)
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
