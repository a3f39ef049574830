"""What a training run leaves behind besides weights: one record per epoch, and which epoch was kept."""

from __future__ import annotations

from dataclasses import dataclass

from fairaudit.config import Select


@dataclass(frozen=True)
class Validation:
    """What a caller made of the logits on the validation images; the engine itself judges nothing.

    Attributes:
        score: larger is better; the epoch with the best one is kept unless the last is. nan is never the best.
        group_accuracies: (g,) accuracy of each group in the order of the group ids, nan where it has no validation image.
    """

    score: float
    group_accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes:
        epoch: counted from 1.
        loss: mean over the epoch's batches of the loss that was minimised.
        group_losses: (g,) mean per-sample loss of each group over the epoch's training images, while the weights moved;
            nan for a group that had no image, and where a loss of embeddings has none of its own for each sample. A mixed
            image counts as one of the group of which it has more.
        lr: learning rate of its last step.
        seconds: wall-clock time, validation included.
        validation: what the caller said of the validation images after it; None when there were none.
    """

    epoch: int
    loss: float
    group_losses: tuple[float, ...]
    lr: float
    seconds: float
    validation: Validation | None


@dataclass(frozen=True)
class History:
    """A whole run.

    Attributes:
        epochs: every epoch that was run, in order; fewer than were asked for where training stopped early.
        select: the rule that chose.
        selected: the epoch whose weights the model ended with, counted from 1.
    """

    epochs: tuple[Epoch, ...]
    select: Select
    selected: int

    @property
    def seconds(self) -> float:
        """Wall-clock time of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)


@dataclass(frozen=True)
class Progress:
    """Where a running training stands; handed out after every batch and after every epoch.

    Attributes:
        epoch: the running epoch, counted from 1.
        epochs: how many there will be.
        batch: batches of this epoch that are done.
        batches: how many it has.
        loss: of the latest batch.
        finished: record of the latest epoch that ended, None during the first.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    finished: Epoch | None
