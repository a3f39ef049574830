"""Train a network with a group loss: the loop, and nothing that judges it.

Accelerate gives the device and the processes, timm the optimizer, the schedule and the averaging. A batch is the batch of
all processes together: each takes its share, and the loss is that of the whole, so the number of processes changes nothing
but the time, and what batch normalisation sees, which is a share. After every epoch the whole state is written, so that an
interrupted training goes on with the next epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from fairaudit.config import TrainingSettings
from fairaudit.engine.accumulate import Gradients, Say
from fairaudit.engine.augment import Augmentation
from fairaudit.engine.batches import Batches, epoch_batches
from fairaudit.engine.devices import Placement, gather, keep_freed_memory, one_thread, out_of_memory, place
from fairaudit.engine.features import features_of, head_of
from fairaudit.engine.freezing import BACKBONE, Frozen, frozen
from fairaudit.engine.history import Epoch, History, Progress, Validation
from fairaudit.engine.log import EpochLog
from fairaudit.engine.mixing import SEEDS, Batch, Mixer, mixer_of, share_of
from fairaudit.engine.optim import make_average, make_optimizer
from fairaudit.engine.outputs import outputs_for
from fairaudit.engine.rows import decoders, each_row, lowered, network_inputs
from fairaudit.engine.seeding import own_randomness, random_state, restore_random_state
from fairaudit.engine.state import buffers_of, epoch_of, epoch_record, identity, load_state, save_state, set_buffers
from fairaudit.engine.training_checks import check_training
from fairaudit.engine.training_data import ImageSource, TrainingData, ahead
from fairaudit.errors import DataError, DivergenceError, TrainingError
from fairaudit.losses.base import GroupLoss

Score = Callable[[int, Tensor], Validation]
Report = Callable[[Progress], None]


def train(
    model: nn.Module,
    data: TrainingData,
    loss: GroupLoss,
    settings: TrainingSettings,
    *,
    validation: ImageSource | None = None,
    score: Score | None = None,
    progress: Report | None = None,
    say: Say | None = None,
    resume: Path | None = None,
    mixer: Mixer | None = None,
    batches: Batches | None = None,
) -> History:
    """Train a network in place; it ends in evaluation mode with the weights of the epoch that was selected.

    The same seed, data, settings and number of threads give the same weights on a CPU, whether or not the training was
    interrupted in between. The caller's random state is left as it was.

    Args:
        model: images (b, 3, h, w) → logits (b, k). For a loss that ``wants`` embeddings, what goes into its last layer is
            handed to the loss; that layer is not trained, and nothing is validated. What a loss that ``wants`` outputs
            learns itself must be a part of the network.
        data: what it is trained on.
        loss: what is minimised, built for ``data.counted``.
        settings: how.
        validation: images to run the network on after every epoch.
        score: called after every epoch, in every process, with the epoch (from 1) and the validation images' (m, k) logits,
            float32 on the CPU in the order of the images; it says how good they are. The loss is told the group accuracies.
        progress: called in the main process after every batch and every epoch.
        say: told, in the main process, a sentence that a person should read.
        resume: folder of the training's state and its table of epochs. Where it holds the state of the same training, that
            goes on after its last finished epoch, or is done; otherwise the training begins. None keeps nothing.
        mixer: mixes the images of each batch in the place of mixup and cutmix.
        batches: draws the batches of an epoch in the place of ``balance``.

    Raises:
        DataError: there are too few images, only one class, or an empty group where each needs images.
        DivergenceError: the loss, the weights or the outputs became no finite numbers.
        TrainingError: the network does not fit the data or into memory.
        UsageError: the settings cannot be met: an unknown optimizer or layer, or a selection without a score.
        ArtifactError: the folder holds the state of another training.
        OutputError: the state cannot be written.
    """
    check_training(data, loss, settings, validation, judged=score is not None)
    if loss.wants == "embeddings":
        validation, score = None, None
    placement = place(settings.device)
    if placement.device.type == "cpu":
        keep_freed_memory()
    tell = say if say is not None and placement.process == 0 else (lambda _: None)
    mixing = mixer if mixer is not None else mixer_of(settings)
    held = 0 if validation is None else len(validation)
    who = identity(
        model, data, loss, settings, validation=held, mixer=mixer, batches=batches, processes=placement.processes
    )
    with ExitStack() as stack:
        stack.callback(model.eval)
        stack.enter_context(own_randomness(settings.seed + placement.process, placement.device))
        part = stack.enter_context(frozen(model, settings.freeze))
        model.to(placement.device).to(memory_format=torch.channels_last)
        if loss.wants == "embeddings":
            head_of(model)[1].requires_grad_(False)
        trained = model
        if settings.freeze == BACKBONE and not settings.augment and mixer is None and loss.wants == "logits":
            features = features_of(model, data, validation, settings)
            if features is None:
                tell("the last layer is not all that follows the features, so the frozen network runs in every epoch")
            else:
                data, validation = features
                trained, part = head_of(model)[1], Frozen()
                stack.enter_context(one_thread())
        try:
            run = _Run(placement, trained, part, data, loss, settings, mixing, batches, tell)
            return run.all_epochs(validation, score, progress if placement.process == 0 else None, resume, who)
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):  # not by a batch, which would have been computed in parts
                raise TrainingError(
                    f"the weights, what the optimizer keeps of them and their average do not fit into the memory of "
                    f"{str(placement.device)!r}; choose a smaller network or --optimizer sgd, or leave --ema out"
                ) from error
            raise


class _Run:
    """One call of ``train``: everything that changes while it goes on."""

    def __init__(
        self, placement: Placement, module: nn.Module, part: Frozen, data: TrainingData, loss: GroupLoss,
        settings: TrainingSettings, mixer: Mixer | None, batches: Batches | None, say: Say,
    ) -> None:  # fmt: skip
        size = min(settings.batch_size, len(data))
        if size < placement.processes * (1 if mixer is None else 2):
            raise DataError(f"batches of {size} training images cannot be shared by {placement.processes} processes")
        self.place, self.module, self.frozen, self.data, self.settings = placement, module, part, data, settings
        self.mixer, self.augment, self.loss = mixer, Augmentation(settings.augment), loss.to(placement.device)
        self.draw = batches or partial(epoch_batches, data.groups, settings.batch_size, settings.balance)
        self.shares = [share_of(size, p, placement.processes, mixer is not None) for p in range(placement.processes)]
        self.steps = len(data) // size
        self.optimizer, self.scheduler = make_optimizer(module, settings, self.steps)
        self.average = make_average(module, settings.ema)
        # The device is ours, because Accelerate knows no cuda:1; so is precision, because it would rewrite model.forward.
        self.accelerator = Accelerator(device_placement=False, mixed_precision="no")
        network = self.accelerator.prepare(module)
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=settings.precision == "fp16")
        outputs = outputs_for(module, data, settings.precision, loss.wants)
        self.gradients = Gradients(network, module, self.loss, self.scaler, outputs, placement, settings.accumulate, say)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.epochs: list[Epoch] = []
        self.best: dict[str, Tensor] | None = None
        self.best_score, self.best_epoch = -math.inf, 0

    @property
    def kept(self) -> nn.Module:
        """The weights that are validated and kept: the averaged ones where there are any."""
        return self.module if self.average is None else self.average.module

    def all_epochs(
        self, validation: ImageSource | None, score: Score | None, progress: Report | None, folder: Path | None,
        who: dict[str, Any],
    ) -> History:  # fmt: skip
        """Every epoch that is not done yet, then the weights that were selected."""
        settings = self.settings
        if folder is not None:
            self._load(load_state(folder, who))
        log = EpochLog(folder if self.place.process == 0 else None, settings.log, self.data.group_labels, len(self.epochs))
        log.write(self.epochs, new=False)
        try:
            while not self._done():
                begin, number = time.perf_counter(), len(self.epochs) + 1
                mean_loss, group_losses, lr = self._one_epoch(number, progress)
                verdict = None
                if validation is not None and score is not None:
                    logits = each_row(self._validated, validation, self.place, settings).float()
                    if not bool(logits.isfinite().all()):
                        what = "the outputs on validation images are no finite numbers"
                        raise DivergenceError(f"{what} {self._where(number)}")
                    verdict = score(number, logits)
                    self.loss.update(torch.tensor(verdict.group_accuracies, dtype=torch.float64))
                    self._compare(number, verdict)
                self.epochs.append(Epoch(number, mean_loss, group_losses, lr, time.perf_counter() - begin, verdict))
                if folder is not None:
                    self._save(folder, who)
                log.write(self.epochs, new=True)
                if progress is not None:
                    progress(Progress(number, settings.epochs, self.steps, self.steps, mean_loss, self.epochs[-1]))
        finally:
            log.close()
        return self._finish()

    def _done(self) -> bool:
        patience, done = self.settings.patience, len(self.epochs)
        return done >= self.settings.epochs or (patience is not None and done - self.best_epoch >= patience)

    def _compare(self, number: int, verdict: Validation) -> None:
        if not verdict.score > self.best_score:
            return
        self.best_score, self.best_epoch = verdict.score, number
        if self.settings.select != "last":
            self.best = {key: value.detach().to("cpu", copy=True) for key, value in self.kept.state_dict().items()}

    def _finish(self) -> History:
        select = self.settings.select
        if select == "last":
            if self.average is not None:
                self.module.load_state_dict(self.average.module.state_dict())
            return History(tuple(self.epochs), select, len(self.epochs))
        if self.best is None:
            raise TrainingError(
                f"no epoch can be selected by {select}: every score was nan; are there validation images of every group?"
            )
        self.module.load_state_dict(self.best)
        return History(tuple(self.epochs), select, self.best_epoch)

    def _one_epoch(self, number: int, progress: Report | None) -> tuple[float, tuple[float, ...], float]:
        """One pass over the training images: mean loss, mean loss per group, last learning rate."""
        settings, mine = self.settings, self.shares[self.place.process]
        sizes = [len(share) for share in self.shares]
        self.module.train()
        self.frozen.hold()
        self.loss.train()
        where = self._where(number)
        batches = self.draw(self.generator)
        draws = [self.augment.draw(len(batch), self.generator) for batch in batches]
        seeds = torch.randint(SEEDS, (len(batches),), generator=self.generator).tolist() if self.mixer else []
        total, lr, finished = 0.0, 0.0, self.epochs[-1] if self.epochs else None
        sums = torch.zeros(2, self.loss.n_groups, device=self.place.device)
        own = [batch[mine] for batch in batches]
        for step, pixels in enumerate(ahead(self.data.images.take, own, decoders(self.data.images, settings))):
            batch = self._batch(pixels, own[step], draws[step][mine])
            if self.mixer is not None:
                batch = self.mixer(replace(batch, targets=self.data.dense(batch.targets)), seeds[step])
            lr = self.optimizer.param_groups[0]["lr"]
            outputs, latest = self.gradients(batch, sizes, where)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            done = (number - 1) * self.steps + step + 1
            self.scheduler.step_update(done)
            if self.average is not None:
                self.average.update(self.module, step=done)
            total += latest
            with torch.no_grad():
                sums.index_add_(1, batch.groups, self._group_terms(outputs, batch).to(sums.dtype))
            if progress is not None:
                progress(Progress(number, settings.epochs, step + 1, self.steps, latest, finished))
        if not all(bool(p.isfinite().all()) for p in self.module.parameters()):
            raise DivergenceError(f"the weights became nan {where}")
        if self.place.processes > 1:  # running batch statistics differ between processes; the main one's are kept
            for module in (self.module, *([] if self.average is None else [self.average])):
                for buffer in module.buffers():
                    torch.distributed.broadcast(buffer, 0)
        sums = self.accelerator.reduce(sums, reduction="sum")
        return total / self.steps, tuple((sums[0] / sums[1]).tolist()), lr

    def _where(self, number: int) -> str:
        return f"in epoch {number}: lower --lr (now {self.settings.lr:g})"

    def _batch(self, pixels: Tensor, positions: Tensor, draws: Tensor) -> Batch:
        device = self.place.device
        moved = pixels.to(device, non_blocking=True)
        inputs = self.augment(moved, draws) if moved.dtype == torch.uint8 else moved
        return Batch(inputs, self.data.targets[positions].to(device), self.data.groups[positions].to(device), positions)

    def _group_terms(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(2, b) loss of each image, and how often it counts; nan where a loss of embeddings has none."""
        if self.loss.wants != "logits":
            return torch.full((2, len(batch)), math.nan, device=outputs.device)
        losses = self.loss.criterion(outputs, batch.targets)
        return torch.stack([losses, torch.ones_like(losses)])

    def _validated(self, pixels: Tensor) -> Tensor:
        network = self.kept.eval()
        with lowered(self.place.device, self.settings.precision):
            logits: Tensor = network(network_inputs(pixels, self.place.device, self.data.preprocess))
        return logits.float()

    def _save(self, folder: Path, who: dict[str, Any]) -> None:
        randomness = gather(random_state(self.place.device), self.place)
        if self.place.process > 0:
            return
        state = {
            "module": self.module.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "loss": buffers_of(self.loss),
            "generator": self.generator.get_state(),
            "random": randomness,
            "parts": self.gradients.parts,
            "epochs": [epoch_record(epoch) for epoch in self.epochs],
            "best": [self.best, self.best_score, self.best_epoch],
        }
        save_state(folder, who, state)

    def _load(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        self.module.load_state_dict(state["module"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        set_buffers(self.loss, state["loss"])
        self.generator.set_state(state["generator"])
        restore_random_state(state["random"][self.place.process], self.place.device)
        self.gradients.parts = max(state["parts"], self.settings.accumulate)
        self.epochs = [epoch_of(record) for record in state["epochs"]]
        self.best, self.best_score, self.best_epoch = state["best"]
