"""One batch through the network: normalisation, precision, channels-last, and what to do when memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from fairaudit.config import Precision, Preprocess
from fairaudit.data.images import ImageBatch
from fairaudit.engine.devices import free_memory, one_thread, out_of_memory
from fairaudit.errors import CheckpointError, UsageError
from fairaudit.predictions import FloatArray

DECIMALS = 6  # of a score: far above fp32's rounding noise, so that a predictions file is stable
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Head(Protocol):
    """What a network's outputs mean."""

    @property
    def tasks(self) -> Mapping[str, tuple[str, ...]]:
        """Task → names of its classes, in the order of its scores."""

    def scores(self, logits: Tensor) -> Mapping[str, Tensor]:
        """Task → (b, k) float32 scores, from (b, outputs) logits."""


class ImageClassifier(Protocol):
    """A network, the meaning of its outputs, and what it wants to be fed."""

    @property
    def model(self) -> nn.Module:
        """The network: (b, 3, h, w) float32 images → (b, outputs) logits."""

    @property
    def head(self) -> Head:
        """The meaning of its outputs."""

    @property
    def preprocess(self) -> Preprocess:
        """How images are prepared for it."""


class Interrupted(BaseException):
    """Raised inside the network of a thread that was told to stop; never seen by anybody else."""


class Forward:
    """A network on its device; threads may share one.

    Args:
        classifier: its network is moved to the device and to channels-last memory, and stays there.
        device: where it runs.
        precision: fp32, or the type that autocast may use for convolutions and matrix products.
        batch_size: the most images at once; halved whenever memory runs out.
        compiled: compile the network for such batches, here and now; smaller ones are filled up.

    Raises:
        UsageError: the network cannot be compiled here.
        CheckpointError: it does not take such images, compiled or not.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        device: torch.device,
        precision: Precision,
        batch_size: int,
        *,
        compiled: bool = False,
    ) -> None:
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.head = classifier.head
        self.model = classifier.model.eval().to(device).to(memory_format=torch.channels_last)
        self._mean = torch.tensor(classifier.preprocess.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(classifier.preprocess.std, device=device).view(1, 3, 1, 1)
        self._halving = threading.Lock()
        self._stopped = threading.Event()
        self._compiled = False
        if compiled:
            shape = (batch_size, 3, *classifier.preprocess.size)
            self._compile(torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last).zero_())

    def logits(self, batch: ImageBatch) -> Tensor:
        """Run the network; on a GPU the result may still be being computed.

        Args:
            batch: (b, 3, h, w) uint8 images.

        Returns:
            (b, outputs) float32 on the device.

        Raises:
            CheckpointError: the network does not take such images, does not return one row of numbers per image, or does
                not fit into memory even with one image.
        """
        parts: list[Tensor] = []
        start = 0
        while start < len(batch.rows):
            size = self.batch_size
            part = self._attempt(batch.images[start : start + size])
            if part is None:
                self._halve(size)
                continue
            parts.append(part)
            start += size
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def scores(self, batch: ImageBatch, logits: Tensor) -> dict[str, FloatArray]:
        """Turn logits into scores and bring them over to numpy.

        Args:
            batch: whose rows an error names.
            logits: (b, outputs) of that batch.

        Returns:
            Task → (b, k) float64, rounded to ``DECIMALS``.

        Raises:
            CheckpointError: a logit is not a finite number.
        """
        logits = logits.cpu()
        broken = ~torch.isfinite(logits).all(dim=1)
        if broken.any():
            row = batch.rows[int(broken.nonzero()[0])]
            hint = "try --precision fp32" if self.precision != "fp32" else "its weights or its mean and std are broken"
            raise CheckpointError(f"the network's output for {row!r} is not a finite number; {hint}")
        with torch.inference_mode():
            scores = self.head.scores(logits)
        return {task: score.double().numpy().round(DECIMALS) for task, score in scores.items()}

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within the block, ``stop`` makes networks that run in other threads give up at their next layer.

        A compiled network has no layers left; it ends its batch.
        """
        if self._compiled:
            yield
            return

        def give_up(_module: nn.Module, _inputs: object) -> None:
            if self._stopped.is_set():
                raise Interrupted

        handle = register_module_forward_pre_hook(give_up)
        try:
            yield
        finally:
            handle.remove()

    def stop(self) -> None:
        """Ask threads inside the network to give up; see ``interruptible``."""
        self._stopped.set()

    def _attempt(self, images: Tensor) -> Tensor | None:
        """Logits, or None when memory ran out; by then everything that was allocated for the attempt is free again."""
        try:
            output = self._run(images)
        except Exception as error:  # a network is somebody else's code: whatever it raises, it cannot be audited like this
            if out_of_memory(error):
                return None
            height, width = images.shape[2:]
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise CheckpointError(
                f"the network fails on images of {height} × {width} pixels: {reason}; "
                "give the size that it was trained with (--size)"
            ) from error
        return self._checked(output, len(images))

    def _run(self, images: Tensor) -> Any:
        """Whatever the network returns of uint8 images; a compiled one is shown as many as it was compiled for."""
        lacking = self.batch_size - len(images) if self._compiled else 0
        if lacking > 0:
            filled = torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)])
            images = filled.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), self._autocast(), _full_precision(self.device):
            inputs = images.to(self.device, non_blocking=True).float().div_(255).sub_(self._mean).div_(self._std)
            output = self.model(inputs)
        return output[: len(images) - lacking] if lacking > 0 and isinstance(output, Tensor) else output

    def _compile(self, images: Tensor) -> None:
        """Compile the network for batches like these."""
        self._attempt(images[:1])  # what it does not take is said as ever
        compiled: Any = torch.compile(self.model, dynamic=False, options={"freezing": True})
        self.model = compiled
        self._compiled = True
        try:
            # For one thread, as threads run it; the number is a part of what is compiled.
            with one_thread() if self.device.type == "cpu" else nullcontext():
                self._run(images)
        except Exception as error:  # a compiler may raise anything
            lines = [line.strip().rstrip(":.") for line in str(error).splitlines() if line.strip()]
            raise UsageError(
                f"the network cannot be compiled here ({': '.join(lines[:2]) or type(error).__name__}); leave --compile out"
            ) from error

    def _checked(self, output: object, count: int) -> Tensor:
        if isinstance(output, Tensor) and output.ndim == 1 and len(output) == count:
            output = output[:, None]
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != count:
            found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise CheckpointError(
                f"the network returned {found} for {count} images; a classifier returns one row of numbers per image"
            )
        return output.float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision], enabled=self.precision != "fp32")

    def _halve(self, size: int) -> None:
        if size == 1:
            raise CheckpointError(
                f"the network does not fit into the memory of {str(self.device)!r}, even with one image at a time"
            )
        with self._halving:  # another thread may have met the same wall
            self.batch_size = min(self.batch_size, size // 2)
        free_memory(self.device)


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """No TensorFloat-32, whose ten bits of mantissa cuDNN takes for fp32 convolutions unless told otherwise."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
