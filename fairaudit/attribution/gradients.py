"""Explanations by gradients: Integrated Gradients in pixels, Grad-CAM in the last feature maps. The loops are captum's.

Sources: Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks" (2017); Selvaraju et al., "Grad-CAM" (2017).
Grad-CAM's final ReLU is left out, because what speaks against a class is asked for as well.
"""

from __future__ import annotations

import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from torch import Tensor, nn

from fairaudit.attribution.subject import Subject
from fairaudit.errors import UsageError
from fairaudit.predictions import FloatArray


def integrated_gradients(
    subject: Subject, inputs: Tensor, of: int, baseline: Tensor, steps: int
) -> tuple[FloatArray, float]:
    """Explain one image by gradients along the way from the baseline to it.

    Args:
        subject: the network.
        inputs: (1, 3, h, w) normalised.
        of: index of the class.
        baseline: (1, 3, h, w) where the way begins.
        steps: points on the way.

    Returns:
        (h, w) effect of each pixel on the log-odds, and by how much their sum misses the change of the log-odds from
        baseline to image, as a share of it: 0 is exact.
    """
    function = subject.log_odds(of)
    with torch.enable_grad():
        found, delta = IntegratedGradients(function).attribute(
            inputs, baselines=baseline, n_steps=steps, internal_batch_size=subject.batch_size,
            return_convergence_delta=True,
        )  # fmt: skip
    heat: FloatArray = found[0].sum(0).detach().double().cpu().numpy()
    change = abs(float(heat.sum()) - float(delta))
    return heat, abs(float(delta)) / max(change, 1e-12)


def grad_cam(subject: Subject, inputs: Tensor, of: int, layer: nn.Module) -> FloatArray:
    """Explain one image by the last feature maps, weighted by their gradients.

    Args:
        subject: the network.
        inputs: (1, 3, h, w) normalised.
        of: index of the class.
        layer: see ``last_feature_map``.

    Returns:
        (h, w) signed map, enlarged from that of the layer.
    """
    with torch.enable_grad():
        small = LayerGradCam(subject.log_odds(of), layer).attribute(inputs, relu_attributions=False)
    large = LayerAttribution.interpolate(small, tuple(inputs.shape[-2:]), "bilinear")
    heat: FloatArray = large[0, 0].detach().double().cpu().numpy()
    return heat


def last_feature_map(network: nn.Module, size: tuple[int, int]) -> nn.Module:
    """The module that gives the last feature maps of a convolutional network, those that are pooled.

    It is the last whose output is as large as that of the last convolution over more than one place, so that what follows
    the convolution within its block, normalisation, shortcut and activation, is taken in.

    Args:
        network: images (b, 3, h, w) → logits, in evaluation mode.
        size: (h, w) of its inputs.

    Raises:
        UsageError: it has no convolution, or its places go on to layers that see them all, as in a transformer.
    """
    order: list[tuple[nn.Module, torch.Size]] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            order.append((module, output.shape))

    handles = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.no_grad():
            parameter = next(network.parameters(), None)
            network(torch.zeros((1, 3, *size), device=None if parameter is None else parameter.device))
    finally:
        for handle in handles:
            handle.remove()
    convolved = [i for i, (module, shape) in enumerate(order) if isinstance(module, nn.Conv2d) and _places(shape) > 1]
    if not convolved:
        raise UsageError(
            "Grad-CAM needs a network with convolutions, and this one has none over more than one place; "
            "use --method lime, integrated-gradients or occlusion"
        )
    grid = order[convolved[-1]][1][-2:]
    last = max(i for i, (_, shape) in enumerate(order) if len(shape) == 4 and shape[-2:] == grid)
    if any(_places(shape) > 1 for module, shape in order[last + 1 :] if _has_weights(module)):
        raise UsageError(
            "Grad-CAM needs feature maps that are pooled, and in this network layers of another kind follow the last "
            "convolution; use --method lime, integrated-gradients or occlusion"
        )
    return order[last][0]


def _has_weights(module: nn.Module) -> bool:
    return not list(module.children()) and next(module.parameters(), None) is not None


def _places(shape: torch.Size) -> int:
    """Of (b, c, h, w) maps and (b, places, c) tokens."""
    return shape[2] * shape[3] if len(shape) == 4 else shape[1] if len(shape) == 3 else 1
