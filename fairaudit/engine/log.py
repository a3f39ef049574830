"""What a training writes for people while it goes on: a table of its epochs, and TensorBoard's event files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from fairaudit.artifacts.folder import write_whole
from fairaudit.config import Log
from fairaudit.engine.history import Epoch
from fairaudit.errors import UsageError

TABLE = "history.csv"
EVENTS = "tensorboard"


class _Writer(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class EpochLog:
    """Writes each epoch as it ends.

    Args:
        folder: where; None writes nothing.
        log: what is written.
        groups: name of each group.
        done: epochs that were finished before; event files of later ones, which an interruption cut off, are passed over.

    Raises:
        UsageError: TensorBoard is asked for, but there is no folder or it is not installed.
    """

    def __init__(self, folder: Path | None, log: Log, groups: Sequence[str], done: int) -> None:
        self.folder, self.groups = folder, tuple(groups)
        self._events = _events(folder, done) if log == "tensorboard" else None

    def write(self, epochs: Sequence[Epoch], *, new: bool) -> None:
        """Write all epochs so far; the table appears whole or not at all.

        Args:
            epochs: in order.
            new: whether the last of them has just ended.

        Raises:
            OutputError: a file cannot be written.
        """
        if self.folder is None or not epochs:
            return
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(name for name, _ in _numbers(epochs[-1], self.groups))
        for epoch in epochs:
            table.writerow("" if math.isnan(value) else value for _, value in _numbers(epoch, self.groups))
        write_whole(self.folder / TABLE, text.getvalue())
        if new and self._events is not None:
            for name, value in _numbers(epochs[-1], self.groups):
                if name != "epoch" and not math.isnan(value):
                    self._events.add_scalar(name, value, epochs[-1].epoch)
            self._events.flush()

    def close(self) -> None:
        """Close what is open."""
        if self._events is not None:
            self._events.close()


def _numbers(epoch: Epoch, groups: Sequence[str]) -> Iterator[tuple[str, float]]:
    checked = epoch.validation
    yield "epoch", epoch.epoch
    yield "loss", epoch.loss
    yield "lr", epoch.lr
    yield "seconds", round(epoch.seconds, 3)
    yield "score", math.nan if checked is None else checked.score
    for group, value in zip(groups, epoch.group_losses, strict=True):
        yield f"loss of {group}", value
    accuracies = (math.nan,) * len(groups) if checked is None else checked.group_accuracies
    for group, value in zip(groups, accuracies, strict=True):
        yield f"accuracy of {group}", value


def _events(folder: Path | None, done: int) -> _Writer:
    if folder is None:
        raise UsageError("TensorBoard's files need a folder: name one, or leave the log at csv")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("TensorBoard is not installed; run 'pip install tensorboard', or leave the log at csv") from error
    make: Any = SummaryWriter
    writer: _Writer = make(folder / EVENTS, purge_step=done + 1)
    return writer
