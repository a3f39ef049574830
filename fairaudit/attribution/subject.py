"""What is explained: how much more a network believes in one class of a task than in all others together.

Explanations are of log-odds, log p − log(1 − p), and not of the score p: log-odds add up and do not flatten out where a
network is sure, which is where mistakes are worth a look. With two classes what speaks for one speaks against the other,
to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fairaudit.data.decoding import decode
from fairaudit.data.manifest import ImageStore
from fairaudit.errors import CheckpointError, DataError
from fairaudit.models.classifier import Classifier
from fairaudit.models.head import Task
from fairaudit.predictions import FloatArray


class LogOdds(nn.Module):
    """A network that says how much more it believes in one class than in the others.

    Args:
        network: (b, 3, h, w) inputs → (b, outputs) logits.
        task: which outputs mean what.
        of: index of the class.
    """

    def __init__(self, network: nn.Module, task: Task, of: int) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.others = [i for i in range(len(task.classes)) if i != of]
        self.of = of

    def forward(self, inputs: Tensor) -> Tensor:
        """(b,) log-odds of the class."""
        evidence = self.task.evidence(self.network(inputs))
        return evidence[:, self.of] - evidence[:, self.others].logsumexp(dim=1)


class Subject:
    """A classifier and the task that it is asked about.

    Args:
        classifier: network, head and preprocessing.
        task: a key of ``classifier.head.tasks``.
        device: where the network runs.
        batch_size: the most images at once.

    Raises:
        CheckpointError: the classifier has no such task.
    """

    def __init__(self, classifier: Classifier, task: str, device: torch.device, batch_size: int = 16) -> None:
        found = next((part for part in classifier.head.parts if part.name == task), None)
        if found is None:
            raise CheckpointError(f"the model predicts {', '.join(classifier.head.tasks)}, not {task}")
        self.task = found
        self.device = device
        self.batch_size = batch_size
        self.preprocess = classifier.preprocess
        self.network = classifier.model.eval().to(device).to(memory_format=torch.channels_last)
        self._mean = torch.tensor(classifier.preprocess.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(classifier.preprocess.std, device=device).view(1, 3, 1, 1)

    def log_odds(self, of: int) -> LogOdds:
        """The network as a function of one class; gradients flow through it."""
        return LogOdds(self.network, self.task, of)

    def inputs(self, pixels: Tensor) -> Tensor:
        """(b, 3, h, w) uint8 images as the network takes them."""
        return pixels.to(self.device).float().div(255).sub(self._mean).div(self._std)

    def scores(self, inputs: Sequence[Tensor] | Tensor) -> FloatArray:
        """(n, k) scores of n inputs (3, h, w), some at a time."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(inputs), self.batch_size):
                part = inputs[start : start + self.batch_size]
                batch = part if isinstance(part, Tensor) else torch.stack(list(part))
                parts.append(self.task.scores(self.network(batch.to(memory_format=torch.channels_last))).double().cpu())
        scores: FloatArray = torch.cat(parts).numpy()
        return scores

    def read(self, store: ImageStore, row: str, exact: bool = False) -> Tensor:
        """(3, h, w) uint8 pixels of one image, as the network sees them.

        Raises:
            DataError: it cannot be read.
        """
        try:
            return decode(store.read(row), self.preprocess, exact)
        except (OSError, DataError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise DataError(f"the image {row!r} cannot be read: {reason}; mend it or name another row") from error
