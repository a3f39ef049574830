"""Train a network with a group loss: the loop, and nothing that judges it.

Accelerate gives the device and the processes, timm the optimizer and the schedule. A batch is the batch of all processes
together: each takes its share, and the loss is that of the whole, so the number of processes changes nothing but the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from accelerate import Accelerator
from timm.optim import create_optimizer_v2, list_optimizers
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import Tensor, nn

from fairaudit.config import Preprocess, TrainingSettings
from fairaudit.engine import augment
from fairaudit.engine.batches import epoch_batches
from fairaudit.engine.devices import Placement, cores, place
from fairaudit.engine.history import Epoch, History, Progress, Validation
from fairaudit.engine.training_data import CachedImages, ImageSource, TrainingData, ahead
from fairaudit.errors import DataError, TrainingError, UnknownNameError, UsageError
from fairaudit.losses.base import GroupLoss

Score = Callable[[int, Tensor], Validation]
Report = Callable[[Progress], None]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(
    model: nn.Module,
    data: TrainingData,
    loss: GroupLoss,
    settings: TrainingSettings,
    *,
    validation: ImageSource | None = None,
    score: Score | None = None,
    progress: Report | None = None,
) -> History:
    """Train a network in place; it ends in evaluation mode with the weights of the epoch that was selected.

    The same seed, data, settings and number of threads give the same weights on a CPU.

    Args:
        model: images (b, 3, h, w) → logits (b, k).
        data: what it is trained on.
        loss: what is minimised, built for ``data.counted``.
        settings: how.
        validation: images to run the network on after every epoch.
        score: called after every epoch, in every process, with the epoch (from 1) and the validation images' (m, k) logits,
            float32 on the CPU in the order of the images; it says how good they are. The loss is told the group accuracies.
        progress: called in the main process after every batch and every epoch.

    Raises:
        DataError: there are too few images, only one class, or an empty group where each needs images.
        TrainingError: the loss diverged, or the network does not fit the data.
        UsageError: the settings cannot be met: an unknown optimizer, or a selection without a score.
    """
    _refuse(data, settings, validation, score)
    placement = place(settings.device)
    run = _Run(placement, model, data, loss, settings)
    devices = [placement.device] if placement.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.seed + placement.process)
        try:
            return run.all_epochs(validation, score, progress if placement.process == 0 else None)
        finally:
            model.eval()


class _Run:
    """One call of ``train``: everything that changes while it goes on."""

    def __init__(
        self, placement: Placement, model: nn.Module, data: TrainingData, loss: GroupLoss, settings: TrainingSettings
    ) -> None:
        size = min(settings.batch_size, len(data))
        if size < placement.processes:
            raise DataError(f"batches of {size} training images cannot be shared by {placement.processes} processes")
        self.place, self.data, self.loss, self.settings = placement, data, loss, settings
        self.steps = len(data) // size
        self.module = model.to(placement.device).to(memory_format=torch.channels_last)
        self.loss.to(placement.device)
        self.optimizer, self.scheduler = _optimizer(model, settings, self.steps)
        # The device is ours, because Accelerate knows no cuda:1; so is precision, because it would rewrite model.forward.
        self.accelerator = Accelerator(device_placement=False, mixed_precision="no")
        self.network = self.accelerator.prepare(self.module)
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=settings.precision == "fp16")
        self.generator = torch.Generator().manual_seed(settings.seed)

    def all_epochs(self, validation: ImageSource | None, score: Score | None, progress: Report | None) -> History:
        """Every epoch, then the weights that were selected."""
        settings = self.settings
        epochs: list[Epoch] = []
        best, best_score = None, -math.inf
        selected = settings.epochs
        for number in range(1, settings.epochs + 1):
            begin = time.perf_counter()
            mean_loss, group_losses, lr = self._one_epoch(number, epochs, progress)
            verdict = None
            if validation is not None and score is not None:
                verdict = score(number, self._logits(validation))
                self.loss.update(torch.tensor(verdict.group_accuracies, dtype=torch.float64))
                if settings.select != "last" and verdict.score > best_score:
                    best = {name: value.detach().to("cpu", copy=True) for name, value in self.module.state_dict().items()}
                    best_score, selected = verdict.score, number
            epochs.append(Epoch(number, mean_loss, group_losses, lr, time.perf_counter() - begin, verdict))
            if progress is not None:
                progress(Progress(number, settings.epochs, self.steps, self.steps, mean_loss, epochs[-1]))
        if best is not None:
            self.module.load_state_dict(best)
        elif settings.select != "last":
            raise TrainingError(
                f"no epoch can be selected by {settings.select}: every score was nan; "
                "are there validation images of every group?"
            )
        return History(tuple(epochs), settings.select, selected)

    def _one_epoch(self, number: int, done: list[Epoch], progress: Report | None) -> tuple[float, tuple[float, ...], float]:
        """One pass over the training images: mean loss, mean loss per group, last learning rate."""
        settings, device = self.settings, self.place.device
        self.network.train()
        self.loss.train()
        batches = epoch_batches(self.data.groups, settings.batch_size, settings.balance, self.generator)
        draws = [augment.draw(len(batch), self.generator) for batch in batches]
        mine = slice(self.place.process, None, self.place.processes)
        total, lr = 0.0, 0.0
        sums = torch.zeros(2, self.loss.n_groups, device=device)
        shares = [batch[mine] for batch in batches]
        for step, pixels in enumerate(ahead(self.data.images.take, shares, self._workers(self.data.images))):
            images = _unit(pixels, device)
            if settings.augment == "classic":
                images = augment.classic(images, draws[step][mine])
            targets, groups = self.data.targets[shares[step]].to(device), self.data.groups[shares[step]].to(device)
            logits = self._forward(images)
            value = self.loss(logits, targets, groups)
            lr = self.optimizer.param_groups[0]["lr"]
            latest = self._descend(value, number)
            total += latest
            with torch.no_grad():
                losses = self.loss.criterion(logits.detach(), targets)
                sums.index_add_(1, groups, torch.stack([losses, torch.ones_like(losses)]).to(sums.dtype))
            self.scheduler.step_update((number - 1) * self.steps + step + 1)
            if progress is not None:
                finished = done[-1] if done else None
                progress(Progress(number, settings.epochs, step + 1, self.steps, latest, finished))
        if not all(bool(p.isfinite().all()) for p in self.module.parameters()):
            raise TrainingError(f"the weights became nan in epoch {number}: lower --lr (now {settings.lr:g})")
        if self.place.processes > 1:  # running batch statistics differ between processes; the main one's are kept
            for buffer in self.module.buffers():
                torch.distributed.broadcast(buffer, 0)
        sums = self.accelerator.reduce(sums, reduction="sum")
        return total / self.steps, tuple((sums[0] / sums[1]).tolist()), lr

    def _descend(self, value: Tensor, epoch: int) -> float:
        """One step down the gradient; returns the loss."""
        latest = float(value.detach())
        if not math.isfinite(latest):
            kind = "nan" if math.isnan(latest) else "infinite"
            raise TrainingError(f"the loss became {kind} in epoch {epoch}: lower --lr (now {self.settings.lr:g})")
        self.optimizer.zero_grad()
        torch.autograd.backward(self.scaler.scale(value))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return latest

    def _forward(self, images: Tensor) -> Tensor:
        normal = _normalise(images, self.data.preprocess)
        with torch.autocast(images.device.type, _DTYPES[self.settings.precision], enabled=self._lowered):
            logits = self.network(normal)
        k = len(self.data.classes)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] != k:
            if not isinstance(logits, Tensor):
                raise TrainingError(f"the network returns a {type(logits).__name__} in training, not one tensor of logits")
            found = " × ".join(map(str, logits.shape[1:]))
            raise TrainingError(f"the network has {found} outputs per image, but the target has {k} classes")
        return logits.float()

    @torch.no_grad()
    def _logits(self, images: ImageSource) -> Tensor:
        """(m, k) logits of the validation images, the same in every process."""
        processes, m = self.place.processes, len(images)
        self.module.eval()
        # Every process runs as many images as the others; the surplus repeats the last one and is cut off below.
        padded = torch.arange(-(-m // processes) * processes).clamp(max=m - 1)
        shares = torch.split(padded[self.place.process :: processes], self.settings.batch_size)
        parts = []
        for pixels in ahead(images.take, shares, self._workers(images)):
            normal = _normalise(_unit(pixels, self.place.device), self.data.preprocess)
            with torch.autocast(self.place.device.type, _DTYPES[self.settings.precision], enabled=self._lowered):
                parts.append(self.module(normal).float())
        gathered: Tensor = self.accelerator.gather(torch.cat(parts))
        return gathered.reshape(processes, len(padded) // processes, -1).transpose(0, 1).flatten(0, 1)[:m].cpu()

    @property
    def _lowered(self) -> bool:
        return self.settings.precision != "fp32"

    def _workers(self, images: ImageSource) -> int:
        if isinstance(images, CachedImages):
            return 0
        return self.settings.workers if self.settings.workers is not None else cores()


def _optimizer(model: nn.Module, settings: TrainingSettings, steps: int) -> tuple[torch.optim.Optimizer, Scheduler]:
    if settings.optimizer not in list_optimizers():
        raise UnknownNameError("optimizer", settings.optimizer, list_optimizers())
    if not any(p.requires_grad for p in model.parameters()):
        raise TrainingError("every layer of the network is frozen, so there is nothing to train")
    optimizer = create_optimizer_v2(model, settings.optimizer, lr=settings.lr, weight_decay=settings.weight_decay)
    # A step schedule whose first step lies beyond the end stays where the warmup ends.
    decay = settings.epochs + 1 if settings.schedule == "none" else max(1, round(settings.epochs / 3))
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine" if settings.schedule == "cosine" else "step",
        num_epochs=settings.epochs,
        decay_epochs=decay,
        decay_rate=0.1,
        warmup_epochs=settings.warmup,
        warmup_lr=settings.lr / 100,
        step_on_epochs=False,
        updates_per_epoch=steps,
    )
    return optimizer, scheduler


def _refuse(data: TrainingData, settings: TrainingSettings, validation: ImageSource | None, score: Score | None) -> None:
    if len(data) == 0:
        raise DataError("there are no training images")
    present = [name for name, n in zip(data.classes, data.counted.class_counts.tolist(), strict=True) if n]
    if len(present) < 2:
        raise DataError(
            f"all {len(data)} training images are of the class {present[0]!r}; a classifier needs at least two classes"
        )
    if settings.balance == "groups":
        data.counted.require_images("balanced sampling")
    if (validation is None) != (score is None):
        raise ValueError("validation images and a score belong together")
    if settings.select != "last" and score is None:
        raise UsageError(f"selecting an epoch by {settings.select} needs validation images; give some or select the last")
    if validation is not None and len(validation) == 0:
        raise DataError("there are no validation images")


def _unit(pixels: Tensor, device: torch.device) -> Tensor:
    """(b, 3, h, w) float in [0, 1]."""
    return pixels.to(device, non_blocking=True).float().div_(255)


def _normalise(images: Tensor, preprocess: Preprocess) -> Tensor:
    mean = torch.tensor(preprocess.mean, device=images.device)[:, None, None]
    std = torch.tensor(preprocess.std, device=images.device)[:, None, None]
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)
