"""The gradient of a whole batch, computed in as many parts as memory demands.

A loss that is a mean over images is the mean of its parts. Others compare the images of a batch, so they need the outputs
of all at once: a first pass without gradients collects them, the loss says how it changes with each, and a second pass
runs every part again with the same random numbers and carries that on into the weights. Both give the gradient of the whole
batch; only batch normalisation, which averages over the images that it sees, sees a part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from fairaudit.engine.devices import Placement, free_memory, out_of_memory
from fairaudit.engine.mixing import Batch
from fairaudit.engine.rows import too_large
from fairaudit.engine.seeding import restore_torch_state, torch_state
from fairaudit.engine.state import buffers_of, set_buffers
from fairaudit.errors import DivergenceError, TrainingError
from fairaudit.losses.base import GroupLoss

Say = Callable[[str], None]
Forward = Callable[[nn.Module, Tensor], Tensor]


class Gradients:
    """Puts the gradient of a batch's loss into the weights; when memory runs out, in twice as many parts.

    Args:
        network: what is run: the module, or what shares its gradients with the other processes.
        module: the module itself.
        loss: what is minimised.
        scaler: of the loss, in half precision.
        forward: runs a network on inputs, and gives outputs (b, k).
        placement: this process's place.
        parts: in how many parts a batch is computed at first.
        say: told a sentence when the number of parts grows, and what that means.

    Attributes:
        parts: in how many parts a batch is computed now.
    """

    def __init__(
        self,
        network: nn.Module,
        module: nn.Module,
        loss: GroupLoss,
        scaler: torch.amp.GradScaler,
        forward: Forward,
        placement: Placement,
        parts: int,
        say: Say,
    ) -> None:
        self.network, self.module, self.loss, self.scaler = network, module, loss, scaler
        self.forward, self.placement, self.parts, self.say = forward, placement, parts, say
        self._told = 1

    def __call__(self, batch: Batch, sizes: Sequence[int], where: str) -> tuple[Tensor, float]:
        """Compute the gradient; what was there before is gone.

        Args:
            batch: this process's share.
            sizes: images in every process's share.
            where: the rest of the sentence when the loss is no finite number.

        Returns:
            (b, k) outputs without gradient, and the loss.

        Raises:
            DivergenceError: the loss is no finite number.
            TrainingError: not even the smallest part fits into memory.
        """
        least = 2 if self._normalises() else 1  # batch statistics need two images
        most = max(1, min(sizes) // least)
        doubled = False
        while True:
            parts = min(self.parts, most)
            before = self._state() if self.placement.processes == 1 else None
            done = self._attempt(batch, sizes, parts, where)
            if done is not None:
                self._tell(sum(sizes), parts, doubled, least == 2)
                return done
            if before is None:
                raise TrainingError(
                    f"memory ran out with {-(-max(sizes) // parts)} images at once in each of {len(sizes)} processes; "
                    f"compute batches in more parts with --accumulate {2 * parts}"
                )
            self._restore(before)
            self.module.zero_grad()
            free_memory(self.placement.device)
            if parts == most:
                raise too_large(self.placement.device, least)
            self.parts, doubled = min(2 * parts, most), True

    def _tell(self, images: int, parts: int, doubled: bool, normalises: bool) -> None:
        if doubled:
            self.say(
                f"memory ran out: each batch of {images} images is computed in {parts} parts of at most "
                f"{-(-images // parts)} from now on, with the gradient of the whole"
            )
        if normalises and parts not in (1, self._told):
            self.say(
                f"batch normalisation takes its statistics from each part of {-(-images // parts)} images, "
                f"not from the whole batch of {images}"
            )
        self._told = parts

    def _attempt(self, batch: Batch, sizes: Sequence[int], parts: int, where: str) -> tuple[Tensor, float] | None:
        """The outputs and the loss, or None when memory ran out; by then all of the attempt is free again."""
        self.module.zero_grad()
        try:
            if parts == 1:
                outputs = self.forward(self.network, batch.inputs)
                value = self.loss(outputs, batch.targets, batch.groups)
                latest = _finite(value, where)
                torch.autograd.backward(self.scaler.scale(value))
                return outputs.detach(), latest
            compute = self._two_passes if self.loss.whole_batch else self._part_by_part
            return compute(batch, sizes, parts, where)
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                return None
            raise

    def _part_by_part(self, batch: Batch, sizes: Sequence[int], parts: int, where: str) -> tuple[Tensor, float]:
        """For a loss that is a mean over images."""
        seen, total = [], 0.0
        for i, (inputs, targets, groups) in enumerate(_split(batch, parts)):
            share = sum(_part_size(n, parts, i) for n in sizes) / sum(sizes)
            with self._together(i == parts - 1):
                outputs = self.forward(self.network, inputs)
                value = self.loss(outputs, targets, groups) * share
                total += _finite(value, where)
                torch.autograd.backward(self.scaler.scale(value))
            seen.append(outputs.detach())
        return torch.cat(seen), total

    def _two_passes(self, batch: Batch, sizes: Sequence[int], parts: int, where: str) -> tuple[Tensor, float]:  # noqa: ARG002
        """For a loss that compares the images of a batch."""
        device = self.placement.device
        buffers = buffers_of(self.module)
        seen, states = [], []
        with torch.no_grad():
            for inputs, _, _ in _split(batch, parts):
                states.append(torch_state(device))
                seen.append(self.forward(self.module, inputs))
        set_buffers(self.module, buffers)  # running statistics move with the second pass, not twice
        outputs = torch.cat(seen).requires_grad_()
        value = self.loss(outputs, batch.targets, batch.groups)
        latest = _finite(value, where)
        learnt = [parameter for parameter in self.loss.parameters() if parameter.requires_grad]  # by the loss itself
        torch.autograd.backward(self.scaler.scale(value), inputs=[outputs, *learnt])
        slope = torch.zeros_like(outputs) if outputs.grad is None else outputs.grad
        slopes = torch.tensor_split(slope, parts)
        for i, (inputs, _, _) in enumerate(_split(batch, parts)):
            restore_torch_state(states[i], device)
            with self._together(i == parts - 1):
                torch.autograd.backward(self.forward(self.network, inputs), slopes[i])
        return outputs.detach(), latest

    def _together(self, last: bool) -> AbstractContextManager[object]:
        """Processes add their gradients up once, with the last part."""
        if last or not isinstance(self.network, DistributedDataParallel):
            return nullcontext()
        waiting: AbstractContextManager[object] = self.network.no_sync()
        return waiting

    def _normalises(self) -> bool:
        return any(isinstance(module, _BatchNorm) and module.training for module in self.module.modules())

    def _state(self) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
        return torch_state(self.placement.device), buffers_of(self.module), buffers_of(self.loss)

    def _restore(self, state: tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]) -> None:
        restore_torch_state(state[0], self.placement.device)
        set_buffers(self.module, state[1])
        set_buffers(self.loss, state[2])


def _split(batch: Batch, parts: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    tensors = (batch.inputs, batch.targets, batch.groups)
    return list(zip(*(torch.tensor_split(t, parts) for t in tensors), strict=True))


def _part_size(n: int, parts: int, i: int) -> int:
    """Rows of part i when ``torch.tensor_split`` splits n."""
    return n // parts + (i < n % parts)


def _finite(value: Tensor, where: str) -> float:
    latest = float(value.detach())
    if not math.isfinite(latest):
        raise DivergenceError(f"the loss became {'nan' if math.isnan(latest) else 'infinite'} {where}")
    return latest
