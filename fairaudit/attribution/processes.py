"""A region classifier that several processes train as one would: the same patches, and statistics of the whole batch.

Other networks normalise by each process's share of a batch. A region classifier is small and its batches are of patches,
so it can afford better, and its training is the same, to rounding, whatever the number of processes.

Formula:
    Batch normalisation over W shares of n_p values with means m_p and variances v_p: n = Σ n_p, m = Σ n_p·m_p / n,
    v = Σ n_p·(v_p + (m_p − m)²) / n. With ŷ the normalised values, g the gradient of the output and γ the weight, the
    gradient of the input is γ / √(v + ε) · (g − Σg / n − ŷ · Σ(g·ŷ) / n), sums over all processes; those of γ and β are
    each process's own and averaged as all others are.

Source:
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015. torch's own SyncBatchNorm knows GPUs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from fairaudit.attribution.region_net import RegionNet, drawn_alone
from fairaudit.engine.devices import Placement


@contextmanager
def trained_together(net: RegionNet, placement: Placement) -> Iterator[None]:
    """Within the block a region classifier learns from the whole batch; nothing changes for a process that is alone.

    Args:
        net: the classifier.
        placement: this process's place.
    """
    if placement.processes == 1:
        yield
        return
    places = [
        (module, name)
        for module in net.modules()
        for name, child in module.named_children()
        if type(child) is nn.BatchNorm2d
    ]
    for module, name in places:
        setattr(module, name, _turned(getattr(module, name), SharedBatchNorm))
    net.draw = _Draws(placement)
    try:
        yield
    finally:
        net.draw = drawn_alone
        for module, name in places:
            setattr(module, name, _turned(getattr(module, name), nn.BatchNorm2d))


def _turned(norm: nn.BatchNorm2d, kind: type[nn.BatchNorm2d]) -> nn.BatchNorm2d:
    """The same layer, of another kind: its parameters and buffers are shared, not copied."""
    made = kind(norm.num_features, norm.eps, norm.momentum)
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var, made.num_batches_tracked = (
        norm.running_mean,
        norm.running_var,
        norm.num_batches_tracked,
    )
    return made.train(norm.training)


class _Draws:
    """The positions that one process would draw for the whole batch; the first process draws them for all."""

    def __init__(self, placement: Placement) -> None:
        self._place = placement

    def __call__(self, positions: int, images: int) -> Tensor:
        place = self._place
        sizes = torch.zeros(place.processes, dtype=torch.int64, device=place.device)
        sizes[place.process] = images
        distributed.all_reduce(sizes)
        each, n = sizes.tolist(), int(sizes.sum())
        drawn = torch.randint(positions, (n,)) if place.process == 0 else torch.empty(n, dtype=torch.int64)
        drawn = drawn.to(place.device)
        distributed.broadcast(drawn, 0)
        shares = [drawn[process :: place.processes] for process in range(place.processes)]  # as ``share_of`` deals images
        if [len(share) for share in shares] != each:  # parts of batches that memory was too small for
            shares = list(torch.split(drawn, each))
        return shares[place.process]


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the shares of all processes, each of which must call it."""

    def forward(self, images: Tensor) -> Tensor:
        """(b, c, h, w) → the same shape."""
        if not self.training:
            return super().forward(images)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        found: tuple[Tensor, ...] = _Normalised.apply(images.float(), self.weight, self.bias, self.eps)
        normal, mean, variance, n = found
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * n / (n - 1).clamp(min=1), momentum)
            self.num_batches_tracked.add_(1)
        return normal.to(images.dtype)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        own = torch.var_mean(images, dim=(0, 2, 3), correction=0)
        count = own[0].new_full((1,), images.numel() / images.shape[1])
        mine = torch.cat([count, own[1], own[0]])
        held = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
        distributed.all_gather(held, mine)
        counts, means, variances = torch.split(torch.stack(held).double(), [1, *[images.shape[1]] * 2], dim=1)
        n = counts.sum()
        mean = (counts * means).sum(0) / n
        variance = (counts * (variances + (means - mean).square())).sum(0) / n
        found = [one.float() for one in (mean, variance, (variance + eps).rsqrt(), n)]
        normal = (images - _over(found[0])) * _over(found[2])
        ctx.save_for_backward(normal, weight, found[2], found[3])
        ctx.mark_non_differentiable(found[0], found[1], found[3])
        return normal * _over(weight) + _over(bias), found[0], found[1], found[3]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal, weight, scale, n = ctx.saved_tensors
        g = gradients[0]
        of_bias, of_weight = g.sum((0, 2, 3)), (g * normal).sum((0, 2, 3))
        sums = torch.stack([of_bias, of_weight])
        distributed.all_reduce(sums)
        of_images = _over(weight * scale) * (g - _over(sums[0] / n) - normal * _over(sums[1] / n))
        return of_images, of_weight, of_bias, None


def _over(channels: Tensor) -> Tensor:
    return channels[None, :, None, None]
